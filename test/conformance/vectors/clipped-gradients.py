"""Writes clipped-gradients.json: trajectories of optimizers behind torch.nn.utils.clip_grad_norm_.

    python3 test/conformance/vectors/clipped-gradients.py

Four parameters of a quadratic loss, one of them a scalar, five steps each. A step holds the gradients before
clipping, the norm that torch returns, and the parameters after the update. Limits are above and below the norms, so that some
steps are clipped and some are not. The numbers are drawn from a fixed seed, so that a second run writes the same file.
"""

import base64
import json
import os

import torch

torch.manual_seed(0)
torch.set_num_threads(1)

SHAPES = [(4, 3, 2), (5,), (), (2, 7)]
KINDS = {
    "sgd momentum": (torch.optim.SGD, dict(lr=0.1, momentum=0.9)),
    "sgd momentum weight decay": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, weight_decay=0.05)),
    "sgd nesterov": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, nesterov=True)),
    "adam": (torch.optim.Adam, dict(lr=0.05)),
    "adam weight decay": (torch.optim.Adam, dict(lr=0.05, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)),
    "adamw": (torch.optim.AdamW, dict(lr=0.05, weight_decay=0.1)),
}


def packed(tensor):
    data = base64.b64encode(tensor.detach().contiguous().numpy().astype("<f4").tobytes()).decode()
    return {"shape": list(tensor.shape), "base64": data}


def trajectory(name, kind, options, limit):
    starts = [torch.randn(shape) for shape in SHAPES]
    targets = [torch.randn(shape) for shape in SHAPES]
    values = [start.clone().requires_grad_(True) for start in starts]
    optimizer = kind(values, **options)
    steps = []
    for _ in range(5):
        optimizer.zero_grad()
        sum(((value - target) ** 2).sum() for value, target in zip(values, targets)).backward()
        gradients = [packed(value.grad) for value in values]
        norm = torch.nn.utils.clip_grad_norm_(values, limit)
        optimizer.step()
        steps.append({"gradients": gradients, "norm": norm.item(), "values": [packed(value) for value in values]})
    return {"name": f"{name}, limit {limit:g}", "optimizer": kind.__name__, "options": options, "limit": limit,
            "starts": [packed(start) for start in starts], "steps": steps}


trajectories = [trajectory(name, kind, options, limit)
                for name, (kind, options) in KINDS.items() for limit in (1e-3, 1.0, 17.0, 1e4)]
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clipped-gradients.json")
with open(path, "w") as file:
    lines = ",\n".join(json.dumps(item, separators=(",", ":")) for item in trajectories)
    file.write(f'{{"torch":"{torch.__version__.split("+")[0]}",\n"trajectories":[\n{lines}\n]}}\n')
clipped = sum(step["norm"] > item["limit"] for item in trajectories for step in item["steps"])
print(f"{len(trajectories)} trajectories, {clipped} of {5 * len(trajectories)} steps clipped")
