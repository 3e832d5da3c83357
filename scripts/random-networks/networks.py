"""Random networks as users write them in PyTorch. A seed decides everything: the layers, the weights, the data."""

import random

import torch
import torch.nn.functional as F
from torch import nn


class Step(nn.Module):
    """A function of one value, with the modules that it calls."""

    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.function(self, x)


class Network(nn.Module):
    """Steps in order. `heads`: further outputs, computed of the value before the head."""

    def __init__(self, steps, head, heads=(), unused=False, end=None):
        super().__init__()
        self.steps = nn.ModuleList(steps)
        self.head = head
        self.heads = nn.ModuleList(heads)
        self.end = end
        self.unused = unused

    def forward(self, x, *others):
        for step in self.steps:
            x = step(x)
        y = self.head(x)
        if self.end is not None:
            y = self.end(y)
        if len(self.heads) == 0:
            return y
        return (y, *[head(x) for head in self.heads])


def activation(r):
    return r.choice(
        [
            lambda: nn.ReLU(inplace=r.random() < 0.3),
            lambda: nn.ReLU6(),
            lambda: nn.LeakyReLU(r.choice([0.01, 0.1, 0.2])),
            lambda: nn.ELU(r.choice([1.0, 0.7])),
            lambda: nn.SELU(),
            lambda: nn.CELU(r.choice([1.0, 1.5])),
            lambda: nn.GELU(),
            lambda: nn.GELU(approximate="tanh"),
            lambda: nn.SiLU(),
            lambda: nn.Mish(),
            lambda: nn.Hardswish(),
            lambda: nn.Hardsigmoid(),
            lambda: nn.Hardtanh(r.choice([-1.0, -0.5]), r.choice([1.0, 2.0])),
            lambda: nn.Sigmoid(),
            lambda: nn.Tanh(),
            lambda: nn.Softplus(r.choice([1, 2])),
            lambda: nn.Softsign(),
            lambda: nn.LogSigmoid(),
            lambda: nn.Tanhshrink(),
            lambda: nn.Softshrink(0.2),
            lambda: nn.Hardshrink(0.2),
            lambda: nn.Threshold(0.1, r.choice([0.0, -0.3])),
            lambda: nn.PReLU(),
            lambda: Step(lambda m, x: torch.relu(x) ** 2),
            lambda: Step(lambda m, x: x * torch.sigmoid(1.702 * x)),
            lambda: Step(lambda m, x: torch.clamp(x, min=-0.7)),
            lambda: Step(lambda m, x: torch.clamp(x, max=0.9)),
            lambda: Step(lambda m, x: torch.where(x > 0, x, 0.3 * x)),
            lambda: Step(lambda m, x: torch.abs(x)),
            lambda: Step(lambda m, x: x.masked_fill(x < -0.5, 0.0)),
            lambda: Step(lambda m, x: torch.maximum(x, 0.2 * x)),
            lambda: Step(lambda m, x: torch.sin(x)),
            lambda: Step(lambda m, x: torch.sqrt(torch.abs(x) + 1.0)),
            lambda: Step(lambda m, x: torch.exp(-x * x)),
            lambda: Step(lambda m, x: torch.log1p(torch.exp(x))),
            lambda: Step(lambda m, x: torch.rsqrt(x * x + 1.0)),
        ]
    )()


def batch_norm(r, dims, channels):
    kind = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[dims]
    return kind(
        channels,
        eps=r.choice([1e-5, 1e-5, 1e-3, 0.1]),
        momentum=r.choice([0.1, 0.1, 0.01, 0.3, None]),
        affine=r.random() < 0.85,
        track_running_stats=r.random() < 0.93,
    )


def spatial(r, dims, side):
    """Arguments of a convolution whose window fits."""
    kernel = [min(r.choice([1, 2, 3, 3, 3, 4, 5]), s) for s in side]
    stride = [r.choice([1, 1, 1, 2, 3]) for _ in side]
    if r.random() < 0.6:
        kernel, stride = [min(kernel[0], *side)] * dims, [stride[0]] * dims
    return kernel, stride


