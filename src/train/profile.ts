/** Where the time and the bytes of a training step go, next to the least that they could be on this machine. */

import { defined } from "../base/defined.ts";
import { buildTrainingStep, type TrainingStep } from "../compile/build/training-step.ts";
import { traitsOf } from "../compile/registry.ts";
import { floatOperations, type Work, type WorkKind, workKinds, workOf } from "../compile/work.ts";
import type { TrainingConfig } from "../config/schema/schema.ts";
import { trainingBatches } from "../data/dataset/batches.ts";
import { allocateBatch } from "../data/dataset/dataset.ts";
import { type Graph, onnxDomain } from "../ir/graph.ts";
import { withNumberedNodes } from "../ir/numbered-nodes.ts";
import { makeTensor } from "../ir/tensor.ts";
import { writtenNames } from "../onnx/write/write.ts";
import type { OperatorTraits } from "../ops/definition.ts";
import type { Device } from "../runtime/engine.ts";
import { planTraining, TrainingJob } from "../runtime/job.ts";
import { type MachineSpeed, measureMachineSpeed } from "../runtime/machine-speed.ts";
import { type ProfiledNode, profiled } from "../runtime/node/profile.ts";
import { StateBuffers } from "../runtime/state.ts";
import { inputOf } from "./loop/evaluate.ts";
import { modeOfEpoch } from "./loop/phases.ts";
import { targetTensor } from "./loop/trainer.ts";
import { engineOf } from "./run.ts";
import { loadData, prepareTraining } from "./setup.ts";

/** The time that some nodes of a step take together. */
export interface Share {
  readonly seconds: number;
  /** Read and written. */
  readonly bytes: number;
  /** How many nodes. */
  readonly nodes: number;
}

/** The time of one kind of work. */
export interface KindShare extends Share {
  readonly kind: WorkKind;
  /** Of convolutions and matrix products. */
  readonly operations: number;
  /** The longer of: its operations at the machine's matrix-product speed, its bytes at the machine's bandwidth. */
  readonly floorSeconds: number;
}

/** Where the time of a training step goes. */
export interface StepProfile {
  readonly device: Device;
  readonly batchSize: number;
  /** Median of the runs, as the engine measures them with its profiler on. */
  readonly stepSeconds: number;
  readonly kinds: readonly KindShare[];
  /** By the network's module, in falling order. */
  readonly layers: readonly (Share & { readonly layer: string; readonly kinds: Partial<Record<WorkKind, number>> })[];
  /** By the engine's operator, in falling order. */
  readonly operators: readonly (Share & { readonly op: string })[];
  readonly speed: MachineSpeed;
  /** The values of the step alive at once, as planned. */
  readonly plannedBytes: number;
}

/**
 * Runs a few training steps of a configuration under ONNX Runtime's profiler. Nothing is kept of the training.
 *
 * @param steps Runs that are measured, after one that is not.
 * @throws ConfigError and whatever else starting the run would throw.
 */
