/**
 * The forward and backward pass of a training step with one number for each value: 0 where all of its elements are
 * finite, NaN elsewhere. It is built only after a training has diverged, to find where. Nothing of the state changes.
 */
import { GraphError } from "../../errors.ts";
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import type { Network } from "../../ir/network.ts";
import { multiply } from "../../ops/families/elementwise.ts";
import { reduceSum } from "../../ops/families/reduce.ts";
import { bindBatch } from "../passes/bind-batch.ts";
import { differentiate } from "../passes/differentiate.ts";
import { newBuilder, operators } from "../registry.ts";
import type { DistillationConfig } from "./distillation.ts";
import { addForward, type ForwardResult } from "./forward.ts";
import { type AddedInputs, addDataInputs } from "./input.ts";
import { addLoss, type LossConfig } from "./loss.ts";
import type { TrainingStep, TrainingStepConfig } from "./training-step.ts";

/** The settings that a search for non-finite values is compiled for. */
export interface FinitenessConfig extends Pick<TrainingStepConfig, "batchSize" | "input" | "mode"> {
  /** Absent: the forward pass alone. */
  readonly task?: { readonly loss: LossConfig; readonly distillation?: DistillationConfig };
}

/** Of everything, the name of the output that tells whether it is finite. */
export interface FinitenessStep extends Pick<TrainingStep, "graph" | "dataInput" | "targetInput"> {
  /** The network whose values the maps name. */
  readonly network: Network;
  readonly outputs: ReadonlyMap<Value, string>;
  readonly loss: string | undefined;
  /** Of values and parameters. */
  readonly gradients: ReadonlyMap<Value, string>;
  /** By the name of the parameter that the forward pass moves. */
  readonly updates: ReadonlyMap<string, string>;
}

/** @throws GraphError as buildTrainingStep does. */
export function buildFinitenessStep(source: Network, config: FinitenessConfig): FinitenessStep {
  const network = bindBatch(source, config.batchSize);
  const builder = newBuilder(`${network.name} finiteness`);
  const { values: data, input: dataInput } = addDataInputs(builder, network, config.input);
  const inputs = new Map<string, Value>(data);
  for (const { name, value } of network.parameters) {
    inputs.set(name, builder.input(name, { dtype: value.dtype, shape: value.shape }));
  }
  const forward = addForward(builder, network, inputs, config.mode);
  const task = config.task === undefined ? undefined : addTask(builder, forward, data, config.task, config.batchSize);
  const gradients =
    task === undefined ? new Map<Value, Value>() : gradientsOf(builder, network, forward, inputs, task.loss);
  const outputs = new Map(
    network.graph.nodes.flatMap((node) =>
      node.outputs.flatMap((value) => {
        const own = forward.values.get(value);
        return own === undefined ? [] : [[value, own] as const];
      }),
    ),
  );
  const flag = flagger(builder);
  const step = {
    outputs: flagged(outputs, flag),
    loss: task === undefined ? undefined : flag(task.loss),
    gradients: flagged(gradients, flag),
    updates: flagged(forward.updates, flag),
  };
  return { ...step, graph: builder.finish(), network, dataInput, targetInput: task?.targetInput };
}

function addTask(
  builder: GraphBuilder,
  { outputs }: ForwardResult,
  data: AddedInputs["values"],
  { loss, distillation }: NonNullable<FinitenessConfig["task"]>,
  batchSize: number,
) {
  const [prediction] = outputs.values();
  if (prediction === undefined) throw new GraphError("a loss needs an output", { where: `graph "${builder.name}"` });
  const given = { data, batchSize, ...(distillation === undefined ? {} : { distillation }) };
  return addLoss(builder, prediction, loss, given);
}

/** By values of the network: of its parameters, and of what depends on trained ones, as the training step has them. */
function gradientsOf(
  builder: GraphBuilder,
  { graph, parameters }: Network,
  { values }: ForwardResult,
  inputs: ReadonlyMap<string, Value>,
  loss: Value,
): Map<Value, Value> {
  const trained = new Set(parameters.filter(({ trainable }) => trainable).map(({ name }) => name));
  const depends = new Set(graph.inputs.filter(({ name }) => trained.has(name)));
  for (const node of graph.nodes) {
    if (!node.inputs.some((value) => value !== undefined && depends.has(value))) continue;
    for (const value of node.outputs) if (value.type.dtype === "float32") depends.add(value);
  }
  const wanted = new Map<Value, Value>();
  for (const value of depends) {
    const own = values.get(value) ?? inputs.get(value.name);
    if (own !== undefined) wanted.set(value, own);
  }
  const gradients = differentiate(builder, operators, [...builder.nodes], loss, [...new Set(wanted.values())]);
  const found = new Map<Value, Value>();
  for (const [value, own] of wanted) {
    const gradient = gradients.get(own);
    if (gradient !== undefined) found.set(value, gradient);
  }
  return found;
}

type Flag = (value: Value) => string | undefined;

/** A finite number times 0 is 0; NaN and infinities give NaN. */
function flagger(builder: GraphBuilder): Flag {
  const known = new Map<Value, string>();
  return (value) => {
    if (value.type.dtype !== "float32") return undefined;
    const before = known.get(value);
    if (before !== undefined) return before;
    const zeros = multiply(builder, value, 0);
    const axes = value.type.shape.map((_, axis) => axis);
    const name = `finite ${known.size}`;
    builder.output(name, axes.length === 0 ? zeros : reduceSum(builder, zeros, axes, { keepDimensions: false }));
    known.set(value, name);
    return name;
  };
}

function flagged<Key>(values: ReadonlyMap<Key, Value>, flag: Flag): Map<Key, string> {
  const names = new Map<Key, string>();
  for (const [key, value] of values) {
    const name = flag(value);
    if (name !== undefined) names.set(key, name);
  }
  return names;
}
