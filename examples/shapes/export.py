#!/usr/bin/env python3
"""Trains the small residual network of shapes.onnx in PyTorch and exports it as users do: in evaluation mode, with BatchNorm folded.

  npx tsx scripts/draw-shapes.ts drawn 800 7
  python3 examples/shapes/export.py drawn/train examples/shapes/shapes.onnx [dynamo|torchscript]

Needs torch 2.5 or later, torchvision, onnx and onnxscript. shapes.onnx was written by torch 2.15 (dynamo).
"""

import sys

import torch
import torchvision
from torch import nn
from torchvision import transforms

torch.manual_seed(0)
torch.set_num_threads(1)


def normalized(i, o, kernel, stride):
    return nn.Sequential(nn.Conv2d(i, o, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(o))


class Block(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.first, self.second = normalized(i, o, 3, stride), normalized(o, o, 3, 1)
        self.skip = nn.Identity() if i == o and stride == 1 else normalized(i, o, 1, stride)

    def forward(self, x):
        return torch.relu(self.second(torch.relu(self.first(x))) + self.skip(x))


def network(classes):
    body = [normalized(3, 8, 3, 1), nn.ReLU(), Block(8, 16, 2), Block(16, 24, 2)]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, classes))


def main():
    folder, out, exporter = sys.argv[1], sys.argv[2], (sys.argv[3:] or ["dynamo"])[0]
    to_tensor = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
    images = torchvision.datasets.ImageFolder(folder, to_tensor)
    x, y = torch.stack([image for image, _ in images]), torch.tensor(images.targets)
    model, epochs, batch = network(len(images.classes)), 14, 64
    optimizer = torch.optim.AdamW(model.parameters(), 4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, epochs * (len(x) // batch))
    for epoch in range(epochs):
        for at in torch.randperm(len(x)).split(batch)[: len(x) // batch]:
            loss = nn.functional.cross_entropy(model(x[at]), y[at])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1} loss {loss.item():.4f}", flush=True)
    model.eval()
    names = {"input_names": ["image"], "output_names": ["scores"]}
    if exporter == "dynamo":
        torch.onnx.export(model, (x[:2],), out, dynamo=True, dynamic_shapes=({0: torch.export.Dim("batch")},), external_data=False, **names)
    else:
        torch.onnx.export(model, (x[:2],), out, dynamo=False, dynamic_axes={"image": {0: "batch"}, "scores": {0: "batch"}}, **names)


if __name__ == "__main__":
    main()