export async function profileStep(config: TrainingConfig, steps: number): Promise<StepProfile> {
  const data = await loadData(config);
  const { engine, target } = await engineOf(config);
  const { network, recipe } = await prepareTraining(config, data, engine, target);
  const step = buildTrainingStep(network, {
    batchSize: recipe.batchSize,
    input: inputOf(data.train),
    loss: recipe.loss,
    optimizer: recipe.optimizer,
    weightDecay: recipe.weightDecay,
    ...defined({ gradientClip: recipe.gradientClip }),
    mode: modeOfEpoch(recipe, network, 0),
  });
  const batch = allocateBatch(data.train, recipe.batchSize);
  const batches = trainingBatches(data.train, recipe);
  await batches.prefetch(0, 0);
  batches.read(0, 0, batch);
  const tensors = {
    data: makeTensor(data.train.sampleType, [recipe.batchSize, ...data.train.sampleShape], batch.samples),
    targets: targetTensor(batch.targets, recipe.batchSize, data.train.target),
  };
  const planned = planTraining(step, target, recipe.recompute === undefined ? {} : { recompute: recipe.recompute });
  // The profiler escapes nothing in names, so those of people would break its JSON, or be read as others.
  const plan = { ...planned, graph: withNumberedNodes(planned.graph) };
  const runs = await profiled({ device: engine.device, threads: config.threads }, async (profiling) => {
    const job = await TrainingJob.open(profiling, step, plan);
    const state = new StateBuffers(network.parameters.map(({ name, value }) => [name, value] as const));
    job.prepare(state);
    // Learning rates of zero: what is measured is the same step each time.
    for (let i = 0; i <= steps; i++) await job.run(state, tensors, {});
    await job.release();
  });
  const measured = runs.slice(1).toSorted((a, b) => a.seconds - b.seconds);
  const median = measured[Math.floor(measured.length / 2)] ?? { seconds: Number.NaN, nodes: [] };
  const speed = await measureMachineSpeed(engine);
  return {
    ...summarize(step, plan.graph, median.nodes, speed),
    device: engine.device,
    batchSize: recipe.batchSize,
    stepSeconds: median.seconds,
    speed,
    plannedBytes: plan.bytes,
  };
}

function summarize(
  { graph }: TrainingStep,
  lowered: Graph,
  nodes: readonly ProfiledNode[],
  speed: MachineSpeed,
): Pick<StepProfile, "kinds" | "layers" | "operators"> {
  const named = new Map([...writtenNames(lowered)].map(([node, name]) => [name, node]));
  const of = ({ name, op }: ProfiledNode): Work => {
    const node = named.get(name);
    if (node !== undefined) return workOf(node);
    // The engine, or the form of the file, needed it: a copy, or a tensor in another order.
    return { layer: "", kind: engineTraits(op).movement === true ? "data movement" : "other" };
  };
  const operations = floatOperations(graph);
  const byKind = groups(nodes, (node) => of(node).kind);
  const kinds = workKinds.flatMap((kind) => {
    const group = byKind.get(kind);
    if (group === undefined) return [];
    const share = shareOf(group);
    const own = operations.get(kind) ?? 0;
    const floorSeconds = Math.max(own / speed.operationsPerSecond, share.bytes / speed.bytesPerSecond);
    return [{ kind, ...share, operations: own, floorSeconds }];
  });
  const layers = [...groups(nodes, (node) => of(node).layer)].map(([layer, group]) => {
    const seconds = [...groups(group, (node) => of(node).kind)].map(([kind, part]) => [kind, shareOf(part).seconds]);
    return { layer, ...shareOf(group), kinds: Object.fromEntries(seconds) };
  });
  const byOperator = [...groups(nodes, ({ op }) => op)].map(([op, group]) => ({ op, ...shareOf(group) }));
  const falling = (a: Share, b: Share) => b.seconds - a.seconds;
  return { kinds, layers: layers.toSorted(falling), operators: byOperator.toSorted(falling) };
}

function groups<Key>(nodes: readonly ProfiledNode[], keyOf: (node: ProfiledNode) => Key): Map<Key, ProfiledNode[]> {
  const grouped = new Map<Key, ProfiledNode[]>();
  for (const node of nodes) {
    const key = keyOf(node);
    const group = grouped.get(key);
    if (group === undefined) grouped.set(key, [node]);
    else group.push(node);
  }
  return grouped;
}

/** The properties of an operator that the engine executed, which reports only its name. */
function engineTraits(op: string): OperatorTraits {
  return traitsOf({ op, domain: onnxDomain });
}

function shareOf(nodes: readonly ProfiledNode[]): Share {
  const total = (of: (node: ProfiledNode) => number) => nodes.reduce((sum, node) => sum + of(node), 0);
  return {
    seconds: total(({ seconds }) => seconds),
    bytes: total(({ op, bytes }) => (engineTraits(op).view === true ? 0 : bytes)),
    nodes: nodes.length,
  };
}
