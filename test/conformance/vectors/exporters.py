"""What PyTorch's exporters write for small networks that use the size of their batch, with torch's outputs and gradients.

exporters.py [--all] [NAMES…] > exporters.json     (torch 2.15, torchvision 0.29, onnx, onnxscript)

--all: more opsets, which the test reads from the file that EXPORTED names.
"""
import base64, gzip, io, json, os, sys, warnings, logging
import numpy as np, onnx, torch, torchvision
import torch.nn.functional as F
from torch import nn
warnings.filterwarnings("ignore"); logging.disable(logging.WARNING)

class Net(nn.Module):
    def __init__(self, forward, **modules):
        super().__init__(); self.f = forward
        for name, module in modules.items():
            setattr(self, name, nn.Parameter(module) if isinstance(module, torch.Tensor) else module)
    def forward(self, x): return self.f(self, x)

def attention(s, x, **options):
    b, t, d = x.shape
    q, k, v = (a.view(b, t, 2, d // 2).transpose(1, 2) for a in s.qkv(x).chunk(3, -1))
    y = F.scaled_dot_product_attention(q, k, v, **options)
    return s.o(y.transpose(1, 2).reshape(b, t, d))

def class_token(s, x):
    x = s.e(x); x = torch.cat([s.c.expand(x.shape[0], -1, -1), x], 1) + s.p
    return s.h(F.layer_norm(x, (8,))[:, 0])
def views(s, x):
    b = x.shape[0]; y = s.a(x.view(b * 4, 6)).view(b, 4, -1); y = y.reshape(b, 2, 2, 8).transpose(1, 2).reshape(b, -1)
    return s.h(y.view(x.size(0), -1))
def position_ids(s, x):
    ids = torch.arange(x.shape[1], device=x.device).unsqueeze(0).expand(x.shape[0], x.shape[1])
    return s.h(torch.tanh(s.e(x) + s.p(ids)).mean(1))
def shape_mask(s, x):
    b, t, _ = x.shape; mask = torch.ones(b, t); mask = (1.0 - mask[:, None, None, :]) * -10000.0
    return attention(s, x, attn_mask=mask).mean(1)
def bool_mask(s, x):
    keep = x[..., 0] > -0.5; keep = keep[:, None, None, :].expand(x.shape[0], 2, x.shape[1], x.shape[1])
    return attention(s, x, attn_mask=keep).mean(1)
def causal(s, x): return attention(s, x, is_causal=True)[:, -1]
def triangle(s, x):
    t = x.shape[1]; mask = torch.full((t, t), float("-inf")).triu(1).unsqueeze(0).repeat(x.shape[0], 1, 1).unsqueeze(1)
    return attention(s, x, attn_mask=mask).mean(1)
def shifted_windows(s, x):
    b, h, w, c = x.shape; n = 4
    y = torch.roll(x, (-2, -2), (1, 2)); y = y.view(b, h // n, n, w // n, n, c).permute(0, 1, 3, 2, 4, 5).reshape(b * (h // n) * (w // n), n * n, c)
    mask = x.new_zeros((h, w)); count = 0
    for r in ((0, -4), (-4, -2), (-2, None)):
        for q in ((0, -4), (-4, -2), (-2, None)): mask[r[0]:r[1], q[0]:q[1]] = count; count += 1
    mask = mask.view(h // n, n, w // n, n).permute(0, 2, 1, 3).reshape(-1, n * n); mask = mask.unsqueeze(1) - mask.unsqueeze(2)
    mask = mask.masked_fill(mask != 0, -100.0).masked_fill(mask == 0, 0.0)
    q, k, v = s.qkv(y).reshape(y.size(0), n * n, 3, 2, c // 2).permute(2, 0, 3, 1, 4)
    a = (q * (c // 2) ** -0.5) @ k.transpose(-2, -1); a = a.view(b, mask.size(0), 2, n * n, n * n) + mask.unsqueeze(1).unsqueeze(0)
    y = (F.softmax(a.view(-1, 2, n * n, n * n), -1) @ v).transpose(1, 2).reshape(y.size(0), n * n, c)
    y = y.view(b, h // n, w // n, n, n, c).permute(0, 1, 3, 2, 4, 5).reshape(b, h, w, c)
    return s.o(torch.roll(y, (2, 2), (1, 2))).mean((1, 2))
def branch_dropout(s, x): return s.h((x + s.d(s.c(x))).mean((2, 3), keepdim=True).flatten(1))
def last_by_index(s, x):
    y = torch.tanh(s.a(x)); return s.h(y[torch.arange(x.shape[0]), -1])
def recurrent_state(s, x):
    h = torch.zeros(x.shape[0], 6, device=x.device)
    for t in range(x.shape[1]): h = torch.tanh(s.i(x[:, t]) + s.r(h))
    return s.h(h)
def batch_mean(s, x):
    y = s.a(x); y = y - y.mean(0, keepdim=True); return s.h(y / (y.pow(2).sum(0) / x.shape[0] + 1).sqrt())
def pyramid(s, x):
    a = F.relu(s.a(x)); b = F.relu(s.b(a)); b = F.interpolate(b, size=a.shape[2:], mode="nearest")
    return s.o(torch.cat([a, b], 1)).flatten(2)
def head(s, x):
    outs = []
    for k, f in enumerate([x, F.avg_pool2d(x, 2)]):
        b, _, h, w = f.shape; y = s.m[k](f).view(b, 12, h * w)
        gy, gx = torch.meshgrid(torch.arange(h).float() + 0.5, torch.arange(w).float() + 0.5, indexing="ij")
        grid = torch.stack([gx, gy]).reshape(1, 2, -1); d = y[:, :8].view(b, 2, 4, -1).softmax(2) * s.j
        outs.append(torch.cat([(grid + d.sum(2)) * 2.0 ** k, y[:, 8:].sigmoid()], 1))
    return torch.cat(outs, 2).permute(0, 2, 1)
def channel_shuffle(s, x):
    b, c, h, w = x.shape; y = s.a(x).view(b, 2, c // 2, h, w).transpose(1, 2).contiguous().view(b, -1, h, w)
    p, q = y.chunk(2, 1); return s.h(torch.cat([p, s.d(q)], 1).mean([2, 3]))
def repeats(s, x):
    b = x.shape[0]; y = s.a(x).repeat_interleave(2, dim=1); z = s.q.unsqueeze(0).repeat(b, 1, 1)
    return s.h((torch.bmm(y, z) + s.q.new_ones(b, 1, 1)).flatten(1))
def einsum(s, x): return torch.einsum("btd,de,be->bt", x, s.w, s.a(x.mean(1)))
def rotary(s, x):
    b, t, d = x.shape; f = 1.0 / 100 ** (torch.arange(0, d // 2, 2).float() / (d // 2)); p = torch.outer(torch.arange(t).float(), f)
    p = torch.cat([p, p], -1); q, k, v = (a.view(b, t, 2, d // 2).transpose(1, 2) for a in s.qkv(x).chunk(3, -1))
    turn = lambda a: a * p.cos() + torch.cat([-a[..., d // 4:], a[..., : d // 4]], -1) * p.sin()
    return s.o(F.scaled_dot_product_attention(turn(q), turn(k), v, is_causal=True).transpose(1, 2).reshape(b, t, d)).mean(1)
def flips(s, x):
    y = torch.stack([s.a(x), s.a(x.flip(1))], 1); y = F.pad(y, (1, 1)).roll(1, -1); return s.h(y.sum((1, 2)))
def norms(s, x): return s.h(s.r(s.i(s.g(x))).mean((2, 3)))
def filled(s, x):
    y = s.a(x); y = y.masked_fill(y < 0, float("-inf")); y = torch.nan_to_num(torch.softmax(y, -1)); return s.h(y)
def patches(s, x):
    y = F.unfold(x, 2, stride=2).transpose(1, 2); return s.h(F.gelu(s.a(y)).mean(1))
def layers(kind):
    return lambda s, x: s.h(s.t(x).mean(1))
def padding_mask(s, x): return s.h(s.t(x, src_key_padding_mask=x[..., 0] > 1.5).mean(1))
def window_index(s, x):
    t = x.shape[1]; i = torch.arange(t); return s.h((x[:, (i + 1) % t] * s.a(x)[:, i]).sum(1))
def half(s, x): return s.h(F.silu(s.a(x)) * s.b(x).sigmoid()).clamp(-2, 2)
def as_strided(s, x):
    y = F.relu(s.c(x)).mean((-1, -2), keepdim=True); return s.h(y.permute(0, 2, 3, 1).flatten(1))

C, L = nn.Conv2d, nn.Linear
def attend(d=8): return dict(qkv=L(d, 3 * d), o=L(d, d))
def encoder(**options): return nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, **options)
class Models(dict):
    def add(self, forward, shape, **modules): self[forward.__name__ if not isinstance(forward, tuple) else forward[0]] = (forward if not isinstance(forward, tuple) else forward[1], shape, modules)
def models():
    m = Models(); token = 0.1 * torch.randn(1, 1, 8)
    m.add(class_token, (5, 6), e=L(6, 8), c=token, p=torch.randn(1, 6, 8), h=L(8, 3))
    m.add(views, (4, 6), a=L(6, 8), h=L(32, 3)); m.add(position_ids, (5, 6), e=L(6, 8), p=nn.Embedding(5, 8), h=L(8, 3))
    for f in (shape_mask, bool_mask, causal, triangle, rotary): m.add(f, (6, 8), **attend())
    m.add(shifted_windows, (8, 8, 8), **attend())
    m.add(branch_dropout, (4, 6, 6), c=C(4, 4, 3, padding=1), d=torchvision.ops.StochasticDepth(0.3, "row"), h=L(4, 3))
    m.add(last_by_index, (5, 6), a=L(6, 8), h=L(8, 3)); m.add(recurrent_state, (4, 5), i=L(5, 6), r=L(6, 6), h=L(6, 3))
    m.add(batch_mean, (6,), a=L(6, 8), h=L(8, 3)); m.add(pyramid, (3, 8, 8), a=C(3, 4, 3, padding=1), b=C(4, 4, 3, 2, 1), o=C(8, 2, 1))
    m.add(head, (4, 4, 4), m=nn.ModuleList([C(4, 12, 1), C(4, 12, 1)]), j=torch.arange(4.0).view(1, 1, 4, 1))
    m.add(channel_shuffle, (8, 4, 4), a=C(8, 8, 1, groups=2), d=C(4, 4, 3, padding=1, groups=4), h=L(8, 3))
    m.add(repeats, (3, 6), a=L(6, 8), q=torch.randn(8, 2), h=L(12, 3)); m.add(einsum, (4, 6), w=torch.randn(6, 5), a=L(6, 5))
    m.add(flips, (4, 6), a=L(6, 6), h=L(8, 3)); m.add(norms, (4, 5, 5), g=nn.GroupNorm(2, 4), i=nn.InstanceNorm2d(4, affine=True), r=nn.RMSNorm(5), h=L(4, 3))
    m.add(filled, (6,), a=L(6, 8), h=L(8, 3)); m.add(patches, (3, 6, 6), a=L(12, 8), h=L(8, 3))
    m.add(("encoder", layers(0)), (5, 8), t=encoder(), h=L(8, 3)); m.add(("encoder_norm_first", layers(0)), (5, 8), t=encoder(norm_first=True, activation="gelu"), h=L(8, 3))
    m.add(padding_mask, (5, 8), t=encoder(), h=L(8, 3)); m.add(window_index, (5, 6), a=L(6, 6), h=L(6, 3))
    m.add(half, (6,), a=L(6, 8), b=L(6, 8), h=L(8, 3)); m.add(as_strided, (3, 5, 5), c=C(3, 4, 3), h=L(4, 3))
    return m

FORMS = {"dynamo": dict(dynamo=True), "legacy-17": dict(opset_version=17), "legacy-11": dict(opset_version=11), "legacy-9": dict(opset_version=9)}
if len(sys.argv) > 1 and sys.argv[1] == "--all":
    del sys.argv[1]
    FORMS |= {f"dynamo-{n}": dict(dynamo=True, opset_version=n) for n in (18, 21, 23)} | {f"legacy-{n}": dict(opset_version=n) for n in (10, 12, 13, 14, 15, 16, 20)}
# Before opset 11 a range as long as the batch is written as the places of ones that are not zero: read for one batch.
FOR_ONE_BATCH = {("last_by_index", "legacy-9"), ("last_by_index", "legacy-10")}
BATCHES = [1, 2, 5]

def export(model, x, options):
    buffer = io.BytesIO()
    common = dict(input_names=["x"], output_names=["y"])
    if options.get("dynamo"):
        program = torch.onnx.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False, **common, **options)
        program.save(buffer)
    else:
        torch.onnx.export(model, (x,), buffer, dynamo=False, dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}}, **common, **options)
    return plain(onnx.load_from_string(buffer.getvalue()))

def plain(model):
    """Without texts about the machine that wrote it."""
    del model.metadata_props[:]; model.graph.doc_string = ""; del model.graph.metadata_props[:]; del model.graph.value_info[:]
    def clean(graph):
        for node in graph.node:
            node.doc_string = ""; del node.metadata_props[:]
            for attribute in node.attribute:
                attribute.doc_string = ""
                if attribute.HasField("g"): clean(attribute.g)
        for value in [*graph.input, *graph.output]: value.doc_string = ""; del value.metadata_props[:]
    clean(model.graph)
    for function in model.functions:
        function.doc_string = ""; del function.metadata_props[:]
        for node in function.node: node.doc_string = ""; del node.metadata_props[:]
    return model

def numbers(tensor): return [float(f"{v:.6g}") for v in tensor.detach().double().flatten().tolist()]

def cases(wanted):
    out = []
    for name in models():
        if wanted and name not in wanted: continue
        torch.manual_seed(3); forward, shape, modules = models()[name]; model = Net(forward, **modules).eval()
        with torch.no_grad():
            # Distinct and not zero: exporters drop zeros, and store equal tensors once.
            for p in model.parameters(): p.copy_(((p + 0.2 * torch.randn_like(p)) * 64).round() / 64 + 1 / 256)
        inputs = [(torch.randn(b, *shape) * 32).round() / 32 for b in BATCHES]
        torch.set_default_dtype(torch.float64); wide = model.double(); results = []
        for x in inputs:
            wide.zero_grad(); y = wide(x.double()); r = torch.cos(torch.arange(y.numel()).double()).view(y.shape); (y * r).sum().backward()
            gradients = {k: numbers(p.grad.norm()) [0] for k, p in wide.named_parameters() if p.grad is not None}
            results.append(dict(shape=list(y.shape), y=numbers(y), gradients=sorted(gradients.values())))
        torch.set_default_dtype(torch.float32); model.float(); files = {}
        for form, options in FORMS.items():
            if (name, form) in FOR_ONE_BATCH: continue
            try: files[form] = base64.b64encode(gzip.compress(export(model, inputs[1], options).SerializeToString(), mtime=0)).decode()
            except Exception as e: print(f"{name} {form}: {type(e).__name__}: {str(e).splitlines()[0][:200] if str(e) else ''}", file=sys.stderr)
        out.append(dict(name=name, shape=list(shape), inputs=[numbers(x) for x in inputs], results=results, files=files))
    return out

if __name__ == "__main__":
    # What libraries print goes to the other stream.
    done = os.fdopen(os.dup(1), "w"); os.dup2(2, 1)
    json.dump(dict(torch=torch.__version__.split("+")[0], batches=BATCHES, cases=cases(sys.argv[1:])), done, separators=(",", ":"))
