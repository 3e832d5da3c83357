/**
 * Quantizers added after training to what an integer network has to store without a layer asking for it: both branches of
 * residual additions, and what average pools read. The network that results is a simulation like any other.
 */
import { ConfigError } from "../../errors.ts";
import { type Node, producers, type Value } from "../../ir/graph.ts";
import type { Parameter } from "../../ir/network.ts";
import { mse } from "../../observers/mse.ts";
import { resolveQuantizer, type TensorQuantization } from "../../qconfig/tensor-quantization.ts";
import { isFakeQuantize } from "../../quantizers/fake-quantize.ts";
import { uniform } from "../../quantizers/methods/uniform.ts";
import { graphFacts } from "../graph-facts.ts";
import { nonNegativeValues } from "../non-negativity.ts";
import { newBuilder } from "../registry.ts";
import {
  type InsertedQuantizer,
  insertQuantizer,
  type QuantizedNetwork,
  type QuantizerSite,
  repeatQuantizer,
  type SiteId,
  siteOfTensor,
} from "../sites.ts";
import { multipliedActivations, storedInputs } from "../stored-inputs.ts";
import { copyNode, copyNodes, mapped, type ValueMap } from "./copy.ts";
import { TimeSteps } from "./time-steps.ts";

/** Uniform codes, their range being the one with the least squared error over the samples. */
function quantizationWith(bits: number): TensorQuantization {
  const options = { scheme: "affine", initializer: mse.name } as const;
  return { quantizer: uniform.name, bits, signed: "auto", granularity: "tensor", options };
}

/**
 * Adds quantizers of the given number of bits where training with `residualBits` would have put them and there are none.
 * Their parameters are not initialized from samples yet: see initializeActivations.
 *
 * @param bits 2 to 8.
 */
export function addStoredQuantizers(network: QuantizedNetwork, bits: number): QuantizedNetwork {
  if (!Number.isInteger(bits) || bits < 2 || bits > 8) {
    throw new ConfigError(`${bits} bits were requested`, {
      where: "residual bits",
      remedy: "Use a whole number of bits from 2 to 8.",
    });
  }
  const { graph } = network;
  const builder = newBuilder(graph.name);
  const map: ValueMap = new Map();
  const nonNegative = nonNegativeValues(graph);
  const sites: QuantizerSite[] = [...network.sites];
  const parameters: Parameter[] = [...network.parameters];
  const known = new Map<Value, Value>();
  const asked = quantizationWith(bits);
  for (const input of graph.inputs) map.set(input, builder.input(input.name, input.type));

  const steps = new TimeSteps(graph, new Set(parameters.map(({ name }) => name)));
  const repeated = new Map<SiteId, InsertedQuantizer>();

  const stored = (old: Value, reader: Node, tensor: string): Value => {
    const source = steps.sourceOf(reader, old);
    const quantized = known.get(source) ?? inserted(source, old, reader, tensor);
    known.set(source, quantized);
    return steps.cutAgain(builder, map, old, source, quantized);
  };
  const inserted = (source: Value, old: Value, reader: Node, tensor: string): Value => {
    const value = mapped(map, source);
    const id = siteOfTensor(tensor);
    const earlier = reader.origin.step === undefined ? undefined : repeated.get(id);
    if (earlier !== undefined) return repeatQuantizer(builder, value, earlier);
    const isNonNegative = steps.atAllSteps(reader, old).every((each) => nonNegative.has(each));
    const facts = { name: tensor, type: value.type, nonNegative: isNonNegative, kind: "activation" } as const;
    const spec = resolveQuantizer(asked, facts);
    const added = insertQuantizer(builder, value, { id, kind: "activation", layer: reader.name, tensor, spec, asked });
    sites.push(added.site);
    parameters.push(...added.parameters);
    repeated.set(id, added);
    return added.quantized;
  };

  const madeBy = producers(graph);
  const isFree = (value: Value): boolean => {
    const producer = madeBy.get(value);
    return producer === undefined || !isFakeQuantize(producer);
  };
  const storedOf = storedInputs(network);
  const facts = graphFacts(network);
  copyNodes(graph, builder, map, (node, inputs) => {
    const places = [...storedOf(node), ...multipliedActivations(facts, node)];
    if (places.length === 0) return undefined;
    const left = [...places];
    const read = node.inputs.map((old, index) => {
      const found = left.findIndex(({ value }) => value === old);
      if (old === undefined || found < 0 || !isFree(old) || !isFree(steps.sourceOf(node, old))) return inputs[index];
      const place = places.length > 1 ? left.splice(found, 1)[0]?.place : places[0]?.place;
      return stored(old, node, `${node.name}.${place}`);
    });
    return copyNode(builder, node, read);
  });
  for (const { name, value } of graph.outputs) builder.output(name, mapped(map, value));
  return { name: network.name, graph: builder.finish(), parameters, sites };
}
