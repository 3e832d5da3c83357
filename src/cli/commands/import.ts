/** `subbyte import`: its flags and its help. What it does is in actions/import.ts. */

import { collect, type ParentCommand, wholeNumber } from "./common.ts";

const examples = `
Reads opset 7 to 25, computes what is constant, recognises what exporters wrote as arithmetic, and says what can be
trained. With --out the simplified model is written as ONNX again.

Examples:
  subbyte import model.onnx
  subbyte import model.onnx --out simplified.onnx
  subbyte import detector.onnx --input-shape image=1x3x320x320 --json`;

/** Adds the command to the program. */
export function addImportCommand(program: ParentCommand): void {
  program
    .command("import")
    .summary("read an ONNX model and say what it became")
    .description("Read an ONNX model as a network that can be trained and quantized.")
    .argument("<model>", "an ONNX file; its external data may lie beside it")
    .option("-o, --out <file>", "write the simplified float model as ONNX")
    .option("--input-shape <name=shape>", "an input's shape where the file leaves it open (repeatable)", collect)
    .option("--batch <n>", "batch size where the file leaves it open and shapes need one", wholeNumber(1))
    .option("--keep-batch", "keep a batch size that the file states")
    .option("--restore-batch-norm", "put a BatchNormalization after convolutions that it was folded into")
    .option("--json", "print it as one JSON document")
    .addHelpText("after", examples)
    .action(async (model, flags) => {
      const { importModel } = await import("../actions/import.ts");
      await importModel(model, flags);
    });
}
