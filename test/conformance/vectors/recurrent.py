"""Writes recurrent.json: LSTM, GRU and RNN of ONNX, and what torch computes for them, forward and backward.

    python3 test/conformance/vectors/recurrent.py        (torch and onnx)

Each case holds a model with one operator, its weights as initializers w, r and b in ONNX's layout, the inputs, the outputs,
random `weights` of every output, and the gradients of the sum of all weights * outputs by the inputs and by w, r and b.
Where torch has the layer, the cell written here is held against it. float32 numbers are base64 of their little-endian bytes.
"""

import base64
import json
import os

import numpy
import onnx
import torch

torch.manual_seed(0)
torch.set_num_threads(1)
cases = []
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
FUNCTIONS = {"Sigmoid": torch.sigmoid, "Tanh": torch.tanh, "Relu": torch.relu}
USUAL = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


def packed(tensor):
    array = tensor.detach().contiguous().numpy()
    data = base64.b64encode(array.astype("<f4").tobytes()).decode()
    return {"dtype": "float32", "shape": list(array.shape), "base64": data}


def random(*shape, low=-1.0, high=1.0):
    return torch.round((torch.rand(shape) * (high - low) + low) * 256) / 256


def direction(op, x, w, r, b, h, c, functions, resets_after):
    """x [T, B, I]; w [G*H, I]; r [G*H, H]; b [2*G*H]; h, c [B, H]. Gates in ONNX's order: iofc, zrh."""
    size = r.shape[1]
    f = [FUNCTIONS[name] for name in functions]
    wb, rb = b.chunk(2)
    outputs = []
    for step in x:
        if op == "LSTM":
            i, o, forget, g = (step @ w.T + h @ r.T + wb + rb).split(size, 1)
            c = f[0](forget) * c + f[0](i) * f[1](g)
            h = f[0](o) * f[2](c)
        elif op == "GRU":
            xs, ws = (step @ w.T + wb).split(size, 1), r.split(size)
            bz, br, bh = rb.split(size)
            z = f[0](xs[0] + h @ ws[0].T + bz)
            reset = f[0](xs[1] + h @ ws[1].T + br)
            inner = reset * (h @ ws[2].T + bh) if resets_after else (reset * h) @ ws[2].T + bh
            h = (1 - z) * f[1](xs[2] + inner) + z * h
        else:
            h = f[0](step @ w.T + h @ r.T + wb + rb)
        outputs.append(h)
    return torch.stack(outputs), h, c


def forward(op, attributes, x, w, r, b, h, c):
    kind = attributes.get("direction", "forward")
    names = ["forward", "reverse"] if kind == "bidirectional" else [kind]
    first = attributes.get("layout", 0) == 1
    functions = attributes.get("activations") or USUAL[op] * len(names)
    each = len(functions) // len(names)
    if first:
        x, h, c = x.transpose(0, 1), h.transpose(0, 1), c.transpose(0, 1)
    sequences, hidden, cells = [], [], []
    for d, name in enumerate(names):
        steps = x.flip(0) if name == "reverse" else x
        own = functions[d * each:(d + 1) * each]
        y, last, cell = direction(op, steps, w[d], r[d], b[d], h[d], c[d], own, attributes.get("linear_before_reset", 0) == 1)
        sequences.append(y.flip(0) if name == "reverse" else y)
        hidden.append(last)
        cells.append(cell)
    y, last, cell = torch.stack(sequences, 1), torch.stack(hidden), torch.stack(cells)
    if first:
        y, last, cell = y.permute(2, 0, 1, 3), last.transpose(0, 1), cell.transpose(0, 1)
    return [y, last, cell] if op == "LSTM" else [y, last]


def held_against_torch(op, attributes, x, w, r, b, outputs):
    """The layer of torch with these weights and zero states, where it has one like this."""
    if attributes.get("direction") == "reverse" or attributes.get("layout", 0) == 1 or len(attributes.get("activations", [])) > 1:
        return
    if op == "GRU" and attributes.get("linear_before_reset", 0) == 0:
        return
    both = attributes.get("direction") == "bidirectional"
    given = {"nonlinearity": "relu"} if attributes.get("activations") == ["Relu"] else {}
    layer = getattr(torch.nn, op)(x.shape[2], r.shape[2], bidirectional=both, **given)
    order = {"LSTM": [0, 2, 3, 1], "GRU": [1, 0, 2], "RNN": [0]}[op]
    pick = lambda tensor: torch.cat([tensor.chunk(GATES[op])[g] for g in order])
    with torch.no_grad():
        for d, suffix in enumerate(["", "_reverse"][:w.shape[0]]):
            wb, rb = b[d].chunk(2)
            for name, tensor in [("weight_ih", w[d]), ("weight_hh", r[d]), ("bias_ih", wb), ("bias_hh", rb)]:
                getattr(layer, f"{name}_l0{suffix}").copy_(pick(tensor))
        y, last = layer(x)
        last = last[0] if op == "LSTM" else last
    own = outputs[0].permute(0, 2, 1, 3).reshape(y.shape)
    assert torch.allclose(own, y, atol=1e-6), op
    assert torch.allclose(outputs[1], last, atol=1e-6), op


