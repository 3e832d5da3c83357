"""Exports networks with torch's dynamo exporter, together with what torch itself computes with them.

For each network FOLDER/<name>.onnx holds the model, FOLDER/<name>.onnx.data its weights and FOLDER/<name>.safetensors what
torch_reference.py says. The names end in "-kept" where the exporter's optimizer was off, so that BatchNormalization stays,
and in "-training" where the model was in training mode, with dropout. scripts/check-torch.ts compares subbyte with them.

Needs torch 2.5 or later, torchvision, onnx and onnxscript: python3 scripts/export-dynamo.py FOLDER [name ...]
"""

import copy
import sys
import warnings
from pathlib import Path

import torch
import torchvision
from torch import nn
from torch_reference import CLASSES, Images, accurate_step, conditioned, fused, without_randomness, write_reference


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(16, 32, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(64, CLASSES)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


class Transformer(nn.Module):
    """Token numbers through an embedding, two layers of attention, and the mean over the sequence."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(100, 32)
        self.position = nn.Parameter(0.1 * torch.randn(1, 20, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True, activation="gelu", norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(32)
        self.head = nn.Linear(32, CLASSES)

    def forward(self, tokens):
        return self.head(self.norm(self.encoder(self.embedding(tokens) + self.position)).mean(1))


class Sequences:
    def __init__(self, draw):
        self.draw = draw
        self.generator = torch.Generator().manual_seed(1)

    def batch(self, size):
        labels = torch.randint(0, CLASSES, (size,), generator=self.generator)
        return self.draw(size, self.generator), labels


def vision_transformer():
    sizes = {"num_layers": 2, "num_heads": 4, "hidden_dim": 64, "mlp_dim": 128, "num_classes": CLASSES}
    model = torchvision.models.VisionTransformer(image_size=64, patch_size=16, dropout=0.1, **sizes)
    nn.init.normal_(model.heads.head.weight, std=0.1)
    return model


def images():
    return Images(64)


def tokens():
    return Sequences(lambda size, generator: torch.randint(0, 100, (size, 20), generator=generator))


def signals():
    return Sequences(lambda size, generator: torch.randn(size, 20, 16, generator=generator))


NETWORKS = {
    "resnet18": (lambda: torchvision.models.resnet18(num_classes=CLASSES), images),
    "mobilenet_v3_small": (lambda: torchvision.models.mobilenet_v3_small(num_classes=CLASSES), images),
    "vit": (vision_transformer, images),
    "transformer": (Transformer, tokens),
    "lstm": (Recurrent, signals),
}
HOW = ("optimized", "kept", "training")
BATCH = 4
# Weights before a recurrent layer's end are not trained by subbyte.
UNTRAINED = ("lstm.",)


def export(name, how, folder):
    torch.manual_seed(0)
    make, make_data = NETWORKS[name]
    original = make()
    data = make_data()
    model = without_randomness(copy.deepcopy(original))
    conditioned(model)
    # Equal tensors are stored once, and parameters that were told apart would be tied in the file.
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.7, 1.3)
        if isinstance(getattr(module, "bias", None), nn.Parameter) and not isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.bias, -0.1, 0.1)
        if isinstance(module, nn.MultiheadAttention):
            nn.init.uniform_(module.in_proj_bias, -0.1, 0.1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(torch.empty_like(parameter).uniform_(0.9, 1.1))
    # The optimizer folds batch normalization in training mode too.
    is_folded = how != "kept" and any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    reference = fused(copy.deepcopy(model)) if is_folded else model.train()
    found, tries = accurate_step(reference, data, BATCH)
    error, x, labels, loss, gradients, exact = found
    kept = {key: value for key, value in gradients.items() if not key.startswith(UNTRAINED)}
    model.eval()
    with torch.no_grad():
        output = model(x)
    # With its dropout, where the model had some.
    original.load_state_dict(model.state_dict())
    torch.onnx.export(
        original.train(how == "training"),
        (x,),
        str(folder / f"{name}-{how}.onnx"),
        dynamo=True,
        optimize=how != "kept",
        external_data=True,
        verbose=False,
        input_names=["input"],
        output_names=["logits"],
        dynamic_shapes=[{0: "batch"}],
    )
    values = [(key, value) for key, value in reference.named_parameters() if key in kept]
    write_reference(folder / f"{name}-{how}.safetensors", output, (error, x, labels, loss, kept, exact), values)
    print(f"{name}-{how}: loss {loss:.6f}, batch {tries}, off by {error:.1e}", flush=True)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    for name in sys.argv[2:] or NETWORKS:
        for how in HOW:
            try:
                export(name, how, folder)
            except Exception as error:  # one network that cannot be exported must not hide the others
                print(f"{name}-{how}: not exported: {error}", flush=True)


main()
