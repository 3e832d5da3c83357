/**
 * Dampening and freezing act on the codes that a quantizer gives: for every quantizer with an even grid, with and without zero
 * point, offset, channels and groups, a weight frozen at once is the fake-quantized weight, and dampening pulls towards it.
 */
import { describe, expect, it } from "vitest";
import { dampeningGradient, freezeOscillating, oscillationState } from "../../../src/compile/build/oscillation.ts";
import { newBuilder } from "../../../src/compile/registry.ts";
import type { GraphBuilder, Value } from "../../../src/ir/graph.ts";
import { filled, float32Data, float32Scalar, type Tensor } from "../../../src/ir/tensor.ts";
import type { QuantizerSpec } from "../../../src/quantizers/definition.ts";
import { gridValuesOf } from "../../../src/quantizers/fake-quantize.ts";
import { quantizerNamed } from "../../../src/quantizers/index.ts";
import { laws } from "../../quantizers/law-specs.ts";
import { runGraph } from "../../support/graphs/run-graph.ts";
import { randomTensor, seeded } from "../../support/random.ts";
import { loadQuantizer } from "../../support/training/quantizer.ts";

const shape = [4, 5];
const type = { dtype: "float32", shape } as const;

const specs = laws
  .map(({ spec }) => spec)
  .filter((spec) => quantizerNamed(spec.quantizer).grid !== undefined && spec.bits === 4)
  .map((spec) => [describeSpec(spec), spec] as const);

function describeSpec({ quantizer, quantMin, quantMax, channelAxis, groupSize, options }: QuantizerSpec): string {
  const shared = groupSize === undefined ? `axis ${channelAxis ?? "none"}` : `groups of ${groupSize}`;
  return `${quantizer} ${quantMin}..${quantMax}, ${shared} ${JSON.stringify(options)}`;
}

/** Parameters of a weight that is not centred, so that zero points and offsets are not 0. */
function parametersFor(spec: QuantizerSpec, weight: Tensor): ReadonlyMap<string, Tensor> {
  const fitted = quantizerNamed(spec.quantizer).initialize(spec, weight);
  return new Map(
    quantizerNamed(spec.quantizer)
      .parameters(spec, type)
      .map(({ name, shape: own, initial }) => [name, fitted.get(name) ?? filled(own, initial)] as const),
  );
}

function weightOf(seed: number): Tensor {
  const weight = randomTensor(seeded(seed), shape);
  for (const [i, value] of float32Data(weight).entries()) float32Data(weight)[i] = value + 0.4;
  return weight;
}

type Build = (builder: GraphBuilder, weight: Value, grid: NonNullable<ReturnType<typeof gridValuesOf>>) => void;

/** What a graph over the weight and its grid gives, with the fake-quantized weight. */
async function onGrid(spec: QuantizerSpec, weight: Tensor, build: Build, feeds: Record<string, Tensor>) {
  const parameters = parametersFor(spec, weight);
  const builder = newBuilder("oscillation");
  const value = builder.input("weight", type);
  const inputs = new Map(
    [...parameters].map(([name, { dtype, shape: own }]) => [name, builder.input(name, { dtype, shape: own })] as const),
  );
  const grid = gridValuesOf(builder, spec, value, inputs);
  if (grid === undefined) throw new Error("no grid");
  build(builder, value, grid);
  const outputs = await runGraph(builder.finish(), { weight, ...Object.fromEntries(parameters), ...feeds });
  const { y } = await (await loadQuantizer(spec, shape))(weight, parameters);
  return { outputs, y: float32Data(y) };
}

/** The value of each element's outermost code, with the parameters of a weight. */
async function endOf(spec: QuantizerSpec, weight: Tensor, at: number): Promise<Float32Array> {
  const { y } = await (await loadQuantizer(spec, shape))(filled(shape, at), parametersFor(spec, weight));
  return float32Data(y);
}

function expectClose(actual: Tensor | undefined, expected: ArrayLike<number>): void {
  if (actual === undefined) throw new Error("an output is missing");
  for (const [i, value] of float32Data(actual).entries()) expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 5);
}

describe.each(specs)("weights by %s", (_name, spec) => {
  it("freeze at the number that their code represents", async () => {
    const initial = oscillationState(shape);
    const { outputs, y } = await onGrid(
      spec,
      weightOf(1),
      (builder, weight, grid) => {
        const state = Object.fromEntries(
          Object.entries(initial).map(([name, tensor]) => [name, builder.input(`state.${name}`, tensor)]),
        );
        const threshold = builder.input("threshold", { dtype: "float32", shape: [] });
        builder.output("frozen", freezeOscillating(builder, { spec, weight, grid }, state, threshold, 0.25).weight);
      },
      // Below every frequency: each weight freezes at its first step.
      {
        ...Object.fromEntries(Object.entries(initial).map(([name, tensor]) => [`state.${name}`, tensor])),
        threshold: float32Scalar(-1),
      },
    );
    expectClose(outputs.frozen, y);
  });

  it("are pulled towards it, and not at all outside of the range", async () => {
    const weight = weightOf(2);
    const { outputs, y } = await onGrid(
      spec,
      weight,
      (builder, value, grid) => {
        const strength = builder.input("strength", { dtype: "float32", shape: [] });
        builder.output("gradient", dampeningGradient(builder, { spec, weight: value, grid }, strength));
      },
      { strength: float32Scalar(0.5) },
    );
    const [lowest, highest] = await Promise.all([endOf(spec, weight, -1e3), endOf(spec, weight, 1e3)]);
    const expected = float32Data(weight).map(
      (value, i) => Math.min(Math.max(value, lowest[i] ?? 0), highest[i] ?? 0) - (y[i] ?? 0),
    );
    expectClose(outputs.gradient, expected);
  });
});
