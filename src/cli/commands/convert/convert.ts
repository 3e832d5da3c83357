/** `subbyte convert`: a trained simulation as integers, in files that other programs run. */

import { Option } from "@commander-js/extra-typings";
import type { FlagsOf, NewCommand } from "../../command.ts";
import { checkpointOption, collect, defaultResidualBits, wholeNumber } from "../../flag-values.ts";

const examples = `
FORMAT is one of
  int         ONNX on integers (QLinearConv), weights packed; runs on ONNX Runtime everywhere
  qdq, qcdq   ONNX with QuantizeLinear and DequantizeLinear: small types, or 8-bit types with Clip
  qonnx       Quant and BipolarQuant nodes of QONNX
  c           one C99 file without allocation, weights packed to their bits
  state_dict  safetensors, JSON and a Python loader for torch
  float       the float model as ONNX for any batch size, without quantizers; of a float run too
  weights     ONNX computing in float, weights stored in their bits: for runs that quantize only weights, and for a model's
              file, whose weights are rounded as they are (MatMulNBits, GatherBlockQuantized)

Examples:
  subbyte convert runs/lsq4 --verify
  subbyte convert runs/lsq4 --residual-bits 4 --batch 32
  subbyte convert runs/lsq4 --format int --format c --arithmetic fixed -o deployed
  subbyte convert runs/lsq4 --format qonnx --json
  subbyte convert gpt.onnx --format weights --weight-bits 4 --group-size 32`;

/** Declares `subbyte convert`. */
export const declareConvert = (command: NewCommand) =>
  command
    .description("Convert a run's simulation to integers, in files that other programs run, and prove that they agree.")
    .argument("<run>", "folder of a run, a checkpoint file, or with --format weights a model's ONNX file")
    .addOption(checkpointOption())
    .option(
      "-f, --format <name>",
      "int (default), qdq, qcdq, qonnx, c, state_dict, float or weights (repeatable)",
      collect,
    )
    .option("-o, --out <folder>", "folder to write to (default: convert/ in the run's folder)")
    .option("--batch <n>", "images in a batch of the ONNX files", wholeNumber(1), 1)
    .addOption(
      new Option("--arithmetic <how>", "arithmetic of the C program's rescaling")
        .choices(["float", "fixed"] as const)
        .default("float" as const),
    )
    .option("--weight-bits <n>", "of a model's file: bits of the rounded weights, 2, 4 or 8", wholeNumber(2))
    .option(
      "--group-size <n>",
      "of a model's file: inputs that share a scale, a power of two from 16 (default: 32)",
      wholeNumber(1),
    )
    .option("--symmetric", "of a model's file: codes around 0, without a zero point for each group")
    .option("--no-pack", "keep all weights of the int format in int8, for older runtimes")
    .option(
      "--residual-bits <n>",
      "quantize what is stored between layers to n bits (additions, average pools, products, functions) where training did not",
      wholeNumber(2),
      defaultResidualBits,
    )
    .option("--no-residual-bits", "leave what training did not quantize between layers as it is: larger and slower")
    .option("--verify", "compare every code of every layer over the test images, and write verify.json")
    .option("--data <name|folder>", "measure and verify on this data (default: the run's own test images)")
    .option("--limit <n>", "measure and verify on only the first N test images", wholeNumber(1))
    .option("--no-measure", "do not measure the accuracy and the time of float, simulation and integers")
    .option("--interpret <n>", "images for the reference interpreter too (it is slow)", wholeNumber(0), 2)
    .option("--threads <n>", "threads of ONNX Runtime, 0 for one per core", wholeNumber(0), 0)
    .option("--json", "print the result as one JSON document")
    .option("-q, --quiet", "print no notes and no progress")
    .option("-v, --verbose", "print every note, and each layer's bits and bytes")
    .addHelpText("after", examples);

/** The flags of `subbyte convert`. */
export type ConvertFlags = FlagsOf<typeof declareConvert>;
