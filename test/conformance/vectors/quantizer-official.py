"""Vectors for the quantizers that torch does not have, from the arithmetic of their papers and official repositories.

Run with Debian's python3-torch:  /usr/bin/python3 test/conformance/vectors/quantizer-official.py
It writes quantizer-official.json beside itself. Forward values are float32, in the originals' order of operations;
gradients come from autograd over the straight-through form of each paper, so they are not subbyte's formulas.
"""
import json
import math
import os

import torch

torch.manual_seed(20)
cases = []


def through(hard, soft):
    """The value of `hard`, the gradient of `soft`."""
    return soft + (hard - soft).detach()


def flat(tensor):
    return [float("%.9g" % float(v)) for v in tensor.detach().float().flatten()]


def case(name, spec, x, parameters, compute, note=""):
    """Runs compute(x, **parameters) and records the values and the gradients for a random upstream gradient."""
    x = x.clone().requires_grad_(True)
    leaves = {key: torch.tensor(value, dtype=torch.float32).requires_grad_(True) for key, value in parameters.items()}
    y = compute(x, **leaves)
    dy = torch.randn(x.shape)
    y.backward(dy)
    cases.append({
        "name": name, "note": note, "spec": spec, "shape": list(x.shape), "x": flat(x), "dy": flat(dy), "y": flat(y),
        "dx": flat(x.grad if x.grad is not None else torch.zeros_like(x)),
        "parameters": {key: {"shape": list(leaf.shape), "values": flat(leaf)} for key, leaf in leaves.items()},
        "gradients": {key: flat(leaf.grad) for key, leaf in leaves.items() if leaf.grad is not None},
    })


def spec(quantizer, bits, signed, options=None, **more):
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2 ** bits - 1)
    return {"quantizer": quantizer, "bits": bits, "quantMin": low, "quantMax": high, "options": options or {}, **more}


def scaled_gradient(value, factor):
    return through(value, value * factor)


# --- LSQ+ (2004.09576, eq. 4-7): g = 1/sqrt(N * p) on scale and offset -----------------------------------------------
def lsq_plus(low, high):
    def run(x, scale, offset=None):
        g = 1.0 / math.sqrt(x.numel() * high)
        s = scaled_gradient(scale, g)
        moved = x if offset is None else x - scaled_gradient(offset, g)
        v = torch.clamp(moved / s, low, high)
        y = through(torch.round(v), v) * s
        return y if offset is None else y + scaled_gradient(offset, g)
    return run


for bits in (2, 3, 4, 8):
    case(f"lsq+ activations {bits}", spec("lsq+", bits, False), torch.randn(64) * 2,
         {"scale": 3.0 / (2 ** bits - 1), "offset": -0.6}, lsq_plus(0, 2 ** bits - 1))
    case(f"lsq+ weights {bits}", spec("lsq+", bits, True, {"offset": False}), torch.randn(8, 8),
         {"scale": 0.9 / 2 ** (bits - 1)}, lsq_plus(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))


# --- PACT (1805.06085, eq. 1-3) --------------------------------------------------------------------------------------
class Pact(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, alpha, n):
        ctx.save_for_backward(x, alpha)
        step = n / alpha
        return torch.round(torch.clamp(x, 0, alpha.item()) * step) / step

    @staticmethod
    def backward(ctx, dy):
        x, alpha = ctx.saved_tensors
        return dy * ((x >= 0) & (x <= alpha)), (dy * (x >= alpha)).sum(), None


for bits in (2, 4, 8):
    case(f"pact {bits}", spec("pact", bits, False), torch.randn(64) * 2, {"alpha": 2.3},
         lambda x, alpha, bits=bits: Pact.apply(x, alpha, 2 ** bits - 1),
         "the original divides by n/alpha, subbyte multiplies by alpha/n: one ulp")


# --- DoReFa (1606.06160, eq. 7-10; the maximum is a constant) ---------------------------------------------------------
def dorefa_weights(bits):
    def run(w):
        if bits == 1:
            scale = w.detach().abs().mean()
            return through(torch.where(w >= 0, scale, -scale), w)
        t = torch.tanh(w)
        r = t / (2 * t.detach().abs().max()) + 0.5
        n = 2 ** bits - 1
        return 2 * through(torch.round(r * n) / n, r) - 1
    return run


def dorefa_activations(bits):
    def run(x):
        n = 2 ** bits - 1
        clipped = torch.clamp(x, 0, 1)
        return through(torch.round(clipped * n) / n, clipped)
    return run


