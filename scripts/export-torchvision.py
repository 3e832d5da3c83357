#!/usr/bin/python3
"""Exports torchvision networks as ONNX, together with what torch itself computes with them.

For each network FOLDER/<name>.onnx holds the model and FOLDER/<name>.safetensors what torch_reference.py says. The weights
are random. scripts/check-torch.ts compares subbyte with them.

Needs Debian's python3-torch and python3-torchvision: /usr/bin/python3 scripts/export-torchvision.py FOLDER [name ...]
"""

import sys
from pathlib import Path

import torch
import torchvision
from torch.onnx import TrainingMode
from torch_reference import (
    CLASSES,
    Images,
    accurate_step,
    conditioned,
    fused,
    settled,
    without_randomness,
    write_reference,
)

# Side of the square image, batch, and how the model is exported: "kept" leaves BatchNormalization where it is.
NETWORKS = {
    "resnet18": (64, 4, "kept"),
    "resnet18-folded": (64, 4, "folded"),
    "resnet18-training": (64, 4, "training"),
    "resnet50": (64, 4, "kept"),
    "mobilenet_v2": (64, 4, "kept"),
    "mobilenet_v3_small": (64, 4, "kept"),
    "shufflenet_v2_x1_0": (64, 4, "kept"),
    "vgg11_bn": (224, 1, "kept"),
    "vgg11_bn-smooth": (224, 1, "kept"),
    "efficientnet_b0": (64, 4, "kept"),
    "squeezenet1_1": (64, 4, "kept"),
    "densenet121": (64, 4, "kept"),
    "vit_b_16": (64, 2, "train-mode"),
}


def build(name, side):
    torch.manual_seed(0)
    options = {"num_classes": CLASSES}
    architecture = name.split("-")[0]
    if architecture == "vit_b_16":
        options["image_size"] = side
    model = without_randomness(getattr(torchvision.models, architecture)(weights=None, **options))
    if architecture == "vit_b_16":
        torch.nn.init.normal_(model.heads.head.weight, std=0.05)
    conditioned(model)
    if architecture == "densenet121":
        # Only other normalizations read its output, which undo its scale and its shift where no ReLU does anything.
        torch.nn.init.uniform_(model.features.norm0.weight, 0.7, 1.3)
        torch.nn.init.uniform_(model.features.norm0.bias, -0.2, 0.2)
    if name.endswith("-smooth"):
        smooth(model)
    return model


def smooth(model):
    """Exchanges what jumps: the same network where no rounding can decide on which side of a ReLU or a maximum it is."""
    for name, module in model.named_children():
        if isinstance(module, torch.nn.ReLU):
            setattr(model, name, torch.nn.SiLU())
        elif isinstance(module, torch.nn.MaxPool2d):
            setattr(model, name, torch.nn.AvgPool2d(module.kernel_size, module.stride, module.padding))
        else:
            smooth(module)


def export(name, folder):
    side, batch, how = NETWORKS[name]
    data = Images(side)
    model = settled(build(name, side), data, batch)
    trained_on = fused(model) if how == "folded" else model.train()
    found, tries = accurate_step(trained_on, data, batch)
    error, x, _, loss, _, _ = found
    model.eval()
    with torch.no_grad():
        output = model(x)
    training = {"kept": TrainingMode.PRESERVE, "folded": TrainingMode.EVAL}.get(how, TrainingMode.TRAINING)
    model.train(how in ("training", "train-mode"))
    torch.onnx.export(
        model,
        x,
        str(folder / f"{name}.onnx"),
        training=training,
        do_constant_folding=how == "folded",
        opset_version=14,
        input_names=["images"],
        output_names=["logits"],
        dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
    )
    if how == "training":
        # Exporting in training mode runs the model: the file holds the statistics as the export left them.
        model.eval()
        with torch.no_grad():
            output = model(x)
    values = trained_on.named_parameters() if how == "folded" else ()
    write_reference(folder / f"{name}.safetensors", output, found, values)
    print(f"{name}: loss {loss.item():.6f}, batch {tries}, off by {error:.1e}", flush=True)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or NETWORKS:
        try:
            export(name, folder)
        except Exception as error:  # one network that this torch cannot export must not hide the others
            print(f"{name}: not exported: {error}", flush=True)


main()
