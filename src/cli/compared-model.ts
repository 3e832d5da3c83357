/** What the arguments A and B of `subbyte compare` stand for: a run, a checkpoint, or an ONNX file. */
import { basename } from "node:path";
import { type Comparand, graphComparand, networkComparand } from "../convert/comparand.ts";
import { integerOperators } from "../convert/formats/integer-operators.ts";
import { type OnnxFile, readOnnxFile } from "../graph/onnx-file.ts";
import { readOnnx } from "../graph/onnx-read.ts";
import { importOnnxFile, readModelFile } from "../importer/node-files.ts";
import { inferWith } from "../ops/operator.ts";
import { type LoadedRun, loadRun } from "../train/load-run.ts";

export interface ComparedModel {
  readonly comparand: Comparand;
  /** Absent for an ONNX file. */
  readonly run?: LoadedRun;
}

/** Operators that only the files of `convert` have: these are run as they stand, and not imported. */
const integerOnly = new Set(["QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"]);

/** Reads one side of a comparison. @throws what loadRun and importOnnxFile throw. */
export async function readComparedModel(path: string): Promise<ComparedModel> {
  if (!/\.onnx$/i.test(path)) {
    const run = await loadRun(path);
    return { comparand: networkComparand(run.network), run };
  }
  const { bytes, externalData } = readModelFile(path);
  const source = basename(path);
  const file = readOnnxFile(bytes, { source, externalData });
  if (!isConverted(file)) return { comparand: networkComparand(importOnnxFile(path)) };
  const { graph } = readOnnx(bytes, inferWith(integerOperators), { source, externalData });
  return { comparand: graphComparand(graph, source) };
}

function isConverted({ graph }: OnnxFile): boolean {
  return graph.nodes.some(({ op }) => integerOnly.has(op)) || graph.inputs.some(({ dtype }) => dtype !== "float32");
}
