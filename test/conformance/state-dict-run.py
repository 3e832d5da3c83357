"""Runs a network of one convolution and one linear layer in torch, from the files of --format state_dict.

    python state-dict-run.py FOLDER        (packages torch and safetensors; FOLDER also holds case.json)

The weights enter by load_state_dict as their codes give them, the activations by torch's own fake quantization with the scales
of the files. Prints the logits.
"""

import json
import sys
from pathlib import Path

import torch

folder = Path(sys.argv[1])
sys.path.insert(0, str(folder))
from load_state_dict import load, load_file  # noqa: E402

case = json.loads((folder / "case.json").read_text())
_, quantized, config = load(folder)
scales = load_file(folder / "state_dict.safetensors")
sites = {site["layer"]: site for site in config["activations"]}


def rounded(x, layer):
    site = sites[layer]
    return torch.fake_quantize_per_tensor_affine(x, scales[site["scale"]].item(), 0, site["quantMin"], site["quantMax"])


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        channels, height, width = case["shape"]
        self.conv = torch.nn.Conv2d(channels, 4, 3, padding=1)
        self.fc = torch.nn.Linear(4 * height * width, 3)

    def forward(self, x):
        y = torch.relu(self.conv(rounded(x, "conv.input"))).flatten(1)
        return self.fc(rounded(y, "fc.input"))


model = Network()
model.load_state_dict(quantized)
shape = [-1, *case["shape"]]
print(json.dumps(model(torch.tensor(case["data"]).reshape(shape)).detach().flatten().tolist()))