for bits in (1, 2, 3, 4, 8):
    case(f"dorefa weights {bits}", spec("dorefa", bits, True), torch.randn(64), {}, dorefa_weights(bits),
         "values are (2q - n) * (1/n) here and 2 * (q/n) - 1 there: one ulp of 1")
    case(f"dorefa activations {bits}", spec("dorefa", bits, False), torch.rand(64) * 1.6 - 0.3, {},
         dorefa_activations(bits))


# --- TQT (1903.08066, eq. 3-8) ---------------------------------------------------------------------------------------
def tqt(low, high):
    def run(x, log2_threshold):
        exponent = through(torch.ceil(log2_threshold), log2_threshold)
        s = torch.exp2(exponent) / (high + 1)
        v = x / s
        rounded = through(torch.round(v), v)
        return torch.clamp(rounded, low, high) * s
    return run


for bits in (2, 4, 8):
    for signed in (True, False):
        s = spec("tqt", bits, signed)
        case(f"tqt {bits} {'signed' if signed else 'unsigned'}", s, torch.randn(64) * 1.5, {"log2_threshold": 0.4},
             tqt(s["quantMin"], s["quantMax"]))


# --- EWGS (2104.00903, eq. 4): the discretizer of normalised values, its bounds at low*s and high*s -------------------
class Discretizer(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, levels, delta):
        y = torch.round(x * (levels - 1)) / (levels - 1)
        ctx.delta = delta
        ctx.save_for_backward(x - y)
        return y

    @staticmethod
    def backward(ctx, g):
        difference, = ctx.saved_tensors
        return g * (1 + ctx.delta * torch.sign(g) * difference), None, None


def ewgs(low, high, s, delta):
    def run(x):
        lower, upper = low * s, high * s
        normal = torch.clamp((x - lower) / (upper - lower), 0, 1)
        return Discretizer.apply(normal, high - low + 1, delta) * (upper - lower) + lower
    return run


for bits in (2, 4):
    for signed in (True, False):
        step = 1.1 / 2 ** (bits - 1)
        s = spec("ewgs", bits, signed, {"delta": 0.2})
        x = torch.randn(64)
        case(f"ewgs {bits} {'signed' if signed else 'unsigned'}", s, x, {}, ewgs(s["quantMin"], s["quantMax"], step, 0.2))
        cases[-1]["parameters"] = {"scale": {"shape": [], "values": [float(torch.tensor(step))]}}


# --- APoT (1909.13144 and the official build of its levels) ----------------------------------------------------------
def apot_levels(bits):
    def powers(exponents):
        return [0.0] + [2.0 ** -e for e in exponents]
    lists = {2: [(1, 2, 3)], 3: [(1, 2, 4), (3,)], 4: [(1, 3, 5), (2, 4, 6)],
             5: [(1, 3, 6), (2, 4, 7), (5,)], 6: [(1, 4, 7), (2, 5, 8), (3, 6, 9)]}[bits]
    sums = {0.0}
    for exponents in lists:
        sums = {a + b for a in sums for b in powers(exponents)}
    return torch.tensor(sorted(sums)) / max(sums)


class Apot(torch.autograd.Function):
    """Official weight and activation functions; `weights` leaves the gradient of x unclipped."""
    @staticmethod
    def forward(ctx, x, alpha, levels, weights):
        v = x / alpha
        clipped = v.clamp(-1, 1) if weights else v.clamp(max=1)
        magnitude = clipped.abs() if weights else clipped
        if isinstance(levels, int):
            nearest = torch.round(magnitude * levels) / levels
        else:
            nearest = levels[(magnitude.reshape(1, -1) - levels.reshape(-1, 1)).abs().min(0)[1]].reshape(x.shape)
        q = nearest * clipped.sign() if weights else nearest
        ctx.weights = weights
        ctx.save_for_backward(v, q)
        return q * alpha

    @staticmethod
    def backward(ctx, dy):
        v, q = ctx.saved_tensors
        outside = (v.abs() > 1).float() if ctx.weights else (v > 1).float()
        dalpha = (dy * (v.sign() * outside + (q - v) * (1 - outside))).sum()
        return (dy if ctx.weights else dy * (1 - outside)), dalpha, None, None


