/** Runs one quantizer, forward and backward, through ONNX Runtime. */

import { lowerGraph } from "../../../src/compile/passes/lower.ts";
import { newBuilder, operators } from "../../../src/compile/registry.ts";
import { subbyteDomain, type Value } from "../../../src/ir/graph.ts";
import { filled, float32Data, float32Tensor, type Tensor } from "../../../src/ir/tensor.ts";
import type { Shape } from "../../../src/ir/types.ts";
import type { Target } from "../../../src/ops/definition.ts";
import { decode } from "../../../src/quantizers/arithmetic/scalar.ts";
import type { QuantizerOptions, QuantizerSpec } from "../../../src/quantizers/definition.ts";
import { fakeQuantize } from "../../../src/quantizers/fake-quantize.ts";
import { quantizerNamed } from "../../../src/quantizers/index.ts";
import { type CodedTensor, forEachElement } from "../../../src/quantizers/integers.ts";
import { genericTarget } from "../graphs/gradient-check.ts";
import { loadGraph } from "../graphs/run-graph.ts";

/** The lowering for the CPU, without blocked convolutions, which no quantizer has. */
export const cpuTarget: Target = { name: "cpu", blockSize: 1 };

/** A spec by what differs from 4 signed bits of the uniform quantizer, whole tensor. */
export function specFor(
  quantizer: string,
  bits: number,
  signed: boolean,
  options: QuantizerOptions = {},
  more: Partial<QuantizerSpec> = {},
): QuantizerSpec {
  return {
    quantizer,
    bits,
    quantMin: signed ? -(2 ** (bits - 1)) : 0,
    quantMax: signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1,
    options,
    ...more,
  };
}

export interface QuantizerResult {
  readonly y: Tensor;
  readonly dx: Tensor;
  /** Gradients of the trained parameters, by name. */
  readonly gradients: Readonly<Record<string, Tensor>>;
}

export type QuantizerRunner = (
  x: Tensor,
  parameters?: ReadonlyMap<string, Tensor>,
  dy?: Tensor,
) => Promise<QuantizerResult>;

/** Compiles a quantizer for tensors of a shape; without `dy` the gradient that comes in is all ones. */
export async function loadQuantizer(
  spec: QuantizerSpec,
  shape: Shape,
  target: Target = genericTarget,
): Promise<QuantizerRunner> {
  const definition = quantizerNamed(spec.quantizer);
  const b = newBuilder(`${spec.quantizer} alone`);
  const x = b.input("x", { dtype: "float32", shape });
  const dy = b.input("dy", { dtype: "float32", shape });
  const inputs: Record<string, Value> = {};
  const kept = definition.parameters(spec, x.type);
  for (const parameter of kept) {
    inputs[parameter.name] = b.input(`parameter.${parameter.name}`, { dtype: "float32", shape: parameter.shape });
  }
  const y = fakeQuantize(b, x, spec, inputs);
  const producer = b.producerOf(y);
  if (producer === undefined) throw new Error("fakeQuantize made no node");
  const [dx, ...gradients] = b.node("FakeQuantizeGrad", [dy, y, ...producer.inputs], producer.attributes, {
    domain: subbyteDomain,
  });
  b.output("y", y);
  if (dx !== undefined) b.output("dx", dx);
  for (const [i, parameter] of kept.entries()) {
    const gradient = gradients[i];
    if (parameter.trainable && gradient !== undefined) b.output(`gradient.${parameter.name}`, gradient);
  }
  const run = await loadGraph(lowerGraph(b.finish(), operators, target), { registry: operators });
  return async (values, parameters = new Map(), upstream = filled(shape, 1)) => {
    const feeds = Object.fromEntries([...parameters].map(([name, tensor]) => [`parameter.${name}`, tensor]));
    const { y: result, dx: gradient, ...rest } = await run({ x: values, dy: upstream, ...feeds });
    if (result === undefined || gradient === undefined) throw new Error("an output is missing");
    const named = Object.entries(rest).map(([name, tensor]) => [name.replace("gradient.", ""), tensor] as const);
    return { y: result, dx: gradient, gradients: Object.fromEntries(named) };
  };
}

/** Parameters by name, from plain numbers: scalars, or one number for each channel. */
export function parametersOf(
  numbers: Readonly<Record<string, number | readonly number[]>>,
): ReadonlyMap<string, Tensor> {
  return new Map(
    Object.entries(numbers).map(([name, value]) => [
      name,
      typeof value === "number" ? float32Tensor([], [value]) : float32Tensor([value.length], value),
    ]),
  );
}

/** The values that codes stand for, exactly as the simulation computes them. */
export function fromCodes(spec: QuantizerSpec, coded: CodedTensor): Tensor {
  const values = float32Tensor(coded.shape, new Float32Array(coded.codes.length));
  const data = float32Data(values);
  forEachElement(spec, coded.shape, (element, group) => {
    const unit = coded.grid.units[group];
    if (unit !== undefined) data[element] = decode(unit, coded.codes[element] ?? 0);
  });
  return values;
}
