"""Writes random networks of PyTorch as ONNX files, with what others compute with them.

    python3 scripts/random-networks/write.py FOLDER FIRST COUNT [SHARE_OF_DYNAMO]

For each seed FOLDER/SEED.onnx and FOLDER/SEED.safetensors: input, labels, output (of ONNX Runtime), loss, grad.NAME for each
float initializer (of torch in float64, as interpret.py reads the file; training). FOLDER/SEED.json says how it was exported.
Needs torch, onnx, onnxruntime, onnxscript. scripts/random-networks/check.ts compares subbyte with them.
"""

import json
import os
import random
import signal
import struct
import sys
import warnings
from pathlib import Path

import numpy
import onnx
import onnxruntime
import torch
from interpret import Run
from networks import random_network

SAMPLES = 14
SECONDS = 120


def write_safetensors(path, tensors):
    header, offset, chunks = {}, 0, []
    for name, array in tensors.items():
        kind = {"float32": "F32", "int64": "I64"}[str(array.dtype)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
        chunks.append(numpy.ascontiguousarray(array).tobytes())
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(chunks))


def exported(model, sample, path, r, dynamo):
    """Writes the file and returns how."""
    batch = r.choice([1, 1, 7])
    how = {"exporter": "dynamo" if dynamo else "legacy", "batch": r.choice(["any", "any", batch])}
    how["mode"] = r.choice(["eval"] * 4 + ["preserve", "training"])
    how["dtype"] = r.choice(["float32"] * 10 + ["float16", "float64"])
    dtype = getattr(torch, how["dtype"])
    model = model.to(dtype)
    size = 3 if how["batch"] == "any" else how["batch"]
    x = torch.randn(size, *sample).to(dtype)
    if how["mode"] == "training":
        model.train()
    if dynamo:
        shapes = [{0: "batch"}] if how["batch"] == "any" else None
        how["opset"] = r.choice([18, 18, 20])
        how["external"] = r.random() < 0.3
        torch.onnx.export(
            model,
            (x,),
            str(path),
            dynamo=True,
            external_data=how["external"],
            optimize=r.random() < 0.7,
            opset_version=how["opset"],
            verbose=False,
            input_names=["input"],
            dynamic_shapes=shapes,
        )
        return how
    how["opset"] = r.choice(range(11, 21))
    modes = {"eval": "EVAL", "preserve": "PRESERVE", "training": "TRAINING"}
    # Constant folding of a model in training breaks torch's own exporter.
    torch.onnx.export(
        model,
        (x,),
        str(path),
        dynamo=False,
        opset_version=how["opset"],
        training=getattr(torch.onnx.TrainingMode, modes[how["mode"]]),
        do_constant_folding=how["mode"] == "eval" and r.random() < 0.8,
        input_names=["input"],
        output_names=None if r.random() < 0.3 else ["logits"],
        dynamic_axes={"input": {0: "batch"}} if how["batch"] == "any" else None,
        keep_initializers_as_inputs=r.random() < 0.15,
    )
    return how


def run_file(path, x, batch, mode):
    """The outputs of ONNX Runtime for all samples, in batches of the size that the file takes."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    size = len(x) if batch == "any" else batch
    kind = {"tensor(float16)": numpy.float16, "tensor(double)": numpy.float64}.get(session.get_inputs()[0].type, numpy.float32)
    parts = [session.run(None, {"input": x[i : i + size].astype(kind)})[0] for i in range(0, len(x), size)]
    return numpy.concatenate(parts).astype(numpy.float32)


def step(model, folder, feeds, labels, dtype):
    """The loss of one training step, the parameters and their gradients."""
    run = Run(model, str(folder), True, dtype)
    scores = run(feeds)[0]
    first = model.graph.output[0].name
    if next(node for node in model.graph.node if first in node.output).op_type == "Softmax" and scores.dim() == 2:
        # subbyte takes what enters a last Softmax for the scores.
        scores = scores.log()
    loss = torch.nn.functional.cross_entropy(scores, torch.from_numpy(labels))
    loss.backward()
    found = {"loss": loss.detach().numpy().astype(numpy.float32)}
    for name, value in run.parameters.items():
        if value.requires_grad and value.grad is not None:
            found[f"grad.{name}"] = value.grad.numpy().astype(numpy.float32)
            found[f"value.{name}"] = value.detach().numpy().astype(numpy.float32)
    return found


def write(seed, folder, share):
    r = random.Random(f"export {seed}")
    dynamo = r.random() < share
    model, sample, classes = random_network(seed)
    path = folder / f"{seed}.onnx"
    how = exported(model, sample, path, r, dynamo)
    generator = numpy.random.default_rng(seed)
    x = generator.standard_normal((SAMPLES, *sample)).astype(numpy.float32)
    labels = generator.integers(0, classes, SAMPLES)
    labels[:classes] = numpy.arange(classes)[:SAMPLES]
    tensors = {"input": x, "labels": labels.astype(numpy.int64)}
    how |= {"sample": list(sample), "classes": classes}
    loaded = onnx.load(str(path))
    how["operators"] = sorted({node.op_type for node in loaded.graph.node})
    try:
        tensors["output"] = run_file(path, x, how["batch"], how["mode"])
    except Exception as error:
        how["runtime"] = str(error)[:200]
    batch = SAMPLES if how["batch"] == "any" else how["batch"]
    try:
        feeds = {"input": torch.from_numpy(x[:batch])}
        with torch.no_grad():
            plain = Run(loaded, str(folder), False)(feeds)[0].numpy().astype(numpy.float32)
        tensors["plain"] = plain
        exact, rounded = (step(loaded, folder, feeds, labels[:batch], dtype) for dtype in (torch.float64, torch.float32))
        tensors["loss"] = exact["loss"]
        for name, value in exact.items():
            if name.startswith("grad."):
                # How far torch's float32 is from it: some gradients are little else than rounding.
                off = numpy.linalg.norm(value - rounded[name]) / max(numpy.linalg.norm(value), 1e-30)
                tensors[f"noise.{name[len('grad.') :]}"] = numpy.float32(off).reshape(())
        tensors |= exact
    except (KeyError, RuntimeError, AssertionError) as error:
        how["uncompared"] = f"{type(error).__name__} {str(error)[:150]}"
    write_safetensors(folder / f"{seed}.safetensors", tensors)
    numpy.savez(folder / f"{seed}.npz", x_train=x, y_train=labels, x_test=x, y_test=labels)
    (folder / f"{seed}.json").write_text(json.dumps(how))
    return how


def written_apart(seed, folder, share):
    """Writes one network in a process of its own, which torch may crash or hang; returns what went wrong."""
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        code = 0
        try:
            how = write(seed, folder, share)
            notes = {key: how[key] for key in ("runtime", "uncompared") if key in how}
            if notes:
                print(seed, how["exporter"], how["opset"], notes, flush=True)
        except Exception as error:  # what torch cannot export is no network of a user
            print(seed, "not exported:", type(error).__name__, str(error).replace("\n", " ")[:120], flush=True)
            code = 1
        os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        print(seed, "not exported: ended by", signal.Signals(os.WTERMSIG(status)).name, flush=True)
    if status != 0:
        for part in folder.glob(f"{seed}.*"):
            part.unlink()
    return status


def main():
    folder, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    share = float(sys.argv[4]) if len(sys.argv) > 4 else 0.2
    folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    failed = sum(written_apart(seed, folder, share) != 0 for seed in range(first, first + count))
    print(f"{count - failed} written, {failed} not exported by torch")


main()