def apot_weights(bits):
    levels = apot_levels(bits - 1) if bits > 2 else 2 ** (bits - 1) - 1

    def run(w, alpha):
        normal = (w - w.detach().mean()) / w.detach().std()
        return Apot.apply(normal, alpha, levels, True)
    return run


for bits in (2, 3, 4, 5, 6, 7):
    case(f"apot weights {bits}", spec("apot", bits, True), torch.randn(96) * 0.2 + 0.01, {"alpha": 2.1}, apot_weights(bits))
for bits in (2, 3, 4, 5, 6):
    case(f"apot activations {bits}", spec("apot", bits, False), torch.randn(96).relu() * 2, {"alpha": 3.3},
         lambda x, alpha, bits=bits: Apot.apply(x, alpha, apot_levels(bits), False))
levels = {str(bits): flat(apot_levels(bits)) for bits in (2, 3, 4, 5, 6)}


# --- N2UQ (2111.14826 and the official LTQ) --------------------------------------------------------------------------
def n2uq_activations(bits):
    n = 2 ** bits - 1

    def run(x, intervals, start, scale1, scale2):
        moved = x * scale1
        bounds = [start]
        for i in range(n):
            bounds.append(bounds[-1] + intervals[i])
        hard = torch.zeros_like(x)
        soft = torch.zeros_like(x)
        for i in range(n):
            hard = hard + (moved > bounds[i] + intervals[i] / 2).float() * (2.0 / n)
            ramp = 2.0 / n / intervals[i] * (moved - bounds[i]) + 2.0 / n * i
            soft = torch.where(moved > bounds[i], ramp, soft)
        soft = torch.where(moved > bounds[n], torch.full_like(x, 2.0), soft)
        return through(hard, soft) * scale2
    return run


for bits in (1, 2, 3, 4):
    n = 2 ** bits - 1
    intervals = [2.0 / n * (1 + 0.3 * math.sin(i)) for i in range(n)]
    case(f"n2uq activations {bits}", spec("n2uq", bits, False), torch.randn(96),
         {"intervals": intervals, "start": 0.1, "scale1": 0.8, "scale2": 1.2}, n2uq_activations(bits))


def n2uq_weights(bits):
    def run(w):
        s = (2 ** bits - 1) / 2 ** (bits - 1) * w.detach().abs().mean(dim=1, keepdim=True)
        scaled = w / s
        n = (2 ** bits - 1) / 2.0
        hard = s * (torch.round((scaled.clamp(-1, 1) + 1) * n) / n - 1)
        return through(hard, scaled)
    return run


for bits in (1, 2, 3, 4):
    case(f"n2uq weights {bits}", spec("n2uq", bits, True, channelAxis=0), torch.randn(3, 20) * 0.3, {}, n2uq_weights(bits))


# --- XNOR-Net (1603.05279) and TWN (1605.04711) ----------------------------------------------------------------------
def xnor(w):
    scale = w.detach().abs().mean(dim=1, keepdim=True)
    sign = torch.where(w >= 0, 1.0, -1.0)
    inside = (w.abs() <= 1).float()
    return through(sign * scale, w * (1.0 / w.shape[1] + inside * scale))


def approx_sign(x):
    sign = torch.where(x >= 0, 1.0, -1.0)
    soft = torch.where(x.abs() <= 1, 2 * x - x.sign() * x * x, sign)
    return through(sign, soft)


def ternary(w):
    threshold = 0.7 * w.detach().abs().mean(dim=1, keepdim=True)
    mask = (w.abs() > threshold).float()
    scale = (w.detach().abs() * mask).sum(dim=1, keepdim=True) / mask.sum(dim=1, keepdim=True)
    return through(w.sign() * mask * scale, w)


case("binary XNOR", spec("binary", 1, True, channelAxis=0), torch.randn(3, 20), {}, xnor)
case("binary ApproxSign", spec("binary", 1, True, {"scale": "none", "gradient": "approxSign"}), torch.randn(64), {}, approx_sign)
case("ternary", spec("ternary", 2, True, channelAxis=0), torch.randn(3, 20), {}, ternary)


# --- MX and plain minifloat (OCP microscaling 1.0; microxcaling's element-wise core, float64 for the exponents) -------
FORMATS = {"e4m3": (3, -6, 8, 448.0), "e5m2": (2, -14, 15, 57344.0), "e3m2": (2, -2, 4, 28.0), "e2m3": (3, 0, 2, 7.5),
           "e2m1": (1, 0, 2, 6.0)}


