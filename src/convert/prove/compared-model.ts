/** The two sides of a comparison: a network of subbyte, or an ONNX graph that the engine runs as it is. */
import { buildEvaluation } from "../../compile/build/evaluation.ts";
import { operators } from "../../compile/registry.ts";
import type { Dataset } from "../../data/dataset/dataset.ts";
import { ConfigError } from "../../errors.ts";
import type { Graph, GraphOutput, Node } from "../../ir/graph.ts";
import { dataInputs, type Network } from "../../ir/network.ts";
import { allocate, makeTensor, type Tensor, toNumbers } from "../../ir/tensor.ts";
import { elementCount, type Shape } from "../../ir/types.ts";
import { writeOnnx } from "../../onnx/write/write.ts";
import { findDefinition } from "../../ops/definition.ts";
import { integerOperators } from "../../ops/integer-operators.ts";
import type { Engine } from "../../runtime/engine.ts";
import { ForwardJob } from "../../runtime/job.ts";
import { StateBuffers } from "../../runtime/state.ts";
import { inputOf } from "../../train/loop/evaluate.ts";
import { inputFeeds } from "./input-feeds.ts";

/** Results of one batch by name, as numbers one sample after another. */
export type NamedResults = ReadonlyMap<string, ArrayLike<number>>;

/** A compared model that has been prepared for batches of one size. */
export interface PreparedModel {
  run(batch: Tensor): Promise<NamedResults>;
  release(): Promise<void>;
}

/** A model with the values that can be compared. */
export interface ComparedModel {
  readonly name: string;
  /** The results that can be compared, in the order of the graph. The network's first output comes under its own name. */
  readonly results: readonly GraphOutput[];
  readonly output: GraphOutput;
  /** Of its data, with the batch. */
  readonly inputShape: Shape;
  /** The only batch size that it can be run with, where there is one. */
  readonly batchSize?: number;
  prepare(names: readonly string[], dataset: Dataset, engine: Engine, batchSize: number): Promise<PreparedModel>;
}

/** Whether a node's result is compared, be it of a network or of a converted file. */
function isComparable(node: Node): boolean {
  const definition = findDefinition(operators, node) ?? findDefinition(integerOperators, node);
  return definition?.traits?.comparable === true;
}

function resultsOf(graph: Graph, name: string): Pick<ComparedModel, "results" | "output"> {
  const [output] = graph.outputs;
  if (output === undefined) throw new ConfigError("the model has no output", { where: name });
  const results = graph.nodes
    .filter(isComparable)
    .flatMap(({ name: node, outputs: [value] }) => (value === undefined ? [] : [{ name: node, value }]));
  return { results, output };
}

/** The graph with these results, and its own output, as outputs. */
function withOutputs(
  graph: Graph,
  { results, output }: Pick<ComparedModel, "results" | "output">,
  names: readonly string[],
) {
  const wanted = new Set(names);
  const extra = results.filter(({ name, value }) => wanted.has(name) && value !== output.value);
  return { ...graph, outputs: [output, ...extra] };
}

/** Names of a result that is the output itself lead there. */
function namedNumbers(
  { results, output }: Pick<ComparedModel, "results" | "output">,
  names: readonly string[],
  found: (name: string) => ArrayLike<number> | undefined,
): NamedResults {
  const numbers = new Map<string, ArrayLike<number>>();
  const values = new Map(results.map(({ name, value }) => [name, value]));
  for (const name of [...names, output.name]) {
    const data = found(values.get(name) === output.value ? output.name : name);
    if (data !== undefined) numbers.set(name, data);
  }
  return numbers;
}

/** A network of subbyte; data enter it as in an evaluation. */
export function comparedNetwork(network: Network): ComparedModel {
  const parts = resultsOf(network.graph, network.name);
  return {
    name: network.name,
    ...parts,
    inputShape: dataInputs(network)[0]?.type.shape ?? [],
    async prepare(names, dataset, engine, batchSize) {
      const graph = withOutputs(network.graph, parts, names);
      const evaluation = buildEvaluation({ ...network, graph }, { batchSize, input: inputOf(dataset) });
      const job = await ForwardJob.create(engine, evaluation);
      const state = new StateBuffers(evaluation.state.map(({ name, initial }) => [name, initial] as const));
      return {
        async run(batch) {
          const results = await job.run(state, batch);
          return namedNumbers(parts, names, (name) => numbersOf(results[name]));
        },
        release: () => job.release(),
      };
    },
  };
}

/**
 * An ONNX graph, run as it is: bytes enter one that takes bytes, normalized floats one that takes floats, whole numbers one of
 * tokens, and each of several inputs what the data has under its name.
 *
 * @throws ConfigError when it has no input.
 */
export function comparedGraph(graph: Graph, name: string): ComparedModel {
  const parts = resultsOf(graph, name);
  const [input] = graph.inputs;
  if (input === undefined) {
    throw new ConfigError("the model has no inputs", { where: name, remedy: "Compare models that read samples." });
  }
  const { dtype, shape } = input.type;
  const [size = 1] = shape;
  return {
    name,
    ...parts,
    inputShape: shape,
    batchSize: size,
    async prepare(names, dataset, engine, batchSize) {
      const areBytes = dataset.sampleType === "uint8";
      if (areBytes && dtype !== "float32" && dtype !== dataset.sampleType) {
        throw new ConfigError(`the model reads ${dtype}, the data are ${dataset.sampleType}`, {
          where: name,
          remedy: "Compare it on data of that type, for example the data of its own run.",
        });
      }
      const named = withOutputs(graph, parts, names);
      const session = await engine.createSession(writeOnnx(named));
      return {
        async run(batch) {
          const found = new Map<string, number[]>();
          for (let first = 0; first < batchSize; first += size) {
            const feeds = inputFeeds(graph.inputs, batch, dataset, first, size);
            const fetches = Object.fromEntries(
              named.outputs.map(({ name: output, value: { type } }) => [
                output,
                makeTensor(type.dtype, type.shape, allocate(type.dtype, elementCount(type.shape))),
              ]),
            );
            await session.run(feeds, fetches);
            for (const [output, tensor] of Object.entries(fetches)) {
              found.set(output, [...(found.get(output) ?? []), ...toNumbers(tensor)]);
            }
          }
          return namedNumbers(parts, names, (output) => found.get(output));
        },
        release: () => session.release(),
      };
    },
  };
}

function numbersOf(tensor: Tensor | undefined): ArrayLike<number> | undefined {
  if (tensor === undefined) return undefined;
  return tensor.dtype === "float32" && tensor.data instanceof Float32Array ? tensor.data : toNumbers(tensor);
}
