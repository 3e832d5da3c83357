"""Writes ONNX's node tests, which recent versions of the onnx package compute and do not ship, as folders of files.

FOLDER/<case>/model.onnx, and in FOLDER/<case>/test_data_set_0 the inputs and outputs as tensors: the form of Debian's
libonnx-testdata, which test/conformance/onnx-backend.test.ts reads (ONNX_NODE_CASES=FOLDER).

Needs onnx and what its cases need, ml_dtypes and pillow: python3 scripts/write-node-cases.py FOLDER
"""

import sys
import warnings
from pathlib import Path

import numpy
import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test.loader import load_model_tests

WRITERS = {
    "sequence_type": numpy_helper.from_list,
    "map_type": numpy_helper.from_dict,
    "optional_type": numpy_helper.from_optional,
}


def as_proto(value, info):
    if isinstance(value, TensorProto):
        return value
    write = WRITERS.get(info.type.WhichOneof("value"))
    return numpy_helper.from_array(numpy.asarray(value), info.name) if write is None else write(value, info.name)


def main():
    folder = Path(sys.argv[1])
    warnings.simplefilter("ignore")
    cases = load_model_tests(kind="node")
    for case in cases:
        data = folder / case.name / "test_data_set_0"
        data.mkdir(parents=True, exist_ok=True)
        (data.parent / "model.onnx").write_bytes(case.model.SerializeToString())
        graph = case.model.graph
        for kind, infos, values in zip(("input", "output"), (graph.input, graph.output), case.data_sets[0]):
            for i, (info, value) in enumerate(zip(infos, values)):
                (data / f"{kind}_{i}.pb").write_bytes(as_proto(value, info).SerializeToString())
    print(f"{len(cases)} cases of onnx {onnx.__version__}")


main()
