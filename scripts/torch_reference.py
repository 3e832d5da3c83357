"""What torch computes with a network, as the reference that scripts/check-torch.ts compares subbyte with.

Written for the scripts export-torchvision.py and export-dynamo.py. A reference is a file of safetensors with input, labels,
output (evaluation mode), loss and gradients of one training step (cross-entropy): `grad.<parameter>` in float32 and
`exact.<parameter>`, which torch computed in float64; perhaps `value.<parameter>`.
"""

import contextlib
import copy
import json
import struct

import numpy
import torch

CLASSES = 10
# How far torch's float32 gradients may be from each other at the batch that is compared, computed in how many ways, with
# outputs of layers how far off (float32's own rounding is 6e-8), and from float64.
ACCURATE = 5e-4
WAYS = 12
ROUNDING = 1e-7
BATCHES = 60
# After as many batches of momentum 0.1 a running statistic is within 4 % of its way.
SETTLING = 30


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


def settled(model, data, batch):
    """Lets the running statistics follow the data, as those of a network do that was trained."""
    model.train()
    with torch.no_grad():
        for _ in range(SETTLING):
            model(data.batch(batch)[0])
    return model


class Images:
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


def nonzero(gradients):
    """The names of the float64 gradients that are not zero but for rounding, as that of a bias before a normalization is."""
    largest = max(value.norm() for value in gradients.values())
    return [key for key, value in gradients.items() if value.norm() > 1e-9 * largest]


def farthest(gradients, others, names):
    """The largest relative error of a tensor."""
    return max(((gradients[key].double() - others[key]).norm() / others[key].norm()).item() for key in names)


@contextlib.contextmanager
def computed_otherwise(model, generator):
    """While it lasts, dense convolutions and products add their input channels in another order, and round once more."""

    def turned(module, function):
        order = torch.randperm(module.weight.shape[1], generator=generator)
        axis = 1 if isinstance(module, torch.nn.Conv2d) else -1

        def forward(x):
            y = function(x.index_select(axis, order), module.weight[:, order])
            return y * (1 + ROUNDING * torch.randn(y.shape, generator=generator))

        return forward

    modules = []
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d) and module.groups == 1 and module.padding_mode == "zeros":
            module.forward = turned(module, lambda x, w, m=module: m._conv_forward(x, w, m.bias))
        elif type(module) is torch.nn.Linear:
            module.forward = turned(module, lambda x, w, m=module: torch.nn.functional.linear(x, w, m.bias))
        else:
            continue
        modules.append(module)
    try:
        yield model
    finally:
        for module in modules:
            del module.forward


def accurate_step(model, data, batch):
    """The first batch at which float32 gradients are accurate, with the step there.

    A gradient is not continuous where a ReLU's input is zero or two inputs of a maximum are equal. Among millions of
    activations some lie within rounding of such a place, and then two correct programs differ by what that activation
    weighs: in vgg11_bn one window of 1.5 million moved 16 gradients by up to 4e-2. Only torch is asked whether a batch is
    free of them: its float32 gradients must be the same in all ways of computing them, and those of float64. Returns the
    batch, the step and the number of tries.
    """
    best = None
    generator = torch.Generator().manual_seed(2)
    twin = copy.deepcopy(model).double()

    def exact_step(x, labels):
        return step(twin, x.double() if x.is_floating_point() else x, labels)[1]

    names = None
    for tries in range(1, BATCHES + 1):
        x, labels = data.batch(batch)
        names = names or nonzero(exact_step(x, labels))
        loss, gradients = step(model, x, labels)
        error = 0
        for _ in range(WAYS):
            if error < ACCURATE:
                with computed_otherwise(model, generator):
                    error = max(error, farthest(step(model, x, labels)[1], gradients, names))
        if error < ACCURATE:
            with torch.backends.mkldnn.flags(enabled=False):
                error = max(error, farthest(step(model, x, labels)[1], gradients, names))
        exact = exact_step(x, labels) if error < ACCURATE else None
        if exact is not None:
            error = max(error, farthest(gradients, exact, names))
        if best is None or error < best[0]:
            best = (error, x, labels, loss, gradients, exact)
        if error < ACCURATE:
            break
    error, x, labels, loss, gradients, exact = best
    return (error, x, labels, loss, gradients, exact or exact_step(x, labels)), tries


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
