#!/usr/bin/env python3
"""ONNX Runtime's own static quantization of a file to int8: static_int8.py MODEL NPZ SAMPLES OUT (needs onnx and onnxruntime)."""

import os
import sys
import tempfile

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

model, arrays, count, out = sys.argv[1], np.load(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
onnxruntime.set_default_logger_severity(4)


class Samples(CalibrationDataReader):
    def __init__(self):
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self.arrays = {each.name: arrays[f"{each.name}_train"][:count] for each in session.get_inputs()}
        self.next = 0

    def get_next(self):
        i, self.next = self.next, self.next + 8
        return None if i >= count else {name: values[i : i + 8] for name, values in self.arrays.items()}


with tempfile.TemporaryDirectory() as folder:
    prepared = os.path.join(folder, "prepared.onnx")
    try:
        quant_pre_process(model, prepared, skip_symbolic_shape=True)
    except Exception:
        prepared = model
    quantize_static(prepared, out, Samples(), quant_format=QuantFormat.QDQ, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, per_channel=True)
