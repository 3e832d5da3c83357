#!/usr/bin/python3
"""Exports torchvision networks with random weights as ONNX, together with what torch itself computes with them.

For each network FOLDER/<name>.onnx holds the model and FOLDER/<name>.safetensors holds: input, labels, output (evaluation
mode), loss and gradients of one training step (training mode, cross-entropy, no dropout), `grad.<parameter>` for each
trained parameter by torch's name, and `exact.<parameter>`: the same gradient as torch computes it in float64, rounded.
scripts/check-torchvision.ts compares subbyte with them.

Needs Debian's python3-torch and python3-torchvision: /usr/bin/python3 scripts/export-torchvision.py FOLDER [name ...]
"""

import json
import struct
import sys
from pathlib import Path

import numpy
import torch
import torchvision
from torch.onnx import TrainingMode

# Side of the square image, batch, and how the model is exported: "kept" leaves BatchNormalization where it is.
NETWORKS = {
    "resnet18": (64, 4, "kept"),
    "resnet18-folded": (64, 4, "folded"),
    "resnet18-training": (64, 4, "training"),
    "resnet50": (64, 4, "kept"),
    "mobilenet_v2": (64, 4, "kept"),
    "mobilenet_v3_small": (64, 4, "kept"),
    "shufflenet_v2_x1_0": (64, 4, "kept"),
    "vgg11_bn": (224, 2, "kept"),
    "efficientnet_b0": (64, 4, "kept"),
    "squeezenet1_1": (64, 4, "kept"),
    "densenet121": (64, 4, "kept"),
    "vit_b_16": (64, 2, "train-mode"),
}


def build(name, side):
    torch.manual_seed(0)
    options = {"num_classes": 10}
    architecture = name.split("-")[0]
    if architecture == "vit_b_16":
        options["image_size"] = side
    model = getattr(torchvision.models, architecture)(weights=None, **options)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if type(module).__name__ == "StochasticDepth":
            module.p = 0.0
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            # Statistics and scales that are not their initial values, so that a mix-up shows.
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.8, 1.3)
            module.weight.data.uniform_(0.7, 1.3)
            module.bias.data.uniform_(-0.2, 0.2)
    if architecture == "vit_b_16":
        torch.nn.init.normal_(model.heads.head.weight, std=0.05)
    return model


def write_safetensors(path, tensors):
    header, offset, chunks = {}, 0, []
    for name, tensor in tensors.items():
        array = numpy.ascontiguousarray(tensor.detach().numpy())
        kind = {"float32": "F32", "int64": "I64"}[str(array.dtype)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
        chunks.append(array.tobytes())
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for chunk in chunks:
            file.write(chunk)


def step(model, x, labels):
    """The loss and the gradients of one training step, by the names of the parameters."""
    model.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(x), labels)
    loss.backward()
    return loss, {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None}


def export(name, folder):
    side, batch, how = NETWORKS[name]
    model = build(name, side)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, 3, side, side, generator=generator)
    labels = torch.randint(0, 10, (batch,), generator=generator)
    model.eval()
    with torch.no_grad():
        output = model(x)
    training = {"kept": TrainingMode.PRESERVE, "folded": TrainingMode.EVAL}.get(how, TrainingMode.TRAINING)
    model.train(how in ("training", "train-mode"))
    # Exporting in training mode runs the model, which moves the running statistics.
    state = {key: value.clone() for key, value in model.state_dict().items()}
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
        # The file holds the statistics as the export left them.
        model.eval()
        with torch.no_grad():
            output = model(x)
    model.load_state_dict(state)
    model.train()
    loss, gradients = step(model, x, labels)
    model.load_state_dict(state)
    _, exact = step(model.double(), x.double(), labels)
    tensors = {"input": x, "labels": labels, "output": output, "loss": loss}
    for key, gradient in gradients.items():
        tensors[f"grad.{key}"] = gradient
        tensors[f"exact.{key}"] = exact[key].float()
    write_safetensors(folder / f"{name}.safetensors", tensors)
    print(f"{name}: loss {loss.item():.6f}", flush=True)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or NETWORKS:
        try:
            export(name, folder)
        except Exception as error:  # one network that this torch cannot export must not hide the others
            print(f"{name}: not exported: {error}", flush=True)


main()
