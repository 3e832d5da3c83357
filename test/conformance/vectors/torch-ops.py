"""Writes torch-ops.json: what torch computes, forward and backward, for the operators that subbyte differentiates.

    /usr/bin/python3 test/conformance/vectors/torch-ops.py        (Debian's python3-torch, 1.13)

Each case names an ONNX operator with its attributes, or one of subbyte's own, and holds the inputs, the outputs, random
`weights` of the first output, and the gradients of sum(weights * output) by the inputs that have one. Integers are plain
lists, float32 numbers are base64 of their little-endian bytes. `optimizers` holds trajectories of single steps.
The numbers are drawn from a fixed seed, so that a second run writes the same file.
"""

import base64
import json
import os

import numpy
import torch
import torch.nn.functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
cases = []


def packed(tensor):
    array = tensor.detach().contiguous().numpy()
    if array.dtype == numpy.int64:
        return {"dtype": "int64", "shape": list(array.shape), "values": array.reshape(-1).tolist()}
    data = base64.b64encode(array.astype("<f4").tobytes()).decode()
    return {"dtype": "float32", "shape": list(array.shape), "base64": data}


def random(*shape, low=-2.0, high=2.0):
    """Numbers in steps of 1/256, so that sums are the same in every order to a few roundings."""
    return torch.round((torch.rand(shape) * (high - low) + low) * 256) / 256


def case(name, op, inputs, function, attributes=None, wanted=None):
    """Runs `function` and records it; `wanted` lists the inputs to differentiate by, default all floats."""
    attributes = attributes or {}
    if wanted is None:
        wanted = [i for i, tensor in enumerate(inputs) if tensor.is_floating_point()]
    leaves = [t.clone().requires_grad_(i in wanted) if t.is_floating_point() else t for i, t in enumerate(inputs)]
    outputs = function(*leaves)
    outputs = list(outputs) if isinstance(outputs, tuple) else [outputs]
    weights = random(*outputs[0].shape)
    gradients = {}
    if wanted:
        found = torch.autograd.grad((outputs[0] * weights).sum(), [leaves[i] for i in wanted])
        gradients = {str(i): packed(gradient) for i, gradient in zip(wanted, found)}
    cases.append({
        "name": name,
        "op": op,
        "attributes": attributes,
        "inputs": [packed(tensor) for tensor in inputs],
        "outputs": [packed(output) for output in outputs],
        "weights": packed(weights),
        "gradients": gradients,
    })


