"""A training step of PyTorch, as a peer of bench/train-step.ts: `torch_step_models.py float|qat BATCH MODEL [STEPS]`.

`qat` is torch.ao's FakeQuantize with EMA min-max observers, W4A4, weights per channel, Conv-BN(-ReLU) fused, as subbyte's
preset `minmax` (and as ../shared/peers/torch_step.py for ResNet-20). MODEL:

- resnet18: torchvision's, with the 3x3 stem of stride 1 and without max pooling (the CIFAR stem), width 64;
- mobilenetv2: torchvision's, width 1.0, the strides of its stem and of its second stage set to 1, without dropout. Its form
  for quantization has ReLU in place of ReLU6, because PyTorch fuses only that; subbyte's has ReLU6 in both.
"""
import sys
import time

import torch
import torch.ao.quantization as tq
import torch.nn as nn
import torch.nn.functional as F
import torchvision
import torchvision.models.quantization as quantizable
from torch.ao.quantization import FakeQuantize, MovingAverageMinMaxObserver, MovingAveragePerChannelMinMaxObserver, QConfig

torch.set_num_threads(2)
mode, batch, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
steps = int(sys.argv[4]) if len(sys.argv) > 4 else 10
models = torchvision.models if mode == "float" else quantizable


def make_resnet18():
    model = models.resnet18(num_classes=10)
    model.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    model.maxpool = nn.Identity()
    return model


def make_mobilenet():
    model = models.mobilenet_v2(num_classes=10, dropout=0.0)
    model.features[0][0].stride = (1, 1)
    model.features[2].conv[1][0].stride = (1, 1)
    return model


model = {"resnet18": make_resnet18, "mobilenetv2": make_mobilenet}[name]().train()
if mode != "float":
    model.fuse_model(is_qat=True)
    model.qconfig = QConfig(
        activation=FakeQuantize.with_args(
            observer=MovingAverageMinMaxObserver,
            quant_min=0,
            quant_max=15,
            dtype=torch.quint8,
            qscheme=torch.per_tensor_affine,
        ),
        weight=FakeQuantize.with_args(
            observer=MovingAveragePerChannelMinMaxObserver,
            quant_min=-8,
            quant_max=7,
            dtype=torch.qint8,
            qscheme=torch.per_channel_symmetric,
            ch_axis=0,
        ),
    )
    tq.prepare_qat(model, inplace=True)

optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)
x = torch.randn(batch, 3, 32, 32)
y = torch.randint(0, 10, (batch,))


def step():
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()


for _ in range(3):
    step()
times = []
for _ in range(steps):
    start = time.time()
    step()
    times.append(time.time() - start)
times.sort()
print(name, mode, "B", batch, "median s/step", round(times[steps // 2], 4), "min", round(times[0], 4))