def convolution(r, dims, channels, side):
    kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dims]
    kernel, stride = spatial(r, dims, side)
    groups = r.choice([1, 1, 1, *[g for g in (2, 3, 4, channels) if channels % g == 0]])
    out = groups * r.choice([1, 2, 3]) if groups > 1 else r.choice([3, 4, 5, 6, 8, 12])
    dilation = [r.choice([1, 1, 1, 2]) for _ in side]
    padding = [r.randint(0, k // 2 + 1) for k in kernel]
    mode = r.choice(["zeros"] * 7 + ["circular", "reflect", "replicate"])
    if mode != "zeros":
        padding = [min(p, s - 1) for p, s in zip(padding, side)]
    if r.random() < 0.2:
        padding, stride = r.choice(["same", "valid"]), [1] * dims
        if mode == "reflect" or mode == "circular":
            mode = "zeros"
    return kind(
        channels,
        out,
        tuple(kernel),
        stride=tuple(stride),
        padding=padding if isinstance(padding, str) else tuple(padding),
        dilation=tuple(dilation),
        groups=groups,
        bias=r.random() < 0.6,
        padding_mode=mode,
    )


def transposed(r, dims, channels, side):
    kind = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[dims]
    stride = [r.choice([1, 2, 2, 3]) for _ in side]
    dilation = [r.choice([1, 1, 2]) for _ in side]
    groups = r.choice([1, 1, *[g for g in (2, channels) if channels % g == 0]])
    kernel = [r.choice([1, 2, 3, 4]) for _ in side]
    return kind(
        channels,
        groups * r.choice([1, 2, 3]),
        tuple(kernel),
        stride=tuple(stride),
        padding=tuple(r.randint(0, k // 2) for k in kernel),
        output_padding=tuple(r.randint(0, max(s, d) - 1) for s, d in zip(stride, dilation)),
        dilation=tuple(dilation),
        groups=groups,
        bias=r.random() < 0.6,
    )


def pooling(r, dims, side):
    kernel, stride = spatial(r, dims, side)
    padding = tuple(r.randint(0, k // 2) for k in kernel)
    ceil = r.random() < 0.4
    if r.random() < 0.5:
        kind = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}[dims]
        return kind(tuple(kernel), tuple(stride), padding, dilation=r.choice([1, 1, 2]), ceil_mode=ceil)
    kind = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}[dims]
    return kind(tuple(kernel), tuple(stride), padding, ceil_mode=ceil, count_include_pad=r.random() < 0.5)


def adaptive(r, dims, side):
    kinds = {
        1: (nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d),
        2: (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
        3: (nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool3d),
    }[dims]
    sizes = tuple(r.choice([d for d in range(1, s + 1) if s % d == 0]) for s in side)
    return r.choice(kinds)(sizes)


def padded(r, dims, side):
    mode = r.choice(["constant", "constant", "reflect", "replicate", "circular"])
    amounts = [r.randint(0, min(2, s - 1)) for s in reversed(side) for _ in range(2)]
    value = r.choice([0.0, 0.5])
    if mode == "constant":
        return Step(lambda m, x: F.pad(x, amounts, value=value))
    return Step(lambda m, x: F.pad(x, amounts, mode=mode))


def shuffle(r, channels):
    groups = r.choice([g for g in range(1, channels + 1) if channels % g == 0])

    def run(m, x):
        n, c = x.shape[0], x.shape[1]
        y = x.view(n, groups, c // groups, *x.shape[2:]).transpose(1, 2)
        return y.reshape(n, c, *x.shape[2:])

    return Step(run)


def squeeze_excite(r, dims, channels):
    kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dims]
    hidden = max(1, channels // 2)
    gate = r.choice([nn.Sigmoid, nn.Hardsigmoid])()
    if r.random() < 0.5:

        def run(m, x):
            s = x.mean(dim=list(range(2, x.dim())), keepdim=True)
            return x * m.gate(m.up(torch.relu(m.down(s))))

        return Step(run, down=kind(channels, hidden, 1), up=kind(hidden, channels, 1), gate=gate)

    def dense(m, x):
        s = x.flatten(2).mean(-1)
        s = m.gate(m.up(torch.relu(m.down(s))))
        return x * s.view(s.shape[0], s.shape[1], *[1] * dims)

    return Step(dense, down=nn.Linear(channels, hidden), up=nn.Linear(hidden, channels), gate=gate)


def residual(r, dims, channels):
    kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dims]
    body = [kind(channels, channels, 3, padding=1, bias=r.random() < 0.5)]
    if r.random() < 0.6:
        body += [batch_norm(r, dims, channels)]
    body += [activation(r)]
    if r.random() < 0.5:
        body += [kind(channels, channels, 1, groups=r.choice([1, channels])), batch_norm(r, dims, channels)]
    inner = nn.Sequential(*body)
    how = r.choice(["add", "add", "sub", "scaled", "mul", "iadd"])
    scale = r.choice([0.5, 2.0, 0.1])

    def run(m, x):
        y = m.inner(x)
        if how == "add":
            return x + y
        if how == "sub":
            return y - x
        if how == "mul":
            return x * y
        if how == "iadd":
            y += x
            return y
        return torch.add(x, y, alpha=scale)

    return Step(run, inner=inner)


def branches(r, dims, channels):
    kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dims]
    one, two = kind(channels, r.choice([2, 3]), 1), kind(channels, r.choice([2, 4]), 3, padding=1)
    own = r.random() < 0.5

    def run(m, x):
        return torch.cat([m.one(x), torch.relu(m.two(x)), *([x] if own else [])], dim=1)

    return Step(run, one=one, two=two)


def shared(r, dims, channels):
    """One convolution called twice."""
    kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dims]
    return Step(lambda m, x: m.conv(torch.tanh(m.conv(x))), conv=kind(channels, channels, 3, padding=1))


def shared_block(r, dims, channels):
    """A convolution with its BatchNorm called twice."""
    kind = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dims]
    block = nn.Sequential(kind(channels, channels, 1), batch_norm(r, dims, channels), activation(r))
    return Step(lambda m, x: m.block(m.block(x)), block=block)


def tied(r, width):
    """A matrix that is used as it is and transposed, as tied embeddings are."""
    inner = nn.Linear(width, r.choice([3, 5]), bias=False)
    if r.random() < 0.5:
        return Step(lambda m, x: torch.tanh(m.inner(x)) @ m.inner.weight, inner=inner)
    square = nn.Linear(width, width)
    return Step(lambda m, x: m.square(torch.tanh(m.square(x))), square=square)


def gated(r, channels):
    if channels % 2:
        return Step(lambda m, x: x - x.mean(dim=1, keepdim=True))
    if r.random() < 0.5:
        return nn.GLU(1)

    def run(m, x):
        a, b = x.chunk(2, dim=1)
        return a * torch.sigmoid(b)

    return Step(run)


class Scaled(nn.Module):
    """Multiplies by a parameter and adds another, or a buffer."""

    def __init__(self, shape, is_buffer):
        super().__init__()
        scale, offset = torch.empty(shape).uniform_(0.5, 1.5), torch.empty(shape).uniform_(-0.3, 0.3)
        if is_buffer:
            self.register_buffer("scale", scale)
            self.register_buffer("offset", offset)
        else:
            self.scale, self.offset = nn.Parameter(scale), nn.Parameter(offset)

    def forward(self, x):
        return x * self.scale + self.offset


class Einsum(nn.Module):
    def __init__(self, equation, shape):
        super().__init__()
        self.equation = equation
        self.weight = nn.Parameter(0.4 * torch.randn(shape))

    def forward(self, x):
        return torch.einsum(self.equation, x, self.weight)


def channels_last_norm(channels):
    order = {"norm": nn.LayerNorm(channels)}

    def run(m, x):
        last = [0, *range(2, x.dim()), 1]
        first = [0, x.dim() - 1, *range(1, x.dim() - 1)]
        return m.norm(x.permute(*last)).permute(*first)

    return Step(run, **order)


def spatial_step(r, shape):
    channels, side = shape[1], list(shape[2:])
    dims = len(side)
    letters = "hwd"[:dims]
    convolutions = [
        lambda: convolution(r, dims, channels, side),
        lambda: nn.Sequential(convolution(r, dims, channels, side)),
    ]
    norms = [
        lambda: batch_norm(r, dims, channels),
        lambda: batch_norm(r, dims, channels),
        lambda: {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}[dims](
            channels, affine=r.random() < 0.5, track_running_stats=r.random() < 0.15
        ),
        lambda: nn.GroupNorm(
            r.choice([g for g in range(1, channels + 1) if channels % g == 0]), channels, affine=r.random() < 0.7
        ),
        lambda: nn.LayerNorm(shape[1:], elementwise_affine=r.random() < 0.6),
        lambda: nn.LayerNorm(side[-1]),
        lambda: channels_last_norm(channels),
        lambda: Step(lambda m, x: F.normalize(x, dim=1)),
        lambda: nn.LocalResponseNorm(r.choice([2, 3, 5])),
    ]
    others = [
        lambda: pooling(r, dims, side),
        lambda: pooling(r, dims, side),
        lambda: adaptive(r, dims, side),
        lambda: padded(r, dims, side),
        lambda: shuffle(r, channels),
        lambda: squeeze_excite(r, dims, channels),
        lambda: residual(r, dims, channels),
        lambda: residual(r, dims, channels),
        lambda: branches(r, dims, channels),
        lambda: shared(r, dims, channels),
        lambda: shared_block(r, dims, channels),
        lambda: gated(r, channels),
        lambda: transposed(r, dims, channels, side),
        lambda: Scaled((1, channels, *[1] * dims), r.random() < 0.3),
        lambda: Scaled(tuple(shape[1:]), False),
        lambda: Einsum(f"nc{letters},oc->no{letters}", (r.choice([3, 4]), channels)),
        lambda: r.choice([nn.Dropout(0.3), {1: nn.Dropout1d, 2: nn.Dropout2d, 3: nn.Dropout3d}[dims](0.2)]),
        lambda: nn.Upsample(scale_factor=2, mode="nearest"),
        lambda: nn.Upsample(
            scale_factor=r.choice([2, 1.5]),
            mode={1: "linear", 2: "bilinear", 3: "trilinear"}[dims],
            align_corners=r.random() < 0.5,
        ),
        lambda: Step(lambda m, x: x[..., ::2]),
        lambda: Step(lambda m, x: x[:, :, 1:]),
        lambda: Step(lambda m, x: x[:, [i for i in range(channels - 1, -1, -1)]]),
        lambda: Step(lambda m, x: torch.roll(x, 1, dims=-1)),
        lambda: Step(lambda m, x: torch.flip(x, [2])),
        lambda: Step(lambda m, x: torch.softmax(x, dim=1)),
        lambda: Step(lambda m, x: torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True), x], 1)),
        lambda: Step(lambda m, x: torch.cat([x, x.std(dim=1, keepdim=True)], 1)),
        lambda: Step(lambda m, x: (x - x.mean((-1,), keepdim=True)) / (x.var((-1,), keepdim=True) + 1e-2).sqrt()),
        lambda: Step(lambda m, x: x.transpose(-1, -2).contiguous()) if dims > 1 else Step(lambda m, x: x * 2 - 1),
        lambda: Step(lambda m, x: torch.cumsum(x, dim=2) / 4),
        lambda: Step(lambda m, x: torch.stack([x, -x], dim=2).flatten(1, 2)),
        lambda: Step(lambda m, x: x / (1 + x.abs().sum(dim=1, keepdim=True))),
        lambda: Step(lambda m, x: x + torch.arange(x.shape[-1]).float() * 0.05),
        lambda: Step(lambda m, x: x * x.shape[-1] ** -0.5),
        lambda: Step(lambda m, x: x - torch.logsumexp(x, dim=1, keepdim=True)),
        lambda: nn.PReLU(channels),
    ]
    if dims == 2:
        others += [
            lambda: nn.PixelShuffle(2) if channels % 4 == 0 else nn.PixelUnshuffle(2),
            lambda: nn.LPPool2d(2, 2),
            lambda: nn.Upsample(scale_factor=2, mode="bicubic", align_corners=r.random() < 0.5),
            lambda: Step(lambda m, x: F.unfold(x, 2, stride=2).view(x.shape[0], -1, side[0] // 2, side[1] // 2)),
        ]
    pick = r.random()
    if pick < 0.34:
        return r.choice(convolutions)()
    if pick < 0.5:
        return r.choice(norms)()
    if pick < 0.68:
        return activation(r)
    return r.choice(others)()


class Attention(nn.Module):
    def __init__(self, width, heads, how, causal):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.how, self.heads, self.causal = how, heads, causal
        if how == "module":
            self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        else:
            self.qkv, self.out = nn.Linear(width, 3 * width, bias=how == "own"), nn.Linear(width, width)

    def forward(self, x):
        y = self.norm(x)
        if self.how == "module":
            return x + self.attention(y, y, y, need_weights=False)[0]
        n, t, c = y.shape
        q, k, v = self.qkv(y).view(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        if self.how == "sdpa":
            y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        else:
            scores = q @ k.transpose(-2, -1) * (c // self.heads) ** -0.5
            if self.causal:
                scores = scores.masked_fill(torch.ones(t, t).triu(1).bool(), float("-inf"))
            y = scores.softmax(-1) @ v
        return x + self.out(y.transpose(1, 2).reshape(n, t, c))


def token_step(r, shape):
    """Steps of [N,T,C]."""
    t, c = shape[1], shape[2]
    heads = r.choice([h for h in (1, 2, 4) if c % h == 0])
    mlp = nn.Sequential(nn.Linear(c, 2 * c, bias=r.random() < 0.7), activation(r), nn.Linear(2 * c, c))
    return r.choice(
        [
            lambda: nn.Linear(c, r.choice([4, 6, 8]), bias=r.random() < 0.6),
            lambda: nn.LayerNorm(c, eps=r.choice([1e-5, 1e-3])),
            lambda: Attention(c, heads, r.choice(["module", "own", "sdpa", "free"]), r.random() < 0.3),
            lambda: Step(lambda m, x: x + m.mlp(m.norm(x)), mlp=mlp, norm=nn.LayerNorm(c)),
            lambda: activation(r),
            lambda: Step(lambda m, x: x.transpose(1, 2)),
            lambda: Step(lambda m, x: m.conv(x.transpose(1, 2)).transpose(1, 2), conv=nn.Conv1d(c, c, 3, padding=1)),
            lambda: Step(lambda m, x: m.rnn(x)[0], rnn=nn.GRU(c, 4, batch_first=True, bidirectional=r.random() < 0.5)),
            lambda: Step(lambda m, x: m.rnn(x)[0], rnn=nn.LSTM(c, 4, batch_first=True)),
            lambda: tied(r, c),
            lambda: Step(lambda m, x: m.norm(torch.tanh(m.norm(x))), norm=nn.LayerNorm(c)),
            lambda: nn.RMSNorm(c),
            lambda: Scaled((1, t, c), False),
            lambda: Step(lambda m, x: x[:, :-1]),
            lambda: nn.Dropout(0.1),
            lambda: Einsum("ntc,ts->nsc", (t, r.choice([3, 4]))),
            lambda: nn.BatchNorm1d(t),
        ]
    )()


def flat_step(r, shape):
    width = shape[1]
    out = r.choice([4, 6, 8, 10])
    return r.choice(
        [
            lambda: nn.Linear(width, out, bias=r.random() < 0.7),
            lambda: nn.Linear(width, out, bias=r.random() < 0.7),
            lambda: nn.Sequential(nn.Linear(width, out), nn.BatchNorm1d(out, affine=r.random() < 0.8), activation(r)),
            lambda: batch_norm(r, 1, width),
            lambda: nn.LayerNorm(width),
            lambda: activation(r),
            lambda: nn.Dropout(0.5),
            lambda: Scaled((width,), r.random() < 0.3),
            lambda: Step(lambda m, x: x + m.inner(x), inner=nn.Sequential(nn.Linear(width, width), activation(r))),
            lambda: Einsum("nc,co->no", (width, out)),
            lambda: tied(r, width),
            lambda: Step(lambda m, x: F.normalize(x)),
            lambda: Step(lambda m, x: torch.cat([x, x.max(1, keepdim=True)[0]], 1)),
            lambda: nn.Identity(),
        ]
    )()


def flattened(r, shape, plain):
    """From a value of any rank to [N,F]."""
    rank = len(shape)
    if rank == 2:
        return []
    if plain:
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return [r.choice([pool, nn.Flatten(), Step(lambda m, x: x.view(x.size(0), -1))])]
    spots = list(range(2, rank))
    options = [
        lambda: nn.Flatten(),
        lambda: Step(lambda m, x: x.view(x.size(0), -1)),
        lambda: Step(lambda m, x: x.reshape(x.shape[0], -1)),
        lambda: Step(lambda m, x: torch.flatten(x, 1)),
        lambda: Step(lambda m, x: x.mean(spots)),
        lambda: Step(lambda m, x: x.mean(1).flatten(1)),
        lambda: Step(lambda m, x: x.amax(spots)),
        lambda: Step(lambda m, x: x.permute(0, *spots, 1).flatten(1)),
        lambda: Step(lambda m, x: x.sum(spots) * 0.2),
        lambda: Step(lambda m, x: x[..., 0].flatten(1)),
    ]
    if rank > 3:
        options += [
            lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1) if rank == 4 else nn.AdaptiveAvgPool3d(1), nn.Flatten()),
            lambda: Step(lambda m, x: x.mean(-1).mean(-1).flatten(1)),
        ]
    return [r.choice(options)()]


def plain_step(r, shape):
    """What has an integer form, as most small networks of images."""
    channels, side = shape[1], list(shape[2:])
    if len(shape) == 2:
        return r.choice([lambda: nn.Linear(channels, r.choice([5, 8])), lambda: nn.ReLU(), lambda: nn.Dropout(0.2)])()
    groups = r.choice([1, 1, 1, channels])
    out = groups * r.choice([1, 2]) if groups > 1 else r.choice([4, 6, 8])
    size, stride = r.choice([1, 3, 3, 5]), r.choice([1, 1, 2])
    same = nn.Conv2d(channels, channels, 3, padding=1, bias=r.random() < 0.5)
    return r.choice(
        [
            lambda: nn.Conv2d(channels, out, size, stride, size // 2, groups=groups, bias=r.random() < 0.6),
            lambda: nn.Sequential(nn.Conv2d(channels, out, size, stride, size // 2), nn.BatchNorm2d(out), nn.ReLU()),
            lambda: nn.Sequential(nn.Conv2d(channels, out, size, 1, 0, bias=False), nn.BatchNorm2d(out), nn.ReLU6()),
            lambda: nn.ReLU(),
            lambda: nn.MaxPool2d(r.choice([2, 3]), r.choice([1, 2]), ceil_mode=r.random() < 0.3),
            lambda: nn.AvgPool2d(2, r.choice([1, 2])),
            lambda: Step(lambda m, x: torch.relu(x + m.body(x)), body=nn.Sequential(same, nn.BatchNorm2d(channels))),
            lambda: Step(lambda m, x: torch.cat([x, m.body(x)], 1), body=same),
            lambda: Step(lambda m, x: torch.relu(m.body(torch.relu(m.body(x)))), body=same),
            lambda: Scaled((1, channels, 1, 1), r.random() < 0.3),
            lambda: nn.Dropout2d(0.2),
        ]
    )()


def step_for(r, shape, plain):
    if plain:
        return plain_step(r, shape)
    if len(shape) == 2:
        return flat_step(r, shape)
    if len(shape) == 3 and r.random() < 0.5:
        return token_step(r, shape)
    return spatial_step(r, shape)


def randomized(model):
    """Parameters and statistics that are not their initial values, so that a mix-up shows."""
    for module in model.modules():
        for name in ("running_mean", "running_var"):
            value = getattr(module, name, None)
            if isinstance(value, torch.Tensor):
                value.uniform_(*((-0.3, 0.3) if name == "running_mean" else (0.6, 1.5)))
        if "Norm" in type(module).__name__ and getattr(module, "weight", None) is not None:
            module.weight.data.uniform_(0.6, 1.4)
            if getattr(module, "bias", None) is not None:
                module.bias.data.uniform_(-0.3, 0.3)
    return model


def random_network(seed):
    """Returns the model in evaluation mode, its input for one sample, and its number of classes."""
    r = random.Random(seed)
    torch.manual_seed(seed)
    kind = r.choice(["image"] * 6 + ["signal", "tokens", "flat", "volume"])
    sample = {
        "image": lambda: (r.choice([1, 3, 3, 4]), r.randint(6, 13), r.randint(6, 13)),
        "signal": lambda: (r.choice([1, 2, 4]), r.randint(8, 20)),
        "tokens": lambda: (r.randint(4, 8), r.choice([4, 6, 8])),
        "flat": lambda: (r.randint(4, 12),),
        "volume": lambda: (2, r.randint(4, 6), r.randint(4, 6), r.randint(4, 6)),
    }[kind]()
    plain = kind == "image" and r.random() < 0.35
    steps, x = [], torch.randn(3, *sample)
    wanted = r.randint(2, 9)
    for _ in range(60):
        if len(steps) >= wanted:
            break
        try:
            step = randomized(step_for(r, tuple(x.shape), plain))
            step.eval()
            with torch.no_grad():
                y = step(x.clone())
        except (RuntimeError, ValueError, IndexError, AssertionError, ZeroDivisionError):
            continue
        size = y[0].numel() if y.dim() > 1 and y.shape[0] == 3 else 0
        fine = 1 <= size <= 6000 and torch.isfinite(y).all() and y.abs().max() < 50 and y.std() > 1e-3
        if fine and min(y.shape[1:]) >= 1:
            steps.append(step)
            x = y
    classes = r.randint(2, 11)
    for step in flattened(r, x.shape, plain):
        with torch.no_grad():
            x = step(x)
        steps.append(step)
    for _ in range(0 if plain else r.choice([0, 0, 1, 2])):
        step = randomized(flat_step(r, tuple(x.shape))).eval()
        with torch.no_grad():
            y = step(x.clone())
        steps.append(step)
        x = y
    width = x.shape[1]
    head = nn.Linear(width, classes, bias=r.random() < 0.8)
    head.weight.data.mul_(2)
    end = None if plain else r.choice([None] * 6 + [nn.Softmax(1), nn.Softmax(-1), nn.LogSoftmax(1), nn.Sigmoid()])
    heads = [nn.Linear(width, 3)] if r.random() < 0.05 else []
    return Network(steps, head, heads, end=end).eval(), sample, classes