def case(name, op, with_states=False, with_bias=True, wanted=None, steps=4, batch=2, features=3, hidden=2, **attributes):
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    first = attributes.get("layout", 0) == 1
    rows = GATES[op] * hidden
    x = random(*((batch, steps) if first else (steps, batch)), features, low=-2, high=2)
    w, r = random(directions, rows, features), random(directions, rows, hidden)
    b = random(directions, 2 * rows) if with_bias else torch.zeros(directions, 2 * rows)
    shape = (batch, directions, hidden) if first else (directions, batch, hidden)
    h = random(*shape) if with_states else torch.zeros(shape)
    c = random(*shape) if with_states else torch.zeros(shape)
    leaves = {"x": x, "w": w, "r": r}
    if with_bias:
        leaves["b"] = b
    if with_states:
        leaves["h"] = h
        if op == "LSTM":
            leaves["c"] = c
    for tensor in leaves.values():
        tensor.requires_grad_(True)
    outputs = forward(op, attributes, x, w, r, b, h, c)
    if not with_states:
        held_against_torch(op, attributes, x.detach(), w.detach(), r.detach(), b.detach(), [o.detach() for o in outputs])
    names = ["y", "y_h", "y_c"][:len(outputs)]
    kept = [i for i, output in enumerate(names) if wanted is None or output in wanted]
    weights = [random(*outputs[i].shape, low=-2, high=2) for i in kept]
    loss = sum((weight * outputs[i]).sum() for weight, i in zip(weights, kept))
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    inputs = ["x", "w", "r", "b" if with_bias else "", "", "h" if with_states else "", "c" if with_states and op == "LSTM" else ""]
    while inputs[-1] == "":
        inputs.pop()
    written = [output if i in kept else "" for i, output in enumerate(names)]
    while written[-1] == "":
        written.pop()
    node = onnx.helper.make_node(op, inputs, written, name="cell", hidden_size=hidden, **attributes)
    sizes = ["N" if size == batch and i == (0 if first else 1) else size for i, size in enumerate(x.shape)]
    state = ["N" if i == (0 if first else 1) else size for i, size in enumerate(shape)]
    # The batch of a network is its first axis: other layouts are read through a Transpose in front.
    def entry(name, sizes):
        order = list(range(len(sizes)))
        order[0], order[1] = (1, 0) if not first else (0, 1)
        moved = [sizes[axis] for axis in order]
        info = onnx.helper.make_tensor_value_info(name if first else f"{name}_first", 1, moved)
        nodes = [] if first else [onnx.helper.make_node("Transpose", [f"{name}_first"], [name], perm=order, name=f"turn_{name}")]
        return info, nodes
    entries = [entry("x", sizes)] + [entry(n, state) for n in ("h", "c") if n in leaves]
    stored = {n: leaves[n].detach().numpy().astype(numpy.float32) for n in ("w", "r", "b") if n in leaves}
    graph = onnx.helper.make_graph(
        [node for _, nodes in entries for node in nodes] + [node], "model", [info for info, _ in entries],
        [onnx.helper.make_tensor_value_info(names[i], 1, None) for i in kept],
        [onnx.numpy_helper.from_array(array, n) for n, array in stored.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    in_front = lambda n, t: t if first or n not in ("x", "h", "c") else t.transpose(0, 1)
    cases.append({
        "name": name,
        "model": base64.b64encode(model.SerializeToString()).decode(),
        "inputs": {(n if first else f"{n}_first"): packed(in_front(n, leaves[n])) for n in ("x", "h", "c") if n in leaves},
        "outputs": {names[i]: packed(outputs[i]) for i in kept},
        "weights": {names[i]: packed(weight) for weight, i in zip(weights, kept)},
        "gradients": {
            (n if first or n in stored else f"{n}_first"): packed(in_front(n, g)) for n, g in zip(leaves, gradients)
        },
    })


for op in ("LSTM", "GRU", "RNN"):
    for kind in ("forward", "reverse", "bidirectional"):
        for with_states in (False, True):
            case(f"{op} {kind}{', initial states' if with_states else ''}", op, with_states, direction=kind)
    case(f"{op}, batch first", op, direction="bidirectional", layout=1, with_states=True)
    case(f"{op}, no bias", op, with_bias=False)
    case(f"{op}, last state alone", op, wanted=["y_h"])
    case(f"{op}, one step", op, steps=1)
    case(f"{op}, sequence alone", op, wanted=["y"], hidden=3)
case("LSTM, last cell alone", "LSTM", wanted=["y_c"])
for kind in ("forward", "reverse", "bidirectional"):
    for with_states in (False, True):
        name = f"GRU {kind}, reset after{', initial states' if with_states else ''}"
        case(name, "GRU", with_states, direction=kind, linear_before_reset=1)
case("GRU, reset after, no bias", "GRU", with_bias=False, linear_before_reset=1)
case("RNN with Relu", "RNN", activations=["Relu"])
case("LSTM with other functions", "LSTM", activations=["Sigmoid", "Relu", "Tanh"])
case("GRU bidirectional with other functions", "GRU", direction="bidirectional", activations=["Sigmoid", "Relu", "Sigmoid", "Tanh"])

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "recurrent.json")
with open(path, "w") as file:
    json.dump({"torch": torch.__version__, "cases": cases}, file, separators=(",", ":"))
    file.write("\n")
print(len(cases), "cases", os.path.getsize(path), "bytes")
