#!/usr/bin/env python3
"""Trains twelve small networks in PyTorch and exports them as ONNX, as a user has them: the files of bench/pretrained.ts.

They learn 10 classes of Fashion-MNIST in colour at 32x32 from 1,500 images. OUT/data holds other images: 400 to train on and 300
to test on. Half of the files come from the exporter of torch.export (dynamo), the others from the one of TorchScript,
all in evaluation mode, so that BatchNorm is folded where the exporter does so.

Needs torch 2.5 or later, torchvision, onnx, onnxscript and pillow:
  python3 bench/pretrained-networks.py FOLDER-OF-FASHION-MNIST OUT [name ...]
"""

import gzip
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from PIL import Image
from torch import nn

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
CLASSES, SIDE, MEAN, STD, TRAINED = 10, 32, 0.2860, 0.3530, 1500


def conv(i, o, stride=1, groups=1, kernel=3, norm=True, act=nn.ReLU):
    layers = [nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=groups, bias=not norm)]
    return nn.Sequential(*layers, *([nn.BatchNorm2d(o)] if norm else []), act())


class Block(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.a, self.b = conv(i, o, stride), nn.Sequential(nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o))
        self.skip = nn.Identity() if i == o and stride == 1 else nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        return F.relu(self.b(self.a(x)) + self.skip(x))


def head(features):
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, CLASSES)]


def vgg(norm):
    return nn.Sequential(conv(3, 32, norm=norm), nn.MaxPool2d(2), conv(32, 64, norm=norm), nn.MaxPool2d(2), conv(64, 96, norm=norm), conv(96, 96, norm=norm), *head(96))


def depthwise():
    pair = lambda i, o, stride: [conv(i, i, stride, groups=i), conv(i, o, kernel=1)]
    return nn.Sequential(conv(3, 24, 2), *pair(24, 48, 1), *pair(48, 64, 2), *pair(64, 96, 1), *head(96))


class ConvNeXt(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.stem = nn.Conv2d(3, d, 4, 4)
        self.blocks = nn.ModuleList([nn.ModuleDict(dict(c=nn.Conv2d(d, d, 7, 1, 3, groups=d), n=nn.LayerNorm(d), f=nn.Linear(d, 4 * d), g=nn.Linear(4 * d, d))) for _ in range(3)])
        self.head = nn.Linear(d, CLASSES)

    def forward(self, x):
        x = self.stem(x)
        for b in self.blocks:
            x = x + b["g"](F.gelu(b["f"](b["n"](b["c"](x).permute(0, 2, 3, 1))))).permute(0, 3, 1, 2)
        return self.head(x.mean((2, 3)))


def vision_transformer():
    m = torchvision.models.VisionTransformer(image_size=SIDE, patch_size=8, num_layers=2, num_heads=4, hidden_dim=64, mlp_dim=128, num_classes=CLASSES)
    nn.init.normal_(m.heads.head.weight, std=0.1)
    return m


def zoo(name, **options):
    return lambda: getattr(torchvision.models, name)(weights=None, num_classes=CLASSES, **options)


NETWORKS = {  # learning rate of the training in PyTorch (Adam)
    "resnet8": (lambda: nn.Sequential(conv(3, 16), Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2), *head(64)), 2e-3),
    "resnet18": (zoo("resnet18"), 1e-3),
    "mobilenet_v2": (zoo("mobilenet_v2", dropout=0.0), 2e-3),
    "mobilenet_v3_small": (zoo("mobilenet_v3_small", dropout=0.0), 2e-3),
    "shufflenet_v2": (zoo("shufflenet_v2_x0_5"), 3e-3),
    "mnasnet": (zoo("mnasnet0_5", dropout=0.0), 2e-3),
    "squeezenet": (zoo("squeezenet1_1", dropout=0.0), 5e-4),
    "vgg": (lambda: vgg(False), 1e-3),
    "vgg_bn": (lambda: vgg(True), 2e-3),
    "depthwise": (depthwise, 3e-3),
    "convnext": (ConvNeXt, 1e-3),
    "vit": (vision_transformer, 1e-3),
}


def load(folder, part):
    read = lambda kind, skip: np.frombuffer(gzip.open(Path(folder) / f"{part}-{kind}-ubyte.gz").read(), np.uint8)[skip:]
    images, labels = read("images-idx3", 16).reshape(-1, 28, 28), read("labels-idx1", 8)
    return np.pad(images, ((0, 0), (2, 2), (2, 2))), labels


def tensor(images):
    return ((torch.tensor(images).float() / 255 - MEAN) / STD)[:, None].repeat(1, 3, 1, 1)


def write_images(out, images, labels):
    for index, (image, label) in enumerate(zip(images, labels)):
        folder = Path(out) / f"class{label}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).convert("RGB").save(folder / f"{index:04d}.png")


def main():
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    images, labels = load(source, "train")
    if not (out / "data").exists():
        write_images(out / "data" / "train", images[4000:4400], labels[4000:4400])
        write_images(out / "data" / "test", images[4400:4700], labels[4400:4700])
    x, y = tensor(images[:TRAINED]), torch.tensor(labels[:TRAINED]).long()
    xt, yt = tensor(images[4400:4700]), torch.tensor(labels[4400:4700]).long()
    for index, name in enumerate(NETWORKS):
        if sys.argv[3:] and name not in sys.argv[3:]:
            continue
        make, rate = NETWORKS[name]
        torch.manual_seed(index)
        began, model = time.time(), make()
        steps = TRAINED // 64 * 4
        optimizer = torch.optim.AdamW(model.parameters(), rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps)
        model.train()
        for step in range(steps):
            if step % (TRAINED // 64) == 0:
                order = torch.randperm(TRAINED)
            at = order[(step % (TRAINED // 64)) * 64 :][:64]
            loss = F.cross_entropy(model(x[at]), y[at])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        model.eval()
        with torch.no_grad():
            accuracy = (model(xt).argmax(1) == yt).float().mean().item()
        file, example = str(out / f"{name}.onnx"), (xt[:2],)
        if index % 2 == 0:
            torch.onnx.export(model, example, file, dynamo=True, input_names=["x"], output_names=["y"], verbose=False,
                              dynamic_shapes=({0: torch.export.Dim("batch")},), external_data=False)
        else:
            torch.onnx.export(model, example, file, dynamo=False, opset_version=17, input_names=["x"], output_names=["y"],
                              dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}})
        print(f"{name} {100 * accuracy:.2f} % {'dynamo' if index % 2 == 0 else 'torchscript'} {time.time() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
