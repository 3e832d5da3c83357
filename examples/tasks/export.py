#!/usr/bin/env python3
"""Exports the small untrained networks of the examples of tasks, and their tokenizer.

  python3 examples/tasks/export.py examples/tasks

Needs torch 2.5 or later, onnx and onnxscript. The files here were written by torch 2.15 (dynamo).
"""

import json
import sys

import onnx
import torch
from torch import nn

WORDS = "the a cat dog bird boat sees likes finds runs sleeps sings quickly often red small old .".split()
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LENGTH, WIDTH, HEADS = 12, 16, 2
VOCABULARY = len(SPECIALS) + len(WORDS)


class Transformer(nn.Module):
    """One layer over tokens: scores of each word at each position. Causal: a position sees those before it alone."""

    def __init__(self, causal):
        super().__init__()
        self.tokens, self.places = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.scores = nn.Linear(WIDTH, VOCABULARY)
        future = torch.triu(torch.ones(LENGTH, LENGTH), 1) if causal else torch.zeros(LENGTH, LENGTH)
        self.register_buffer("future", future[None, None] * -1e4)

    def forward(self, input_ids, attention_mask):
        heads = lambda x: x.view(-1, LENGTH, HEADS, WIDTH // HEADS).transpose(1, 2)
        x = self.tokens(input_ids) + self.places(torch.arange(LENGTH))
        hidden = (1.0 - attention_mask.float())[:, None, None, :] * -1e4 + self.future
        y = self.first(x)
        weights = heads(self.query(y)) @ heads(self.key(y)).transpose(-1, -2) / (WIDTH // HEADS) ** 0.5
        seen = torch.softmax(weights + hidden, -1) @ heads(self.value(y))
        x = x + self.out(seen.transpose(1, 2).reshape(-1, LENGTH, WIDTH))
        x = x + self.narrow(torch.relu(self.wide(self.second(x))))
        return self.scores(x)


def segmenter():
    layers = []
    for i, o in ((1, 12), (12, 12), (12, 12)):
        layers += [nn.Conv2d(i, o, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(12, 3, 1))


class Detector(nn.Module):
    """Distances and scores of two classes for the 4x4 cells of stride 8: [N, 4 + 2, 16]."""

    def __init__(self):
        super().__init__()
        layers = []
        for i, o, stride in ((1, 16, 2), (16, 24, 2), (24, 32, 2), (32, 32, 1)):
            layers += [nn.Conv2d(i, o, 3, stride, padding=1), nn.ReLU()]
        self.body, self.head = nn.Sequential(*layers), nn.Conv2d(32, 6, 1)
        with torch.no_grad():
            self.head.bias[:4], self.head.bias[4:] = 1, -3

    def forward(self, x):
        return self.head(self.body(x)).flatten(2)


def keywords():
    """Log-mel features [N, 40, 49] to three classes."""
    layers = []
    for i, o, stride in ((40, 24, 2), (24, 24, 2)):
        layers += [nn.Conv1d(i, o, 5, stride, padding=2), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(24, 3))


def autoencoder():
    sizes = (16, 24, 3, 24, 16)
    layers = [layer for i, o in zip(sizes, sizes[1:]) for layer in (nn.Linear(i, o), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def tokenizer():
    special = lambda word, id: dict(id=id, content=word, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    part = lambda word: {"SpecialToken": {"id": word, "type_id": 0}}
    ends = ("[CLS]", "[SEP]")
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [special(word, id) for id, word in enumerate(SPECIALS)],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [part("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, part("[SEP]")],
            "pair": [part("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, part("[SEP]"), {"Sequence": {"id": "B", "type_id": 1}}, part("[SEP]")],
            "special_tokens": {word: {"id": word, "ids": [SPECIALS.index(word)], "tokens": [word]} for word in ends},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
            "vocab": {word: id for id, word in enumerate(SPECIALS + WORDS)},
        },
    }


def export(folder, name, network, inputs, names):
    batch = torch.export.Dim("batch")
    torch.onnx.export(
        network.eval(), inputs, f"{folder}/{name}.onnx", dynamo=True, input_names=names, output_names=["scores"],
        dynamic_shapes=tuple({0: batch} for _ in names) if len(names) > 1 else ({0: batch},), external_data=False, verbose=False,
    )
    # Where each node comes from names the machine's own folders.
    model = onnx.load(f"{folder}/{name}.onnx")
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer, model.graph, model):
        part.ClearField("metadata_props")
    onnx.save(model, f"{folder}/{name}.onnx")


def main():
    folder = sys.argv[1]
    torch.manual_seed(0)
    ids, mask = torch.zeros(2, LENGTH, dtype=torch.int64), torch.ones(2, LENGTH, dtype=torch.int64)
    names = ["input_ids", "attention_mask"]
    export(folder, "encoder", Transformer(causal=False), (ids, mask), names)
    export(folder, "decoder", Transformer(causal=True), (ids, mask), names)
    export(folder, "segmenter", segmenter(), (torch.zeros(2, 1, 12, 12),), ["image"])
    export(folder, "autoencoder", autoencoder(), (torch.zeros(2, 16),), ["signal"])
    export(folder, "detector", Detector(), (torch.zeros(2, 1, 32, 32),), ["image"])
    export(folder, "keywords", keywords(), (torch.zeros(2, 40, 49),), ["features"])
    with open(f"{folder}/tokenizer.json", "w") as file:
        json.dump(tokenizer(), file, indent=1)
        file.write("\n")


main()
