"""Executes an ONNX graph with torch in float64 or float32, differentiable in its initializers: a second reader of the same file.

In training BatchNormalization normalizes by the batch, and dropout does nothing. Operators that are missing raise KeyError, so
that a file is left out instead of compared with a guess.
"""

import numpy
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper


def tensor_of(proto, folder):
    return torch.from_numpy(numpy.array(numpy_helper.to_array(proto, folder)))


def wide(value):
    return value.to(torch.get_default_dtype()) if value.is_floating_point() else value


def attributes_of(node):
    values = {}
    for a in node.attribute:
        value = onnx.helper.get_attribute_value(a)
        values[a.name] = value.decode() if isinstance(value, bytes) else value
    return values


FLOATS = (1, 10, 11)
DTYPES = {6: torch.int32, 7: torch.int64, 9: torch.bool, 2: torch.uint8}


def ints(value):
    return [int(v) for v in value.reshape(-1).tolist()]


def paired(pads):
    """ONNX's begins and ends as F.pad takes them."""
    half = len(pads) // 2
    return [p for d in reversed(range(half)) for p in (pads[d], pads[d + half])]


def spatial_pads(a, x, kernel, stride, dilation):
    mode = a.get("auto_pad", "NOTSET")
    dims = len(kernel)
    if mode in ("NOTSET", ""):
        return list(a.get("pads", [0] * 2 * dims))
    if mode == "VALID":
        return [0] * 2 * dims
    begins, ends = [], []
    for i in range(dims):
        size = x.shape[2 + i]
        total = max(0, (-(-size // stride[i]) - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + 1 - size)
        small = total // 2
        begins.append(small if mode == "SAME_UPPER" else total - small)
        ends.append(total - begins[-1])
    return begins + ends


def conv(a, x, w, b=None):
    dims = w.dim() - 2
    stride, dilation = a.get("strides", [1] * dims), a.get("dilations", [1] * dims)
    pads = spatial_pads(a, x, list(w.shape[2:]), stride, dilation)
    f = (F.conv1d, F.conv2d, F.conv3d)[dims - 1]
    return f(F.pad(x, paired(pads)), w, b, stride=stride, dilation=dilation, groups=a.get("group", 1))


def conv_transpose(a, x, w, b=None):
    dims = w.dim() - 2
    stride, dilation = a.get("strides", [1] * dims), a.get("dilations", [1] * dims)
    pads, extra = a.get("pads", [0] * 2 * dims), a.get("output_padding", [0] * dims)
    f = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[dims - 1]
    y = f(x, w, None, stride=stride, dilation=dilation, groups=a.get("group", 1))
    y = F.pad(y, paired([0] * dims + list(extra)))
    for i in range(dims):
        y = y.narrow(2 + i, pads[i], y.shape[2 + i] - pads[i] - pads[i + dims])
    return y if b is None else y + b.reshape(1, -1, *[1] * dims)


def windows(a, x, fill):
    kernel = a["kernel_shape"]
    dims = len(kernel)
    stride, dilation = a.get("strides", [1] * dims), a.get("dilations", [1] * dims)
    pads = spatial_pads(a, x, kernel, stride, dilation)
    # What ceil_mode adds lies beyond the padding: it never counts.
    inside = F.pad(torch.ones_like(x), paired(pads), value=1.0 if a.get("count_include_pad", 0) else 0.0)
    y = F.pad(x, paired(pads), value=fill)
    for i in range(dims):
        size, reach = y.shape[2 + i], dilation[i] * (kernel[i] - 1) + 1
        steps = -(-(size - reach) // stride[i]) if a.get("ceil_mode", 0) else (size - reach) // stride[i]
        # A window has to begin inside of the image or of the padding before it.
        if a.get("ceil_mode", 0) and steps * stride[i] >= x.shape[2 + i] + pads[i]:
            steps -= 1
        more = max(0, steps * stride[i] + reach - size)
        place = [0, 0] * (dims - 1 - i) + [0, more]
        y, inside = F.pad(y, place, value=fill), F.pad(inside, place)
        index = torch.arange(steps + 1)[:, None] * stride[i] + torch.arange(kernel[i])[None, :] * dilation[i]
        y, inside = (
            v.index_select(2 + i, index.reshape(-1)).unflatten(2 + i, index.shape).movedim(3 + i, -1) for v in (y, inside)
        )
    return y.flatten(2 + dims), inside.flatten(2 + dims)


def average_pool(a, x):
    y, inside = windows(a, x, 0.0)
    return y.sum(-1) / inside.sum(-1)


def max_pool(a, x):
    return windows(a, x, float("-inf"))[0].max(-1)[0]


def batch_norm(run, a, x, scale, bias, mean, var):
    shape = [1, -1, *[1] * (x.dim() - 2)]
    if run.training:
        dims = [d for d in range(x.dim()) if d != 1]
        mean, var = x.mean(dims), x.var(dims, unbiased=False)
    eps = a.get("epsilon", 1e-5)
    return (x - mean.reshape(shape)) / (var.reshape(shape) + eps).sqrt() * scale.reshape(shape) + bias.reshape(shape)


def axes_of(a, rest, rank):
    if "axes" in a:
        return list(a["axes"])
    if rest and rest[0] is not None:
        return ints(rest[0])
    return list(range(rank))


def reduced(f):
    return lambda a, x, *rest: f(x, axes_of(a, rest, x.dim()), bool(a.get("keepdims", 1)))


def layer_norm(a, x, scale, bias=None):
    axis = a.get("axis", -1) % x.dim()
    return F.layer_norm(x, x.shape[axis:], scale, bias, a.get("epsilon", 1e-5))


def grouped_norm(a, x, scale, bias):
    y = F.group_norm(x, a["num_groups"], None, None, a.get("epsilon", 1e-5))
    each = x.shape[1] // scale.shape[0]
    shape = [1, -1, *[1] * (x.dim() - 2)]
    return y * scale.repeat_interleave(each).reshape(shape) + bias.repeat_interleave(each).reshape(shape)


def rms_norm(a, x, scale):
    dims = list(range(a.get("axis", -1) % x.dim(), x.dim()))
    return x / (x.square().mean(dims, keepdim=True) + a.get("epsilon", 1e-5)).sqrt() * scale


def reshape(a, x, shape):
    return x.reshape([x.shape[i] if s == 0 and not a.get("allowzero") else s for i, s in enumerate(ints(shape))])


def pad(a, x, pads=None, value=None, axes=None):
    sizes = ints(pads) if pads is not None else a["pads"]
    mode = a.get("mode", "constant")
    rank = x.dim()
    which = ints(axes) if axes is not None else list(range(rank))
    y = x
    for i, axis in enumerate(which):
        before, after = sizes[i], sizes[i + len(which)]
        size = x.shape[axis]
        positions = torch.arange(-before, size + after)
        outside = (positions < 0) | (positions >= size)
        if mode == "reflect":
            positions = positions.abs()
            positions = torch.where(positions >= size, 2 * (size - 1) - positions, positions)
        elif mode == "wrap":
            positions = positions % size
        else:
            positions = positions.clamp(0, size - 1)
        y = y.index_select(axis, positions)
        if mode == "constant":
            shape = [1] * rank
            shape[axis] = -1
            fill = value.reshape(()).to(y.dtype) if value is not None else torch.tensor(a.get("value", 0.0), dtype=y.dtype)
            y = torch.where(outside.reshape(shape), fill, y)
    return y


def slices(a, x, starts=None, ends=None, axes=None, steps=None):
    starts = ints(starts) if starts is not None else a["starts"]
    ends = ints(ends) if ends is not None else a["ends"]
    axes = ints(axes) if axes is not None else a.get("axes", list(range(len(starts))))
    steps = ints(steps) if steps is not None else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps):
        positions = range(x.shape[axis])[slice(start, None if step < 0 and end < -x.shape[axis] else end, step)]
        x = x.index_select(axis, torch.tensor(list(positions), dtype=torch.int64))
    return x


def gemm(a, x, w, c=None):
    x = x.t() if a.get("transA", 0) else x
    w = w.t() if a.get("transB", 0) else w
    y = a.get("alpha", 1.0) * (x @ w)
    return y if c is None else y + a.get("beta", 1.0) * c


def gather(a, x, index):
    axis = a.get("axis", 0) % x.dim()
    index = torch.where(index < 0, index + x.shape[axis], index)
    y = x.index_select(axis, index.reshape(-1))
    return y.reshape([*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]])


def squeeze(a, x, axes=None):
    which = a.get("axes", ints(axes) if axes is not None else [d for d, s in enumerate(x.shape) if s == 1])
    for axis in sorted((d % x.dim() for d in which), reverse=True):
        x = x.squeeze(axis)
    return x


def unsqueeze(a, x, axes=None):
    which = a.get("axes", ints(axes) if axes is not None else [])
    rank = x.dim() + len(which)
    for axis in sorted(d % rank for d in which):
        x = x.unsqueeze(axis)
    return x


def split(run, a, x, sizes=None):
    axis = a.get("axis", 0)
    if sizes is not None or "split" in a:
        return x.split(ints(sizes) if sizes is not None else list(a["split"]), axis)
    return x.split(-(-x.shape[axis] // run.outputs), axis)


def softmax(function):
    def f(run, a, x):
        if run.opset >= 13:
            return function(x, a.get("axis", -1))
        axis = a.get("axis", 1) % x.dim()
        return function(x.flatten(axis), axis).reshape(x.shape)

    return f


def clip(a, x, low=None, high=None):
    low, high = (v if v is not None else a.get(n) for v, n in ((low, "min"), (high, "max")))
    if low is not None:
        x = torch.where(x < low, torch.as_tensor(low, dtype=x.dtype), x)
    if high is not None:
        x = torch.where(x > high, torch.as_tensor(high, dtype=x.dtype), x)
    return x


def resize(run, a, x, roi=None, scales=None, sizes=None):
    mode, place = a.get("mode", "nearest"), a.get("coordinate_transformation_mode", "half_pixel")
    out = ints(sizes) if sizes is not None and sizes.numel() else [int(s * f) for s, f in zip(x.shape, scales.tolist())]
    given = sizes is None or sizes.numel() == 0
    for axis, size in enumerate(out):
        old = x.shape[axis]
        factor = scales.tolist()[axis] if given else size / old
        if size == old and factor == 1:
            continue
        i = torch.arange(size, dtype=torch.get_default_dtype())
        if place == "asymmetric":
            at = i / factor
        elif place == "align_corners":
            at = i * (old - 1) / max(1, size - 1) if size > 1 else i * 0
        elif place == "pytorch_half_pixel" and size == 1:
            at = i * 0
        else:
            at = (i + 0.5) / factor - 0.5
        if mode == "nearest":
            assert a.get("nearest_mode", "round_prefer_floor") == "floor"
            x = x.index_select(axis, at.floor().long().clamp(0, old - 1))
            continue
        reach = 1 if mode == "linear" else 2
        shape = [1] * x.dim()
        shape[axis] = -1
        total = 0
        coefficient = a.get("cubic_coeff_a", -0.75)
        for offset in range(1 - reach, reach + 1):
            spot = at.floor() + offset
            d = (at - spot).abs()
            if mode == "linear":
                w = (1 - d).clamp(min=0)
            else:
                c = coefficient
                near = (c + 2) * d**3 - (c + 3) * d**2 + 1
                far = c * d**3 - 5 * c * d**2 + 8 * c * d - 4 * c
                w = torch.where(d <= 1, near, torch.where(d < 2, far, torch.zeros_like(d)))
            total = total + w.reshape(shape) * x.index_select(axis, spot.long().clamp(0, old - 1))
        x = total
    return x


def lrn(a, x):
    size, half = a["size"], (a["size"] - 1) // 2
    square = F.pad(x.square().movedim(1, -1), [half, size - 1 - half])
    total = square.unfold(-1, size, 1).sum(-1).movedim(-1, 1)
    return x / (a.get("bias", 1.0) + a.get("alpha", 1e-4) / size * total) ** a.get("beta", 0.75)


def cast(run, a, x):
    return x.to(torch.get_default_dtype() if a["to"] in FLOATS else DTYPES[a["to"]])


def constant(a):
    if "value" in a:
        return wide(torch.from_numpy(numpy.array(numpy_helper.to_array(a["value"]))))
    for name, dtype in (("value_float", None), ("value_floats", None), ("value_int", torch.int64), ("value_ints", torch.int64)):
        if name in a:
            return torch.tensor(a[name], dtype=dtype)
    raise KeyError("Constant")


def filled(a, shape):
    value = wide(torch.from_numpy(numpy.array(numpy_helper.to_array(a["value"])))) if "value" in a else torch.zeros(1)
    return value.reshape(()).expand(ints(shape)).clone()


def division(a, x, y):
    return x / y if x.is_floating_point() else torch.div(x, y, rounding_mode="trunc")


def depth_to_space(a, x):
    n, c, h, w = x.shape
    b = a["blocksize"]
    if a.get("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x, b)
    return x.reshape(n, b, b, c // b**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // b**2, h * b, w * b)


def space_to_depth(a, x):
    n, c, h, w = x.shape
    b = a["blocksize"]
    return x.reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4).reshape(n, c * b * b, h // b, w // b)


def expanded(a, x, shape):
    return x.expand(torch.broadcast_shapes(tuple(x.shape), tuple(ints(shape))))


def gelu(a, x):
    return F.gelu(x, approximate=a.get("approximate", "none"))


def prelu(a, x, slope):
    return torch.where(x < 0, x * slope, x)


def hard_sigmoid(a, x):
    return (a.get("alpha", 0.2) * x + a.get("beta", 0.5)).clamp(0, 1)


def lp_pool(a, x):
    p = a.get("p", 2)
    return windows(a, x.abs() ** p, 0.0)[0].sum(-1) ** (1 / p)


def instance_norm(a, x, scale, bias):
    return F.instance_norm(x, None, None, scale, bias, True, 0.1, a.get("epsilon", 1e-5))


def trilu(a, x, k=None):
    d = int(k) if k is not None else 0
    return x.triu(d) if a.get("upper", 1) else x.tril(d)


def unary(f):
    return lambda a, x: f(x)


def binary(f):
    return lambda a, x, y: f(x, y)


def folded(f):
    def run(a, *xs):
        y = xs[0]
        for x in xs[1:]:
            y = f(y, x)
        return y

    return run


OPERATORS = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Gemm": gemm,
    "MatMul": binary(torch.matmul),
    "Add": binary(torch.add),
    "Sub": binary(torch.sub),
    "Mul": binary(torch.mul),
    "Div": division,
    "Pow": lambda a, x, y: torch.pow(x, y.to(x.dtype)),
    "Max": folded(torch.maximum),
    "Min": folded(torch.minimum),
    "Sum": folded(torch.add),
    "Relu": unary(torch.relu),
    "LeakyRelu": lambda a, x: F.leaky_relu(x, a.get("alpha", 0.01)),
    "Elu": lambda a, x: F.elu(x, a.get("alpha", 1.0)),
    "Selu": lambda a, x: a.get("gamma", 1.0507009873554805)
    * torch.where(x > 0, x, a.get("alpha", 1.6732632423543772) * torch.expm1(x.clamp(max=0))),
    "Celu": lambda a, x: F.celu(x, a.get("alpha", 1.0)),
    "Gelu": gelu,
    "Mish": unary(F.mish),
    "HardSwish": unary(F.hardswish),
    "HardSigmoid": hard_sigmoid,
    "Swish": lambda a, x: x * torch.sigmoid(a.get("alpha", 1.0) * x),
    "Sigmoid": unary(torch.sigmoid),
    "Tanh": unary(torch.tanh),
    "Softplus": unary(F.softplus),
    "Softsign": unary(F.softsign),
    "Shrink": lambda a, x: torch.where(
        x > a.get("lambd", 0.5), x - a.get("bias", 0.0), torch.where(x < -a.get("lambd", 0.5), x + a.get("bias", 0.0), 0 * x)
    ),
    "ThresholdedRelu": lambda a, x: torch.where(x > a.get("alpha", 1.0), x, 0 * x),
    "PRelu": prelu,
    "Abs": unary(torch.abs),
    "Neg": unary(torch.neg),
    "Exp": unary(torch.exp),
    "Log": unary(torch.log),
    "Sqrt": unary(torch.sqrt),
    "Reciprocal": unary(torch.reciprocal),
    "Sin": unary(torch.sin),
    "Cos": unary(torch.cos),
    "Erf": unary(torch.erf),
    "Floor": unary(torch.floor),
    "Sign": unary(torch.sign),
    "IsNaN": unary(torch.isnan),
    "Not": unary(torch.logical_not),
    "And": binary(torch.logical_and),
    "Or": binary(torch.logical_or),
    "Equal": binary(torch.eq),
    "Less": binary(torch.lt),
    "Greater": binary(torch.gt),
    "LessOrEqual": binary(torch.le),
    "GreaterOrEqual": binary(torch.ge),
    "Where": lambda a, c, x, y: torch.where(c, x, y),
    "Clip": clip,
    "Identity": unary(lambda x: x),
    "Dropout": lambda a, x, *rest: x,
    "Constant": constant,
    "ConstantOfShape": filled,
    "Shape": lambda a, x: torch.tensor(list(x.shape)[a.get("start", 0) : a.get("end", None)], dtype=torch.int64),
    "Range": lambda a, s, e, d: torch.arange(s.item(), e.item(), d.item(), dtype=s.dtype),
    "Concat": lambda a, *xs: torch.cat(xs, a["axis"]),
    "Gather": gather,
    "Reshape": reshape,
    "Flatten": lambda a, x: x.reshape(int(numpy.prod(x.shape[: a.get("axis", 1)])), -1),
    "Transpose": lambda a, x: x.permute(a.get("perm", list(reversed(range(x.dim()))))),
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Expand": expanded,
    "Tile": lambda a, x, n: x.repeat(ints(n)),
    "Slice": slices,
    "Pad": pad,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "LpPool": lp_pool,
    "GlobalAveragePool": unary(lambda x: x.mean(list(range(2, x.dim())), keepdim=True)),
    "GlobalMaxPool": unary(lambda x: x.amax(list(range(2, x.dim())), keepdim=True)),
    "InstanceNormalization": instance_norm,
    "LayerNormalization": layer_norm,
    "GroupNormalization": grouped_norm,
    "RMSNormalization": rms_norm,
    "LRN": lrn,
    "LpNormalization": lambda a, x: x / x.norm(a.get("p", 2), a.get("axis", -1), keepdim=True),
    "CumSum": lambda a, x, axis: torch.cumsum(x, int(axis)),
    "Einsum": lambda a, *xs: torch.einsum(a["equation"], *xs),
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
    "Trilu": trilu,
    "ReduceMean": reduced(lambda x, d, k: x.mean(d, keepdim=k)),
    "ReduceSum": reduced(lambda x, d, k: x.sum(d, keepdim=k)),
    "ReduceMax": reduced(lambda x, d, k: x.amax(d, keepdim=k)),
    "ReduceMin": reduced(lambda x, d, k: x.amin(d, keepdim=k)),
    "ReduceL1": reduced(lambda x, d, k: x.abs().sum(d, keepdim=k)),
    # At zeros its gradient is zero, as that of the norm that it is exported from.
    "ReduceL2": reduced(lambda x, d, k: torch.linalg.vector_norm(x, 2, d, keepdim=k)),
    "ReduceSumSquare": reduced(lambda x, d, k: x.square().sum(d, keepdim=k)),
    "ReduceProd": reduced(lambda x, d, k: x.prod() if x.dim() == 1 else x.prod(d[0], keepdim=k)),
    "ReduceLogSumExp": reduced(lambda x, d, k: torch.logsumexp(x, d, keepdim=k)),
}
WITH_RUN = {
    "BatchNormalization": batch_norm,
    "Softmax": softmax(torch.softmax),
    "LogSoftmax": softmax(torch.log_softmax),
    "Resize": resize,
    "Split": split,
    "Cast": cast,
    "CastLike": lambda run, a, x, like: x.to(like.dtype),
}


class Run:
    """One file, in evaluation or training."""

    def __init__(self, model, folder, training, dtype=torch.float64):
        self.training, self.outputs, self.dtype = training, 1, dtype
        torch.set_default_dtype(dtype)
        self.opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        self.graph = model.graph
        self.parameters = {}
        for proto in model.graph.initializer:
            value = wide(tensor_of(proto, folder))
            self.parameters[proto.name] = value.requires_grad_(True) if value.is_floating_point() else value
        torch.set_default_dtype(torch.float32)

    def __call__(self, feeds):
        torch.set_default_dtype(self.dtype)
        try:
            return self.run(feeds)
        finally:
            torch.set_default_dtype(torch.float32)

    def run(self, feeds):
        values = {name: wide(value) for name, value in feeds.items()} | self.parameters | {"": None}
        for node in self.graph.node:
            if node.domain not in ("", "ai.onnx"):
                raise KeyError(f"{node.domain}.{node.op_type}")
            inputs = [values[name] for name in node.input]
            self.outputs = len(node.output)
            a = attributes_of(node)
            if node.op_type in WITH_RUN:
                result = WITH_RUN[node.op_type](self, a, *inputs)
            else:
                result = OPERATORS[node.op_type](a, *inputs)
            results = result if isinstance(result, (tuple, list)) else [result]
            values |= dict(zip(node.output, results))
        return [values[output.name] for output in self.graph.output]
