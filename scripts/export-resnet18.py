"""Trains torchvision's ResNet-18 on drawn shapes and exports it in the four ways of torch: both exporters, each in
evaluation and in training mode.

    python3 scripts/export-resnet18.py FOLDER [epochs]     # needs torch, torchvision, onnx, onnxscript and pillow

FOLDER/images/train and FOLDER/images/val hold 480 and 120 images of 48 x 48 in 4 classes; FOLDER/torch.json what torch says to the
held-out images, and how many of them are right for each file. 22 epochs (the default) take 8 minutes on a busy core.
"""

import copy
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image, ImageDraw

classes = ["circle", "cross", "square", "triangle"]
mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def outline(kind, x, y, radius, angle):
    """The corners of a shape."""
    if kind == "circle":
        corners = [(math.cos(i * math.pi / 24), math.sin(i * math.pi / 24)) for i in range(48)]
    elif kind == "square":
        corners = [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)]
    elif kind == "triangle":
        corners = [(0, -1.1), (0.95, 0.75), (-0.95, 0.75)]
    else:
        a, b = 0.32, 1.05
        corners = [(-a, -b), (a, -b), (a, -a), (b, -a), (b, a), (a, a), (a, b), (-a, b), (-a, a), (-b, a), (-b, -a), (-a, -a)]
    turn = lambda p: (x + radius * (p[0] * math.cos(angle) - p[1] * math.sin(angle)), y + radius * (p[0] * math.sin(angle) + p[1] * math.cos(angle)))
    return [turn(p) for p in corners]


def draw(kind, random, side=48):
    """A faint shape in noise, in part behind a bar."""
    base = random.uniform(60, 190, 3)
    sign = random.choice([-1, 1])
    front = np.clip(base + sign * random.uniform(45, 120) * random.uniform(0.6, 1.4, 3), 0, 255)
    image = Image.new("RGB", (side * 4, side * 4), tuple(int(c) for c in base))
    pen = ImageDraw.Draw(image)
    radius = random.uniform(9, 16)
    x, y = random.uniform(radius, side - radius, 2)
    corners = outline(kind, x, y, radius, random.uniform(-0.6, 0.6))
    pen.polygon([(4 * a, 4 * b) for a, b in corners], fill=tuple(int(c) for c in front))
    bar = tuple(int(c) for c in random.uniform(40, 220, 3))
    start, angle = random.uniform(0, side, 2), random.uniform(0, math.pi)
    far = (start[0] + 60 * math.cos(angle), start[1] + 60 * math.sin(angle))
    pen.line([(4 * start[0], 4 * start[1]), (4 * far[0], 4 * far[1])], fill=bar, width=int(random.uniform(6, 16)))
    pixels = np.asarray(image.resize((side, side), Image.Resampling.BOX), np.float32)
    pixels = pixels + random.normal(0, random.uniform(3, 12), pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def images(folder):
    """Draws the images: of each class, 120 to train on and 30 held out."""
    for kind in classes:
        random = np.random.default_rng([7, classes.index(kind)])
        for index in range(150):
            target = folder / ("val" if index % 5 == 4 else "train") / kind
            target.mkdir(parents=True, exist_ok=True)
            draw(kind, random).save(target / f"{index:04d}.png")


def read(folder):
    """[N,3,48,48] as torchvision normalizes it, and labels."""
    files = sorted(folder.glob("*/*.png"))
    arrays = [np.asarray(Image.open(file).convert("RGB"), np.float32) / 255 for file in files]
    x = (np.stack(arrays) - np.float32(mean)) / np.float32(std)
    return torch.tensor(x.transpose(0, 3, 1, 2).copy()), torch.tensor([classes.index(f.parent.name) for f in files]), files


def main():
    folder = Path(sys.argv[1])
    epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 22
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images(folder / "images")
    x, y, _ = read(folder / "images" / "train")
    vx, vy, files = read(folder / "images" / "val")
    model = torchvision.models.resnet18(num_classes=4)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.5e-3, epochs * (len(x) // 16))
    start = time.time()
    for epoch in range(epochs):
        model.train()
        for part in torch.randperm(len(x)).split(16):
            batch = x[part]
            if torch.rand(()) < 0.5: batch = batch.flip(3)
            if torch.rand(()) < 0.5: batch = batch.flip(2)
            batch = torch.roll(batch, (int(torch.randint(-3, 4, ())), int(torch.randint(-3, 4, ()))), (2, 3))
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(batch), y[part], label_smoothing=0.05).backward()
            optimizer.step()
            schedule.step()
        model.eval()
        with torch.no_grad():
            answer = model(vx).argmax(1)
        print(f"epoch {epoch} {(answer == vy).float().mean().item():.4f} {time.time() - start:.0f} s", flush=True)
    torch.save(model.state_dict(), folder / "resnet18.pt")
    result = {"evaluation": held_out(model, folder), "files": export(model, folder)}
    (folder / "torch.json").write_text(json.dumps(result, indent=1))


def held_out(model, folder):
    """What torch says to the held-out images."""
    x, y, files = read(folder / "images" / "val")
    model.eval()
    with torch.no_grad():
        answer = model(x).argmax(1)
    said = {str(f.relative_to(folder / "images" / "val")): classes[int(a)] for f, a in zip(files, answer)}
    return {"accuracy": (answer == y).double().mean().item(), "right": int((answer == y).sum()), "of": len(y), "said": said}


def export(trained, folder):
    """Writes the four files; returns the accuracy of each: an export in training mode changes the running statistics."""
    sample = read(folder / "images" / "train")[0][::8].contiguous()
    names = {"input_names": ["image"], "output_names": ["score"]}
    accuracies = {}
    for training in (False, True):
        mode = "train" if training else "eval"
        kind = torch.onnx.TrainingMode.TRAINING if training else torch.onnx.TrainingMode.EVAL
        model = copy.deepcopy(trained).train(training)
        torch.onnx.export(
            model, (sample,), folder / f"legacy-{mode}.onnx", opset_version=17, dynamo=False, training=kind,
            do_constant_folding=not training, dynamic_axes={"image": {0: "batch"}, "score": {0: "batch"}}, **names,
        )
        accuracies[f"legacy-{mode}"] = held_out(model, folder)["right"]
        model = copy.deepcopy(trained).train(training)
        torch.onnx.export(
            model, (sample,), folder / f"dynamo-{mode}.onnx", dynamo=True, external_data=False,
            dynamic_shapes={"x": {0: torch.export.Dim("batch")}}, **names,
        )
        accuracies[f"dynamo-{mode}"] = held_out(model, folder)["right"]
    return accuracies


if __name__ == "__main__":
    main()
