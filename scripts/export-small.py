"""Trains four small networks in torch and exports them: inverted residuals with ReLU6 and a vision transformer on drawn images, a
perceptron on a CSV table, a 1-D convolutional network on an NPZ series.

    npx tsx scripts/draw-shapes.ts FOLDER/shapes 160 5     # for the vision transformer: FOLDER/shapes2 400 6
    python3 scripts/export-small.py FOLDER [mobilenet vit mlp cnn1d]     # needs torch, torchvision, onnx, onnxscript and pillow

It prints how many of the held-out samples each gets right. The table is in FOLDER/table, the series in FOLDER/waves.npz.
"""
import csv
import sys
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import nn

torch.set_num_threads(1)
torch.manual_seed(1)
out = Path(sys.argv[1])
(out / "table").mkdir(parents=True, exist_ok=True)
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
def fit(model, x, y, vx, vy, epochs, lr, batch=16, name=""):
    opt = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-2)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, lr, total_steps=epochs * ((len(x)+batch-1)//batch))
    for epoch in range(epochs):
        model.train()
        for part in torch.randperm(len(x)).split(batch):
            if len(part) < 2: continue
            loss = nn.functional.cross_entropy(model(x[part]), y[part]); opt.zero_grad(); loss.backward(); opt.step(); sched.step()
    model.eval()
    with torch.no_grad(): right = int((model(vx).argmax(1) == vy).sum())
    print(f"{name} {right}/{len(vy)} = {100*right/len(vy):.2f} %", flush=True)
    return model
def export(model, sample, name, dynamo):
    model = model.eval()
    kw = {"input_names": ["x"], "output_names": ["score"]}
    if dynamo: torch.onnx.export(model, (sample,), out/f"{name}.onnx", dynamo=True, external_data=False, dynamic_shapes=({0: torch.export.Dim("batch")},), **kw)
    else: torch.onnx.export(model, (sample,), out/f"{name}.onnx", dynamo=False, opset_version=17, dynamic_axes={"x": {0: "batch"}, "score": {0: "batch"}}, **kw)
# images 24x24: subbyte's own shapes
def images(folder):
    d = {}
    for part in ("train", "test"):
        files = sorted((folder/part).glob("*/*.png")); names = sorted({f.parent.name for f in files})
        x = np.stack([np.asarray(Image.open(f).convert("RGB"), np.float32)/255 for f in files])
        d[part] = (torch.tensor(((x-np.float32(MEAN))/np.float32(STD)).transpose(0,3,1,2).copy()), torch.tensor([names.index(f.parent.name) for f in files]))
    return d
which = sys.argv[2:] or ["mobilenet", "vit", "mlp", "cnn1d"]
if "mobilenet" in which or "vit" in which:
    d = images(out/("shapes2" if which == ["vit"] else "shapes")); x, y = d["train"]; vx, vy = d["test"]
if "mobilenet" in which:
    class Inverted(nn.Module):
        def __init__(s, i, o, stride, t=3):
            super().__init__(); h = i*t; s.skip = stride == 1 and i == o
            s.body = nn.Sequential(nn.Conv2d(i,h,1,bias=False), nn.BatchNorm2d(h), nn.ReLU6(), nn.Conv2d(h,h,3,stride,1,groups=h,bias=False), nn.BatchNorm2d(h), nn.ReLU6(), nn.Conv2d(h,o,1,bias=False), nn.BatchNorm2d(o))
        def forward(s, x): return x + s.body(x) if s.skip else s.body(x)
    m = nn.Sequential(nn.Conv2d(3,16,3,1,1,bias=False), nn.BatchNorm2d(16), nn.ReLU6(), Inverted(16,16,1), Inverted(16,24,2), Inverted(24,24,1), Inverted(24,32,2), Inverted(32,32,1), nn.Conv2d(32,64,1,bias=False), nn.BatchNorm2d(64), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(64,4))
    export(fit(m, x, y, vx, vy, 12, 4e-3, 16, "mobilenet"), x[:2], "mobilenet", True)
if "vit" in which:
    m = torchvision.models.VisionTransformer(image_size=24, patch_size=4, num_layers=3, num_heads=4, hidden_dim=48, mlp_dim=96, num_classes=4)
    nn.init.normal_(m.heads.head.weight, std=0.02)
    export(fit(m, x, y, vx, vy, 60, 2e-3, 32, "vit"), x[:2], "vit", True)
if "mlp" in which:
    rng = np.random.default_rng(3); n = 1200
    f = rng.normal(size=(n, 8)) * [1, 5, 0.1, 20, 2, 1, 1, 3] + [0, 10, 1, 50, 0, 0, 0, 2]
    z = (f - f.mean(0)) / f.std(0)
    s = np.stack([z[:,0]*z[:,1]+z[:,2], z[:,3]-z[:,4]**2+1, np.sin(2*z[:,5])+z[:,6]], 1) + 0.25*rng.normal(size=(n,3))
    label = s.argmax(1); names = ["low", "mid", "top"]
    f = np.round(f, 4)
    cols = ["a","b","c","d","e","f","g","h"]
    for part, sl in (("train", slice(0, 900)), ("test", slice(900, n))):
        with open(out/"table"/f"{part}.csv", "w", newline="") as h:
            w = csv.writer(h); w.writerow(cols + ["kind"])
            for row, k in zip(f[sl], label[sl]): w.writerow([repr(float(v)) for v in row] + [names[k]])
    x = torch.tensor(f[:900].astype(np.float32)); y = torch.tensor(label[:900]); vx = torch.tensor(f[900:].astype(np.float32)); vy = torch.tensor(label[900:])
    mu, sd = x.mean(0), x.std(0, unbiased=False)
    m = nn.Sequential(nn.Linear(8,64), nn.ReLU(), nn.Linear(64,64), nn.ReLU(), nn.Linear(64,3))
    export(fit(m, (x-mu)/sd, y, (vx-mu)/sd, vy, 40, 5e-3, 32, "mlp"), x[:2], "mlp", False)
if "cnn1d" in which:
    rng = np.random.default_rng(4); n = 1000; t = np.arange(128)
    xs, ys = [], []
    for i in range(n):
        k = i % 4; fr = rng.uniform(0.04, 0.12); ph = rng.uniform(0, 6.28); a = 2*np.pi*fr*t+ph
        w = [np.sin(a), np.sign(np.sin(a)), 2*((fr*t+ph) % 1)-1, 2*np.abs(2*((fr*t+ph) % 1)-1)-1][k]
        amp = rng.uniform(0.5, 2)
        two = np.stack([amp*w, amp*0.5*np.roll(w, 3)]) + rng.normal(0, 0.45, (2, 128))
        xs.append(two); ys.append(k)
    p = rng.permutation(n); X = np.stack(xs)[p].astype(np.float32); Y = np.array(ys)[p].astype(np.int64)
    np.savez(out/"waves.npz", x_train=X[:800], y_train=Y[:800], x_test=X[800:], y_test=Y[800:])
    m = nn.Sequential(nn.Conv1d(2,16,7,padding=3,bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(16,32,5,padding=2,bias=False), nn.BatchNorm1d(32), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(32,32,3,padding=1,bias=False), nn.BatchNorm1d(32), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32,4))
    tx, ty = torch.tensor(X), torch.tensor(Y)
    export(fit(m, tx[:800], ty[:800], tx[800:], ty[800:], 12, 5e-3, 32, "cnn1d"), tx[:2], "cnn1d", False)
