"""What torch computes with a network, as the reference that scripts/check-torch.ts compares subbyte with.

Written for the scripts export-torchvision.py and export-dynamo.py. A reference is a file of safetensors with input, labels,
output (evaluation mode), loss and gradients of one training step (cross-entropy): `grad.<parameter>` in float32 and
`exact.<parameter>`, which torch computed in float64; perhaps `value.<parameter>`.
"""

import copy
import json
import struct

import numpy
import torch

CLASSES = 10
# How far torch's float32 gradients may be from its float64 at the batch that is compared, and with how many disturbances
# of which size, that of a rounding of float32.
ACCURATE = 5e-4
DISTURBANCES = 2
ROUNDING = 1e-7
BATCHES = 20


def without_randomness(model):
    """The gradients of a step with dropout depend on the random numbers of the program."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout) or type(module).__name__ == "StochasticDepth":
            module.p = 0.0
        if isinstance(module, torch.nn.MultiheadAttention):
            module.dropout = 0.0
    return model


def conditioned(model):
    """Gives normalizations scales and statistics that are not their initial values, so that a mix-up shows.

    Their output is mostly on one side of zero. With the initial scale 1 and bias 0 it is nowhere denser than at zero, where
    the gradient of a ReLU jumps: then rounding alone decides some of millions of them, and moves whole gradients by 1e-2.
    """
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.8, 1.3)
            module.weight.data.uniform_(0.2, 0.3)
            module.bias.data.uniform_(0.5, 1.0)
    return model


class Pictures:
    """Batches of noise, with any labels."""

    def __init__(self, side):
        self.side = side
        self.generator = torch.Generator().manual_seed(1)

    def batch(self, size):
        x = torch.randn(size, 3, self.side, self.side, generator=self.generator)
        return x, torch.randint(0, CLASSES, (size,), generator=self.generator)


def step(model, x, labels):
    """The loss and the gradients of one training step, by the names of the parameters."""
    state = {key: value.clone() for key, value in model.state_dict().items()}
    model.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(x), labels)
    loss.backward()
    gradients = {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    # Training moves the running statistics, which are the exported ones.
    model.load_state_dict(state)
    return loss.detach(), gradients


def farthest(gradients, exact):
    """The largest relative error of a tensor, without those whose true gradient is zero."""
    largest = max(value.norm() for value in exact.values())
    kept = [key for key in exact if exact[key].norm() > 1e-9 * largest]
    return max(((gradients[key].double() - exact[key]).norm() / exact[key].norm()).item() for key in kept)


def disturbed(model, generator):
    """The same network with every weight a rounding off."""
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1 + ROUNDING * torch.randn(parameter.shape, generator=generator))
    return other


def accurate_step(model, data, batch):
    """The first batch at which float32 gradients are accurate, with the step there.

    A gradient is not continuous where a ReLU's input is zero or two inputs of a maximum are equal. Among millions of
    activations some lie within rounding of such a place, and then two correct programs differ by what that activation
    weighs. Only torch is asked whether a batch is free of them: its float32 gradients, as they are, with its other
    convolutions, and with weights that are a rounding off, must be those of float64. Returns the batch, the step and the
    number of tries.
    """
    best = None
    generator = torch.Generator().manual_seed(2)
    others = [disturbed(model, generator) for _ in range(DISTURBANCES)]
    twin = copy.deepcopy(model).double()
    for tries in range(1, BATCHES + 1):
        x, labels = data.batch(batch)
        loss, gradients = step(model, x, labels)
        _, exact = step(twin, x.double() if x.is_floating_point() else x, labels)
        error = farthest(gradients, exact)
        if error < ACCURATE:
            with torch.backends.mkldnn.flags(enabled=False):
                error = max(error, farthest(step(model, x, labels)[1], exact))
        for other in others:
            if error < ACCURATE:
                error = max(error, farthest(step(other, x, labels)[1], exact))
        if best is None or error < best[0]:
            best = (error, x, labels, loss, gradients, exact)
        if error < ACCURATE:
            break
    return best, tries


def fused(model):
    """The network that is in a file whose batch normalization the exporter folded into the convolutions."""
    from torch.fx.experimental.optimization import fuse

    network = fuse(model.eval())
    # The biases that folding adds would be fixed.
    return network.requires_grad_(True)


def write_reference(path, output, found, values=()):
    """The tensors of `values`, pairs of a name and a parameter, let a parameter be found that the exporter renamed."""
    _, x, labels, loss, gradients, exact = found
    tensors = {"input": x, "labels": labels, "output": output, "loss": loss}
    for key, gradient in gradients.items():
        tensors[f"grad.{key}"] = gradient
        tensors[f"exact.{key}"] = exact[key].float()
    for key, value in values:
        tensors[f"value.{key}"] = value
    write_safetensors(path, tensors)


def write_safetensors(path, tensors):
    header, offset, chunks = {}, 0, []
    for name, tensor in tensors.items():
        array = numpy.ascontiguousarray(tensor.detach().numpy())
        kind = {"float32": "F32", "int64": "I64"}[str(array.dtype)]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
        chunks.append(array.tobytes())
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for chunk in chunks:
            file.write(chunk)