def float_round(value, fmt, rounding):
    mantissa, lowest, _, largest = FORMATS[fmt]
    if value == 0:
        return 0.0
    exponent = max(math.floor(math.log2(abs(value))), lowest)
    units = abs(value) / 2.0 ** (exponent - mantissa)
    rounded = round(units) if rounding == "even" else math.floor(units + 0.5)
    return math.copysign(min(rounded * 2.0 ** (exponent - mantissa), largest), value)


def minifloat(fmt, rounding, block):
    def run(x):
        rows = x.detach().reshape(-1, block) if block else x.detach().reshape(1, -1)
        out = []
        for row in rows.tolist():
            largest = max(abs(v) for v in row)
            shared = math.floor(math.log2(largest)) - FORMATS[fmt][2] if block and largest > 0 else (-127 if block else 0)
            out += [float_round(v / 2.0 ** shared, fmt, rounding) * 2.0 ** shared for v in row]
        return through(torch.tensor(out).reshape(x.shape), x)
    return run


for fmt in FORMATS:
    bits = {"e4m3": 8, "e5m2": 8, "e3m2": 6, "e2m3": 6, "e2m1": 4}[fmt]
    ties = torch.arange(-16, 16, dtype=torch.float32) / 4
    data = torch.cat([torch.randn(64) * 3, ties, torch.tensor([0.0] * 31 + [1e-3])])
    data = data[data.abs() < FORMATS[fmt][3]]
    data = torch.cat([data, torch.zeros(-len(data) % 32)])
    for rounding in ("even", "away") if bits < 8 else ("even",):
        options = {"format": fmt, "rounding": rounding}
        case(f"{fmt} {rounding}", spec("minifloat", bits, True, {**options, "scale": "none"}), data, {},
             minifloat(fmt, rounding, 0))
        case(f"mx {fmt} {rounding}", spec("minifloat", bits, True, {**options, "scale": "mx"}, groupSize=32),
             data.reshape(-1, 32) * torch.tensor([[1.0], [37.0], [2.0 ** -20]] + [[1.0]] * (len(data) // 32 - 3)), {},
             minifloat(fmt, rounding, 32))


# --- torch's learnable fake-quantize with gradient scaling, and its symmetric schemes ---------------------------------
def learnable(low, high, axis, factor):
    def run(x, scale, zero_point):
        if axis is None:
            return torch._fake_quantize_learnable_per_tensor_affine(x, scale, zero_point, low, high, factor)
        return torch._fake_quantize_learnable_per_channel_affine(x, scale, zero_point, axis, low, high, factor)
    return run


for axis in (None, 0, 1):
    x = torch.randn(4, 6)
    count = 1 if axis is None else x.shape[axis]
    factor = 1.0 / math.sqrt(x.numel() * 7)
    values = {"scale": [0.25 + 0.03 * i for i in range(count)], "zero_point": [1.0 + i for i in range(count)]}
    more = {} if axis is None else {"channelAxis": axis}
    case(f"learnable scaled, axis {axis}", spec("learnable", 4, True, {"gradientScale": "torch"}, **more), x, values,
         learnable(-8, 7, axis, factor))
    if axis is None:
        for kept in (cases[-1]["parameters"]):
            cases[-1]["parameters"][kept]["shape"] = []

# --- torch's HistogramObserver over several batches ------------------------------------------------------------------
from torch.ao.quantization.observer import HistogramObserver

histograms = []
for bits, batches in ((8, [torch.randn(500), torch.randn(500) * 3]), (4, [torch.rand(300) * 5 + 1, torch.rand(300) * 9, torch.rand(300) * 2]),
                      (4, [torch.randn(400).relu() * 4, torch.randn(400).relu() * 2])):
    observer = HistogramObserver(quant_min=0, quant_max=2 ** bits - 1, dtype=torch.quint8)
    for batch in batches:
        observer(batch)
    low, high = observer._non_linear_param_search()
    histograms.append({"bits": bits, "batches": [flat(batch) for batch in batches], "min": observer.min_val.item(),
                       "max": observer.max_val.item(), "total": observer.histogram.double().sum().item(),
                       "search_min": low.item(), "search_max": high.item()})

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "quantizer-official.json")
with open(path, "w") as file:
    json.dump({"torch": torch.__version__, "apotLevels": levels, "histograms": histograms, "cases": cases}, file)
print(len(cases), "cases,", os.path.getsize(path), "bytes")
