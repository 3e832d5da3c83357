/** What faults of the battery have to know of a float run. */

import { layersOf } from "../../../src/compile/layers.ts";
import type { Value } from "../../../src/ir/graph.ts";
import { isOperator } from "../../../src/ops/definition.ts";
import { reluOperator } from "../../../src/ops/families/activations.ts";
import { batchNormalizationOperator } from "../../../src/ops/families/normalization.ts";
import { readCheckpoint } from "../../../src/runs/checkpoint.ts";
import { lastCheckpointOf } from "../../../src/runs/folder.ts";
import { loadRun } from "../../../src/train/load-run.ts";
import type { Situation } from "./fault.ts";

/** The layers of the float network, what normalizes its samples, and the normalizations that one layer alone reads. */
export async function structureOf(folder: string): Promise<Pick<Situation, "layers" | "links" | "normalization">> {
  const { network } = await loadRun(folder);
  const { inputs } = await readCheckpoint(lastCheckpointOf(folder));
  const roles = new Map(network.parameters.map(({ name, role }) => [name, role]));
  const layers = layersOf(network.graph).flatMap((node) => {
    const weight = node.inputs.find((input) => roles.get(input?.name ?? "") === "weight");
    return weight === undefined ? [] : [{ name: node.name, weight: weight.name, shape: weight.type.shape }];
  });
  const readersOf = (value: Value) => network.graph.nodes.filter(({ inputs }) => inputs.includes(value));
  const links = network.graph.nodes.flatMap((norm) => {
    const [, scale, shift] = norm.inputs;
    const [output] = norm.outputs;
    if (!isOperator(batchNormalizationOperator, norm) || scale === undefined || shift === undefined) return [];
    const [rectifier, ...others] = output === undefined ? [] : readersOf(output);
    const rectified = rectifier?.outputs[0];
    if (rectifier === undefined || others.length > 0 || !isOperator(reluOperator, rectifier)) return [];
    const [reader, ...more] = rectified === undefined ? [] : readersOf(rectified);
    const layer = layers.find(({ name }) => name === reader?.name);
    if (more.length > 0 || layer === undefined) return [];
    return [{ scale: scale.name, shift: shift.name, weight: layer.weight }];
  });
  return { layers, links, normalization: { mean: inputs?.mean ?? [0], std: inputs?.std ?? [1] } };
}
