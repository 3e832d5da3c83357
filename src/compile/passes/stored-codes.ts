/**
 * Quantizers added after training to what an integer network has to store without a layer asking for it: both branches of
 * residual additions, and what average pools read. The network that results is a simulation like any other.
 */
import { ConfigError } from "../../errors.ts";
import { producers, type Value } from "../../ir/graph.ts";
import type { Parameter } from "../../ir/network.ts";
import type { LayerId } from "../../ir/origin.ts";
import { mse } from "../../observers/mse.ts";
import { isOperator } from "../../ops/definition.ts";
import { addOperator } from "../../ops/families/elementwise.ts";
import { resolveQuantizer, type TensorQuantization } from "../../qconfig/tensor-quantization.ts";
import { isFakeQuantize } from "../../quantizers/fake-quantize.ts";
import { uniform } from "../../quantizers/methods/uniform.ts";
import { skipBranch } from "../layers.ts";
import { nonNegativeValues } from "../non-negativity.ts";
import { newBuilder } from "../registry.ts";
import { insertQuantizer, type QuantizedNetwork, type QuantizerSite, siteOfTensor } from "../sites.ts";
import { nameOfStored, storedInputs } from "../stored-inputs.ts";
import { copyNode, copyNodes, mapped, type ValueMap } from "./copy.ts";

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

  const stored = (old: Value, layer: LayerId, tensor: string): Value => {
    const existing = known.get(old);
    if (existing !== undefined) return existing;
    const value = mapped(map, old);
    const facts = { name: tensor, type: value.type, nonNegative: nonNegative.has(old), kind: "activation" } as const;
    const spec = resolveQuantizer(asked, facts);
    const place = { id: siteOfTensor(tensor), kind: "activation", layer, tensor, spec, asked } as const;
    const added = insertQuantizer(builder, value, place);
    sites.push(added.site);
    parameters.push(...added.parameters);
    known.set(old, added.quantized);
    return added.quantized;
  };

  const madeBy = producers(graph);
  const isFree = (value: Value | undefined): value is Value => {
    const producer = value === undefined ? undefined : madeBy.get(value);
    return producer !== undefined && !isFakeQuantize(producer);
  };
  copyNodes(graph, builder, map, (node, inputs) => {
    const isSum =
      isOperator(addOperator, node) &&
      node.inputs.length === 2 &&
      node.inputs.every((value) => value && madeBy.has(value));
    const single = storedInputs(madeBy, node);
    if (!isSum && single.length === 0) return undefined;
    const placeOf = (old: Value, index: number): string => {
      if (!isSum) return nameOfStored(single, old);
      return index === skipBranch(graph, node) ? "skip" : "branch";
    };
    const read = node.inputs.map((old, index) =>
      isFree(old) && (isSum || single.includes(old))
        ? stored(old, node.name, `${node.name}.${placeOf(old, index)}`)
        : inputs[index],
    );
    return copyNode(builder, node, read);
  });
  for (const { name, value } of graph.outputs) builder.output(name, mapped(map, value));
  return { name: network.name, graph: builder.finish(), parameters, sites };
}