def elementwise():
    pairs = {"same": ((3, 4), (3, 4)), "row": ((3, 4), (4,)), "column": ((2, 3, 4), (3, 1)), "both": ((3, 1), (1, 4))}
    functions = {"Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div}
    for op, function in functions.items():
        for kind, (a, b) in pairs.items():
            case(f"{op} {kind}", op, [random(*a), random(*b, low=0.5)], function)
    case("Pow", "Pow", [random(3, 4, low=0.5), random(4)], torch.pow)
    ties = torch.tensor([[-1.0, 0.0, 0.5, 2.0], [1.0, 0.0, 0.5, -3.0]])
    case("Max with ties", "Max", [ties, ties.flip(0)], torch.maximum)
    case("Min with ties", "Min", [ties, ties.flip(0)], torch.minimum)
    unary = {
        "Neg": torch.neg, "Abs": torch.abs, "Exp": torch.exp, "Erf": torch.erf, "Sigmoid": torch.sigmoid,
        "Tanh": torch.tanh, "HardSwish": F.hardswish, "Softplus": F.softplus, "Mish": F.mish,
    }
    kinks = torch.tensor([-4.0, -3.0, -1.5, 0.0, 1.5, 3.0, 4.0, 0.25])
    for op, function in unary.items():
        # At 3 torch's vectorized HardSwish has the slope 1, its scalar form 1.5, so there is nothing to agree with.
        points = kinks[kinks != 3] if op == "HardSwish" else kinks
        case(op, op, [torch.cat([random(8, low=-5, high=5), points])], function)
    for op, function in {"Sqrt": torch.sqrt, "Log": torch.log, "Reciprocal": torch.reciprocal}.items():
        case(op, op, [random(9, low=0.25)], function)
    for op, function in {"Round": torch.round, "Floor": torch.floor, "Ceil": torch.ceil, "Sign": torch.sign}.items():
        case(op, op, [torch.tensor([-2.5, -1.5, -0.5, -0.25, 0.0, 0.5, 1.5, 2.5, 3.75])], function)
    case("Relu", "Relu", [torch.cat([random(8), kinks])], F.relu)
    case("HardSigmoid", "HardSigmoid", [torch.cat([random(8, low=-5, high=5), kinks])], F.hardsigmoid,
         {"alpha": {"float": 1 / 6}, "beta": {"float": 0.5}})
    case("LeakyRelu", "LeakyRelu", [torch.cat([random(8), kinks])], lambda x: F.leaky_relu(x, 0.1),
         {"alpha": {"float": 0.1}})
    case("Elu", "Elu", [torch.cat([random(8), kinks])], lambda x: F.elu(x, 0.7), {"alpha": {"float": 0.7}})
    case("PRelu", "PRelu", [random(2, 3, 2, 2), random(3, 1, 1)], lambda x, s: F.prelu(x, s.reshape(-1)))
    case("Gelu exact", "Gelu", [random(12)], F.gelu, {"approximate": "none"})
    case("Gelu tanh", "Gelu", [random(12)], lambda x: F.gelu(x, approximate="tanh"), {"approximate": "tanh"})
    bounds = torch.tensor([-2.0, -1.0, -1.0 - 2**-23, -1.0 + 2**-24, 0.0, 0.5, 6.0, 6.0 + 2**-21, 6.0 - 2**-21, 7.0])
    case("Clip both", "Clip", [bounds], lambda x: torch.clamp(x, -1, 6), {"low": -1, "high": 6})
    case("Clip relu6", "Clip", [bounds], F.relu6, {"low": 0, "high": 6})
    case("Clip low", "Clip", [bounds], lambda x: torch.clamp(x, min=0.5), {"low": 0.5})
    case("Clip high", "Clip", [bounds], lambda x: torch.clamp(x, max=6), {"high": 6})
    condition = torch.tensor([1, 0, 1, 0])
    case("Where", "Where", [condition, random(3, 4), random(4)], lambda c, x, y: torch.where(c.bool(), x, y))


def shapes():
    x = random(2, 3, 4)
    case("Reshape", "Reshape", [x], lambda x: x.reshape(4, 6), {"shape": [4, -1]})
    case("Flatten", "Flatten", [random(2, 3, 2, 2)], lambda x: x.flatten(1), {"axis": 1})
    case("Transpose", "Transpose", [x], lambda x: x.permute(2, 0, 1), {"perm": [2, 0, 1]})
    case("Concat", "Concat", [x, random(2, 2, 4)], lambda x, y: torch.cat([x, y], 1), {"axis": 1})
    case("Pad", "Pad", [x], lambda x: F.pad(x, (1, 2, 0, 1), value=0.5), {"pads": [0, 0, 1, 0, 1, 2], "value": 0.5})
    case("Pad crop", "Pad", [x], lambda x: F.pad(x, (-1, 2)), {"pads": [0, 0, -1, 0, 0, 2]})
    case("Slice", "Slice", [x], lambda x: x[:, 1:3, 0:4:2],
         {"axes": [1, 2], "starts": [1, 0], "ends": [3, 4], "steps": [1, 2]})
    case("Slice step 3", "Slice", [random(11)], lambda x: x[1:11:3],
         {"axes": [0], "starts": [1], "ends": [99], "steps": [3]})
    case("Slice reversed", "Slice", [random(3, 5)], lambda x: x.flip(1)[:, ::2],
         {"axes": [1], "starts": [-1], "ends": [-99], "steps": [-2]})
    case("Expand", "Expand", [random(3, 1)], lambda x: x.expand(2, 3, 4), {"shape": [2, 3, 4]})
    case("Tile", "Tile", [random(2, 3)], lambda x: x.repeat(2, 3), {"repeats": [2, 3]})
    index = torch.tensor([[0, 2, 2], [1, 0, 2]])
    case("Gather axis 0", "Gather", [random(3, 4), index], lambda x, i: x[i], {"axis": 0})
    case("Gather axis 1", "Gather", [random(2, 3, 4), index], lambda x, i: x[:, i], {"axis": 1})
    case("GatherElements", "GatherElements", [random(2, 3), index], lambda x, i: x.gather(1, i), {"axis": 1})
    case("DepthToSpace", "DepthToSpace", [random(1, 8, 2, 3)], lambda x: F.pixel_shuffle(x, 2),
         {"blocksize": 2, "mode": "CRD"})


def reductions():
    x = random(2, 3, 4)
    ties = torch.tensor([[1.0, 3.0, 3.0], [2.0, -1.0, 2.0]])
    for axes, keep in (([1], 1), ([0, 2], 0)):
        attributes = {"axes": axes, "keepdims": keep}
        dims, kept = tuple(axes), bool(keep)
        case(f"ReduceSum {axes}", "ReduceSum", [x], lambda x: x.sum(dims, kept), attributes)
        case(f"ReduceMean {axes}", "ReduceMean", [x], lambda x: x.mean(dims, kept), attributes)
        case(f"ReduceMax {axes}", "ReduceMax", [x], lambda x: x.amax(dims, kept), attributes)
        case(f"ReduceMin {axes}", "ReduceMin", [x], lambda x: x.amin(dims, kept), attributes)
        case(f"ReduceL2 {axes}", "ReduceL2", [x], lambda x: x.norm(dim=dims, keepdim=kept), attributes)
        case(f"ReduceLogSumExp {axes}", "ReduceLogSumExp", [x], lambda x: x.logsumexp(dims, kept), attributes)
    case("ReduceMax ties", "ReduceMax", [ties], lambda x: x.amax(1), {"axes": [1], "keepdims": 0})
    case("ReduceProd", "ReduceProd", [random(2, 3, low=0.5)], lambda x: x.prod(1), {"axes": [1], "keepdims": 0})
    case("CumSum", "CumSum", [x], lambda x: x.cumsum(1), {"axis": 1})
    for axis in (-1, 1):
        case(f"Softmax {axis}", "Softmax", [x], lambda x: x.softmax(axis), {"axis": axis})
        case(f"LogSoftmax {axis}", "LogSoftmax", [x], lambda x: x.log_softmax(axis), {"axis": axis})


def products():
    for a, b in (((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 1, 3, 4), (5, 4, 2)), ((4,), (4, 3)), ((2, 3, 4), (4,)),
                 ((3, 4), (2, 4, 5)), ((4,), (4,))):
        case(f"MatMul {list(a)} {list(b)}", "MatMul", [random(*a), random(*b)], torch.matmul)
    for ta in (0, 1):
        for tb in (0, 1):
            a, b = random(*((4, 3) if ta else (3, 4))), random(*((5, 4) if tb else (4, 5)))
            case(f"Gemm {ta}{tb}", "Gemm", [a, b, random(5)],
                 lambda a, b, c: 0.5 * (a.T if ta else a) @ (b.T if tb else b) + 2 * c,
                 {"transA": ta, "transB": tb, "alpha": {"float": 0.5}, "beta": {"float": 2}})
    case("Linear", "Gemm", [random(3, 6), random(4, 6), random(4)], F.linear, {"transB": 1})
    for equation, a, b in (("bij,bjk->bik", (2, 3, 4), (2, 4, 2)), ("bhqd,bhkd->bhqk", (1, 2, 3, 4), (1, 2, 2, 4)),
                           ("ij,j->i", (3, 4), (4,))):
        case(f"Einsum {equation}", "Einsum", [random(*a), random(*b)], lambda a, b: torch.einsum(equation, a, b),
             {"equation": equation})


def convolutions():
    kinds = {
        "3x3 padded": ((2, 3, 6, 5), (4, 3, 3, 3), dict(padding=1)),
        "stride 2": ((2, 3, 7, 6), (4, 3, 3, 3), dict(padding=1, stride=2)),
        "dilated": ((1, 2, 8, 7), (3, 2, 3, 3), dict(padding=2, dilation=2)),
        "stride and dilation": ((1, 2, 9, 8), (2, 2, 3, 2), dict(padding=(1, 0), stride=(2, 1), dilation=(1, 2))),
        "groups": ((2, 4, 5, 5), (6, 2, 3, 3), dict(padding=1, groups=2)),
        "depthwise": ((2, 4, 6, 6), (4, 1, 3, 3), dict(padding=1, groups=4)),
        "depthwise stride 2": ((2, 3, 7, 7), (6, 1, 3, 3), dict(padding=1, stride=2, groups=3)),
        "1x1": ((2, 5, 4, 4), (3, 5, 1, 1), dict()),
        "1x1 stride 2": ((2, 4, 5, 6), (3, 4, 1, 1), dict(stride=2)),
        "5x5 stride 3": ((1, 2, 11, 10), (3, 2, 5, 5), dict(padding=2, stride=3)),
    }
    for name, (x, w, options) in kinds.items():
        case(f"Conv {name}", "Conv", [random(*x), random(*w), random(w[0])],
             lambda x, w, b: F.conv2d(x, w, b, **options), window(options))
    case("Conv without bias", "Conv", [random(1, 2, 4, 4), random(3, 2, 3, 3)], lambda x, w: F.conv2d(x, w), window({}))
    case("Conv 1-D", "Conv", [random(2, 3, 9), random(4, 3, 3), random(4)],
         lambda x, w, b: F.conv1d(x, w, b, stride=2, padding=1),
         {"strides": [2], "pads": [1, 1], "dilations": [1], "group": 1})
    for name, options in {"plain": dict(), "stride 2": dict(stride=2, padding=1),
                          "output padding": dict(stride=2, padding=1, output_padding=1)}.items():
        extra = {"output_padding": [1, 1]} if "output_padding" in options else {}
        case(f"ConvTranspose {name}", "ConvTranspose", [random(1, 3, 4, 3), random(3, 2, 3, 3), random(2)],
             lambda x, w, b: F.conv_transpose2d(x, w, b, **options), {**window(options), **extra})


def pair(value):
    return list(value) if isinstance(value, tuple) else [value, value]


def window(options):
    padding = pair(options.get("padding", 0))
    return {
        "strides": pair(options.get("stride", 1)),
        "pads": padding + padding,
        "dilations": pair(options.get("dilation", 1)),
        "group": options.get("groups", 1),
    }


def normalization():
    x, scale, bias = random(3, 4, 3, 2), random(4, low=0.5), random(4)
    mean, variance = random(4), random(4, low=0.5)

    def train(x, scale, bias, mean, variance):
        running_mean, running_variance = mean.clone(), variance.clone()
        y = F.batch_norm(x, running_mean, running_variance, scale, bias, True, 0.1, 1e-5)
        return y, running_mean, running_variance

    def evaluate(x, scale, bias, mean, variance):
        return F.batch_norm(x, mean, variance, scale, bias, False, 0.1, 1e-5)

    inputs = [x, scale, bias, mean, variance]
    case("BatchNorm train", "BatchNormTrain", inputs, train,
         {"epsilon": {"float": 1e-5}, "momentum": {"float": 0.9}}, wanted=[0, 1, 2])
    case("BatchNorm train 2-D", "BatchNormTrain", [random(6, 3), random(3), random(3), random(3), random(3, low=0.5)],
         train, {"epsilon": {"float": 1e-5}, "momentum": {"float": 0.9}}, wanted=[0, 1, 2])
    case("BatchNorm evaluation", "BatchNormalization", inputs, evaluate, {"epsilon": {"float": 1e-5}},
         wanted=[0, 1, 2])
    case("LayerNormalization", "LayerNormalization", [random(2, 3, 4), random(4), random(4)],
         lambda x, s, b: F.layer_norm(x, (4,), s, b), {"axis": -1, "epsilon": {"float": 1e-5}})
    case("InstanceNormalization", "InstanceNormalization", [random(2, 3, 4, 4), random(3), random(3)],
         lambda x, s, b: F.instance_norm(x, weight=s, bias=b), {"epsilon": {"float": 1e-5}})
    case("GroupNormalization", "GroupNormalization", [random(2, 4, 3, 3), random(4), random(4)],
         lambda x, s, b: F.group_norm(x, 2, s, b), {"num_groups": 2, "epsilon": {"float": 1e-5}})


def pooling():
    def pool(name, op, x, function, kernel, stride, padding, **extra):
        pads = [padding] * (2 * len(kernel))
        case(name, op, [x], function, {"kernel_shape": kernel, "strides": [stride] * len(kernel), "pads": pads, **extra})

    x = random(2, 3, 7, 6)
    pool("MaxPool 2x2", "MaxPool", x, lambda x: F.max_pool2d(x, 2), [2, 2], 2, 0)
    pool("MaxPool overlapping", "MaxPool", x, lambda x: F.max_pool2d(x, 3, 2, 1), [3, 3], 2, 1)
    pool("MaxPool 3x3 stride 1", "MaxPool", x, lambda x: F.max_pool2d(x, 3, 1, 1), [3, 3], 1, 1)
    tied = torch.round(random(1, 2, 6, 6, low=-1, high=1))
    pool("MaxPool ties", "MaxPool", tied, lambda x: F.max_pool2d(x, 3, 2, 1), [3, 3], 2, 1)
    for include in (0, 1):
        pool(f"AveragePool count_include_pad={include}", "AveragePool", x,
             lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=bool(include)), [3, 3], 2, 1,
             count_include_pad=include)
    pool("AveragePool 2x2", "AveragePool", x, lambda x: F.avg_pool2d(x, 2), [2, 2], 2, 0)
    case("GlobalAveragePool", "GlobalAveragePool", [x], lambda x: F.adaptive_avg_pool2d(x, 1))


