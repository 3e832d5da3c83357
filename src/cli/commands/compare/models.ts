/** The models behind the arguments A and B of `subbyte compare`: a run, a checkpoint, or an ONNX file. */
import { basename } from "node:path";
import { type ComparedModel, comparedGraph, comparedNetwork } from "../../../convert/prove/compared-model.ts";
import { decodeModelFile, importOnnxFile } from "../../../importer/node-files.ts";
import type { Shape } from "../../../ir/types.ts";
import type { FileNode, OnnxFile } from "../../../onnx/read/file.ts";
import { typedGraph } from "../../../onnx/read/read.ts";
import { findDefinition, inferWith } from "../../../ops/definition.ts";
import { integerOperators, integerProducts } from "../../../ops/integer-operators.ts";
import { statesChannelsLast, takesChannelsLast } from "../../../train/image-layout.ts";
import { type LoadedRun, loadRun } from "../../../train/load-run.ts";

/** A model to compare, with its run where it has one. */
export interface ComparisonSide {
  readonly model: ComparedModel;
  /** Absent for an ONNX file. */
  readonly run?: LoadedRun;
}

/** Reads both sides of a comparison. @throws what loadRun and importOnnxFile throw. */
export async function readComparisonSides(a: string, b: string): Promise<readonly [ComparisonSide, ComparisonSide]> {
  const [left, right] = await Promise.all([a, b].map((path) => (isOnnx(path) ? undefined : readRun(path))));
  const samples = (left ?? right)?.run?.data.test.sampleShape;
  return [left ?? readFile(a, samples), right ?? readFile(b, samples)];
}

function isOnnx(path: string): boolean {
  return /\.onnx$/i.test(path);
}

async function readRun(path: string): Promise<ComparisonSide> {
  const run = await loadRun(path);
  return { model: comparedNetwork(run.network), run };
}

/** @param samples The shape of the samples that are compared on, where it is known. */
function readFile(path: string, samples: Shape | undefined): ComparisonSide {
  const file = decodeModelFile(path);
  if (!isConverted(file)) {
    const { inputs } = file.graph;
    const isLast = samples === undefined ? statesChannelsLast(inputs) : takesChannelsLast(inputs, samples);
    return { model: comparedNetwork(importOnnxFile(path, { channelsFirst: isLast })) };
  }
  const source = basename(path);
  return { model: comparedGraph(typedGraph(file, inferWith(integerOperators), { source }), source) };
}

/** Whether a file computes on integers, as those of `convert` do: it is run as it stands, and not imported. */
function isConverted({ graph }: OnnxFile): boolean {
  const isProduct = (node: FileNode): boolean => findDefinition(integerProducts, node) !== undefined;
  return graph.nodes.some(isProduct) || graph.inputs.some(({ dtype }) => dtype !== "float32");
}
