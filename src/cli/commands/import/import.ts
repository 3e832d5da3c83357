/** `subbyte import`: reads an ONNX model and says what it became. */

import { readOpsets } from "../../../onnx/read/opsets.ts";
import type { FlagsOf, NewCommand } from "../../command.ts";
import { collect, wholeNumber } from "../../flag-values.ts";

const examples = `
Reads opset ${readOpsets.from} to ${readOpsets.to}, computes constant parts, recognizes operators that exporters wrote as arithmetic, and lists what can
be trained and which operators do not convert to integers. With --out the simplified model is written as ONNX.

Examples:
  subbyte import model.onnx
  subbyte import model.onnx --out simplified.onnx
  subbyte import detector.onnx --input-shape image=1x3x320x320 --json`;

/** Declares `subbyte import`. */
export const declareImport = (command: NewCommand) =>
  command
    .description("Read an ONNX model as a network that can be trained and quantized.")
    .argument("<model>", "an ONNX file, with its external data in the same folder")
    .option("-o, --out <file>", "write the simplified float model as ONNX")
    .option("--input-shape <name=shape>", "shape of an input that the file leaves open (repeatable)", collect)
    .option("--batch <n>", "batch size, where the file leaves it open and shapes need one", wholeNumber(1))
    .option("--keep-batch", "keep a batch size that the file states")
    .option("--restore-batch-norm", "add a BatchNormalization after convolutions that it was folded into")
    .option("--json", "print the result as one JSON document")
    .option("-q, --quiet", "print no notes")
    .option("-v, --verbose", "count the operators too, and name all nodes that do not convert to integers")
    .addHelpText("after", examples);

/** The flags of `subbyte import`. */
export type ImportFlags = FlagsOf<typeof declareImport>;