def losses():
    logits, labels = random(5, 7, low=-4, high=4), torch.tensor([3, 0, 6, 3, 1])
    for smoothing in (0.0, 0.1):
        case(f"cross-entropy smoothing={smoothing}", "cross-entropy", [logits, labels],
             lambda x, t: F.cross_entropy(x, t, label_smoothing=smoothing), {"labelSmoothing": smoothing})
    case("mean squared error", "mean-squared-error", [random(4, 3), random(4, 3)], F.mse_loss, wanted=[0])


def optimizers():
    start, target = random(6), random(6)
    kinds = {
        "sgd": (torch.optim.SGD, dict(lr=0.1)),
        "sgd momentum": (torch.optim.SGD, dict(lr=0.1, momentum=0.9)),
        "sgd nesterov": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, nesterov=True)),
        "sgd momentum weight decay": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, weight_decay=0.05)),
        "sgd nesterov weight decay": (torch.optim.SGD, dict(lr=0.1, momentum=0.9, weight_decay=0.05, nesterov=True)),
        "adam": (torch.optim.Adam, dict(lr=0.05)),
        "adam weight decay": (torch.optim.Adam, dict(lr=0.05, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)),
        "adamw": (torch.optim.AdamW, dict(lr=0.05, weight_decay=0.1)),
    }
    trajectories = []
    for name, (kind, options) in kinds.items():
        value = start.clone().requires_grad_(True)
        optimizer = kind([value], **options)
        steps = []
        for _ in range(5):
            optimizer.zero_grad()
            ((value - target) ** 2 * torch.arange(1, 7)).sum().backward()
            gradient = packed(value.grad)
            optimizer.step()
            steps.append({"gradient": gradient, "value": packed(value)})
        trajectories.append({"name": name, "optimizer": kind.__name__, "options": options, "start": packed(start),
                             "steps": steps})
    return trajectories


def windows_beyond():
    x = random(2, 3, 5, 6)
    modes = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    for mode, name in modes.items():
        case(f"Pad {mode}", "Pad", [x], lambda x: F.pad(x, (1, 2, 0, 3), mode=name),
             {"pads": [0, 0, 0, 1, 0, 0, 3, 2], "mode": mode})
    for include in (0, 1):
        case(f"AveragePool ceil_mode count_include_pad={include}", "AveragePool", [x],
             lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=bool(include)),
             {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4, "ceil_mode": 1, "count_include_pad": include})


for family in (elementwise, shapes, reductions, products, convolutions, normalization, pooling, losses):
    family()
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch-ops.json")
trajectories = optimizers()
# After the trajectories, whose numbers are drawn from the same seed.
windows_beyond()
with open(path, "w") as file:
    lines = lambda items: ",\n".join(json.dumps(item, separators=(",", ":")) for item in items)
    file.write(f'{{"torch":"{torch.__version__}",\n"cases":[\n{lines(cases)}\n],\n"optimizers":[\n{lines(trajectories)}\n]}}\n')
print(f"{len(cases)} cases, {len(trajectories)} trajectories, {os.path.getsize(path)} bytes")
