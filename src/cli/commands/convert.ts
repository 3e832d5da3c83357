/** `subbyte convert`: its flags and its help. What it does is in actions/convert.ts. */

import { Option } from "@commander-js/extra-typings";
import { collect, type ParentCommand, wholeNumber } from "./common.ts";

const examples = `
FORMAT is one of
  int         ONNX on integers (QLinearConv), weights packed; runs on ONNX Runtime everywhere
  qdq, qcdq   ONNX with QuantizeLinear and DequantizeLinear: small types, or 8-bit types with Clip
  qonnx       Quant and BipolarQuant nodes of QONNX
  c           one C99 file without allocation, weights packed to their bits
  state_dict  safetensors, JSON and a Python loader for torch
  float       the float model as ONNX for any batch size, without quantizers; of a float run too
  weights     ONNX computing in float, weights stored in their bits: for runs that quantize only weights

Examples:
  subbyte convert runs/lsq4 --verify
  subbyte convert runs/lsq4 --residual-bits 8 --batch 32
  subbyte convert runs/lsq4 --format int --format c --arithmetic fixed -o deployed
  subbyte convert runs/lsq4 --format qonnx --json`;

/** Adds the command to the program. */
export function addConvertCommand(program: ParentCommand): void {
  program
    .command("convert")
    .summary("turn a trained simulation into a network of integers")
    .description("Turn a run's simulation into integers, in files that others run; prove that it is the same network.")
    .argument("<run>", "a run's directory, or a checkpoint file")
    .addOption(
      new Option("--checkpoint <which>", "which of a run's checkpoints")
        .choices(["last", "best"] as const)
        .default("last" as const),
    )
    .option(
      "-f, --format <name>",
      "int (default), qdq, qcdq, qonnx, c, state_dict, float or weights (repeatable)",
      collect,
    )
    .option("-o, --out <dir>", "folder to write to (default: the run's, under convert/)")
    .option("--batch <n>", "images in a batch of the ONNX files", wholeNumber(1), 1)
    .addOption(
      new Option("--arithmetic <how>", "how the C program makes codes")
        .choices(["float", "fixed"] as const)
        .default("float" as const),
    )
    .option("--no-pack", "keep all weights of the int format in int8, for older runtimes")
    .option(
      "--residual-bits <n>",
      "give residual additions and average pools codes of n bits where training gave them none; int runs faster with 8",
      wholeNumber(2),
    )
    .option("--verify", "compare every code of every layer over the test images, and write verify.json")
    .option("--data <name|folder>", "verify on other data than the run's own test images")
    .option("--limit <n>", "verify on only the first so many test images", wholeNumber(1))
    .option("--interpret <n>", "images that the reference interpreter runs as well (it is slow)", wholeNumber(0), 2)
    .option("--threads <n>", "threads of ONNX Runtime, 0 for one for each core", wholeNumber(0), 0)
    .option("--json", "print the result as one JSON document")
    .option("-q, --quiet", "print no progress")
    .option("-v, --verbose", "print more: each layer's bits and bytes")
    .addHelpText("after", examples)
    .action(async (run, flags) => {
      const { convertRun } = await import("../actions/convert.ts");
      await convertRun(run, flags);
    });
}
