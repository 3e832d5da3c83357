"""Executes QONNX files with the `qonnx` package and compares every output with what the simulation gave.

    python qonnx-run.py FOLDER      each NAME.onnx beside NAME.json {"input": [...], "outputs": {name: [...]}}

Prints one JSON line for each model: outputs and elements compared, and how many differ.
"""

import json
import sys
from pathlib import Path

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

for file in sorted(Path(sys.argv[1]).glob("*.onnx")):
    model = ModelWrapper(str(file)).transform(InferShapes())
    expected = json.loads(file.with_suffix(".json").read_text())
    source = model.graph.input[0]
    shape = [dim.dim_value for dim in source.type.tensor_type.shape.dim]
    data = np.array(expected["input"], dtype=np.float32).reshape(shape)
    results = execute_onnx(model, {source.name: data})
    compared = different = 0
    for name, values in expected["outputs"].items():
        wanted = np.array(values, dtype=np.float32)
        got = results[name].astype(np.float32).reshape(-1)
        compared += wanted.size
        different += int(np.count_nonzero(wanted != got))
    quants = sum(node.op_type in ("Quant", "BipolarQuant") for node in model.graph.node)
    print(json.dumps({"model": file.stem, "quants": quants, "compared": compared, "different": different}))
