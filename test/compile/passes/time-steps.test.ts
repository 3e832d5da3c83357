/** Quantizers of layers that are written out over time: one site for all steps, with one scale, gradient and observer. */

import { describe, expect, it } from "vitest";
import { buildActivationSample } from "../../../src/compile/build/evaluation.ts";
import { addForward, trainingMode } from "../../../src/compile/build/forward.ts";
import { bindBatch } from "../../../src/compile/passes/bind-batch.ts";
import { differentiate } from "../../../src/compile/passes/differentiate.ts";
import { quantize } from "../../../src/compile/passes/quantize.ts";
import { addStoredQuantizers } from "../../../src/compile/passes/stored-codes.ts";
import { newBuilder, operators } from "../../../src/compile/registry.ts";
import { type QuantizedNetwork, showSites } from "../../../src/compile/sites.ts";
import type { Value } from "../../../src/ir/graph.ts";
import { printGraph } from "../../../src/ir/print.ts";
import type { Tensor } from "../../../src/ir/tensor.ts";
import { reduceSum } from "../../../src/ops/families/reduce.ts";
import { genericTarget } from "../../../src/ops/targets.ts";
import { presetNamed } from "../../../src/qconfig/presets.ts";
import { isFakeQuantize } from "../../../src/quantizers/fake-quantize.ts";
import { networkCost } from "../../../src/runs/cost.ts";
import { emit } from "../../../src/runtime/job.ts";
import { runFloats, sample } from "../../support/onnx/imported.ts";
import { recurrentNetwork } from "../../support/training/recurrent-network.ts";

const stored = { ...presetNamed("lsq", { weightBits: 4, activationBits: 4 }), residualBits: 8 };
const plain = presetNamed("lsq", { weightBits: 4, activationBits: 4 });
const observed = { ...presetNamed("minmax", { weightBits: 8, activationBits: 8 }), residualBits: 8 };

describe("sites", () => {
  it("of an LSTM: its data, weights, states, and one for each kind of value that integers store", () => {
    expect(showSites(quantize(recurrentNetwork({ op: "LSTM" }), stored))).toMatchInlineSnapshot(`
      "LSTM_1/input.input.quantizer float32[1,5,4] lsq -128..127 per tensor
      LSTM_1.input.weight.quantizer float32[12,4] lsq -128..127 per channel 0
      LSTM_1/input_gate.input.quantizer float32[1,12] lsq -128..127 per tensor
      LSTM_1/added.input.quantizer float32[1,3] lsq 0..255 per tensor
      LSTM_1/added.factor.quantizer float32[1,3] lsq -128..127 per tensor
      LSTM_1/cell_output.input.quantizer float32[1,3] lsq -128..127 per tensor
      LSTM_1/state.input.quantizer float32[1,3] lsq 0..255 per tensor
      LSTM_1/state.factor.quantizer float32[1,3] lsq -128..127 per tensor
      LSTM_1/recurrent.input.quantizer float32[1,3] lsq -8..7 per tensor
      LSTM_1.recurrent.weight.quantizer float32[12,3] lsq -8..7 per channel 0
      LSTM_1/kept.input.quantizer float32[1,3] lsq 0..255 per tensor
      Gemm_4.input.quantizer float32[1,3] lsq -128..127 per tensor
      head.quantizer float32[3,3] lsq -128..127 per channel 0"
    `);
  });

  it("of a GRU in two directions", () => {
    const network = recurrentNetwork({ op: "GRU", direction: "bidirectional" });
    const names = quantize(network, stored).sites.map(({ id, spec }) => `${id} ${spec.bits}`);
    expect(names).toMatchInlineSnapshot(`
      [
        "GRU_1/forward/gates_input.input.quantizer 8",
        "GRU_1.forward.gates_input.weight.quantizer 8",
        "GRU_1/forward/gates_recurrent.input.quantizer 4",
        "GRU_1.forward.gates_recurrent.weight.quantizer 4",
        "GRU_1/forward/update_gate.input.quantizer 8",
        "GRU_1.forward.candidate_input.weight.quantizer 8",
        "GRU_1.forward.candidate_recurrent.weight.quantizer 4",
        "GRU_1/forward/reset.input.quantizer 8",
        "GRU_1/forward/reset.factor.quantizer 8",
        "GRU_1/forward/candidate.input.quantizer 8",
        "GRU_1/forward/added.input.quantizer 8",
        "GRU_1/forward/added.factor.quantizer 8",
        "GRU_1/forward/kept.input.quantizer 8",
        "GRU_1/forward/kept.factor.quantizer 8",
        "GRU_1.reverse.gates_input.weight.quantizer 8",
        "GRU_1.reverse.gates_recurrent.weight.quantizer 4",
        "GRU_1/reverse/update_gate.input.quantizer 8",
        "GRU_1.reverse.candidate_input.weight.quantizer 8",
        "GRU_1.reverse.candidate_recurrent.weight.quantizer 4",
        "GRU_1/reverse/reset.input.quantizer 8",
        "GRU_1/reverse/reset.factor.quantizer 8",
        "GRU_1/reverse/candidate.input.quantizer 8",
        "GRU_1/reverse/added.input.quantizer 8",
        "GRU_1/reverse/added.factor.quantizer 8",
        "GRU_1/reverse/kept.input.quantizer 8",
        "GRU_1/reverse/gates_recurrent.input.quantizer 4",
        "GRU_1/reverse/kept.factor.quantizer 8",
        "Gemm_4.input.quantizer 8",
        "head.quantizer 8",
      ]
    `);
  });

  it.each(["LSTM", "GRU", "RNN"] as const)("of %s are the same for 3 steps and for 30", (op) => {
    const of = (steps: number) => quantize(recurrentNetwork({ op, steps }), stored);
    const [short, long] = [of(3), of(30)];
    expect(long.sites.map(({ id }) => id)).toEqual(short.sites.map(({ id }) => id));
    expect(long.parameters.map(({ name }) => name)).toEqual(short.parameters.map(({ name }) => name));
    expect(long.graph.nodes.filter(isFakeQuantize).length).toBeGreaterThan(long.sites.length + 20);
  });

  it("without residual bits are those of layers alone, and those of integers come after training", () => {
    const network = quantize(recurrentNetwork({ op: "LSTM" }), plain);
    expect(network.sites).toHaveLength(6);
    const added = addStoredQuantizers(network, 8);
    const before = new Set(network.sites.map(({ id }) => id));
    expect(new Set(added.sites.map(({ id }) => id))).toEqual(
      new Set(quantize(recurrentNetwork({ op: "LSTM" }), stored).sites.map(({ id }) => id)),
    );
    expect(added.sites.filter(({ id }) => !before.has(id)).map(({ spec }) => spec.bits)).toEqual(
      new Array<number>(added.sites.length - 6).fill(8),
    );
  });

  it("cut nothing twice: the data are quantized before they are cut into steps, the gates before they are split", () => {
    const { graph } = quantize(recurrentNetwork({ op: "LSTM", steps: 2 }), stored);
    const lines = printGraph(graph)
      .split("\n")
      .filter((line) => line.includes("Split"));
    expect(lines.map((line) => line.replace(/^.*= /, ""))).toMatchInlineSnapshot(`
      [
        "Split(%0, (1,1):int64) {axis=1}  // LSTM_1",
        "Split(%6, (3,3,3,3):int64) {axis=1}  // LSTM_1/gates",
        "Split(%28, (3,3,3,3):int64) {axis=1}  // LSTM_1/gates",
      ]
    `);
  });

  it("every module: one for each, too", () => {
    const { sites } = quantize(recurrentNetwork({ op: "LSTM", steps: 7 }), { ...plain, placement: "everyModule" });
    expect(sites.filter(({ kind }) => kind === "activation").map(({ id }) => id)).toEqual([
      "x.quantizer",
      "LSTM_1/input.output.quantizer",
      "LSTM_1/recurrent.output.quantizer",
      "LSTM_1/sum.output.quantizer",
      "LSTM_1/cell.output.quantizer",
      "Gemm_4.output.quantizer",
    ]);
  });

  it("first layer: all products with the data", () => {
    const { sites } = quantize(recurrentNetwork({ op: "GRU" }), plain);
    const bits = new Map(sites.map(({ id, spec }) => [id, spec.bits]));
    expect(bits.get("GRU_1.gates_input.weight.quantizer")).toBe(8);
    expect(bits.get("GRU_1.candidate_input.weight.quantizer")).toBe(8);
    expect(bits.get("GRU_1.candidate_recurrent.weight.quantizer")).toBe(4);
    expect(bits.has("GRU_1/candidate_input.input.quantizer")).toBe(false);
  });
});

it("what a step stores starts with the range of the least squared error, where its quantizer lets it be chosen", () => {
  const initializers = (preset: string) => {
    const config = { ...presetNamed(preset, { weightBits: 8, activationBits: 8 }), residualBits: 8 };
    const { sites } = quantize(recurrentNetwork({ op: "RNN" }), config);
    return Object.fromEntries(sites.map(({ id, spec }) => [id, spec.options.initializer]));
  };
  const lsq = initializers("lsq");
  expect(lsq["RNN_1/state.input.quantizer"]).toBe("mse");
  expect(lsq["RNN_1/recurrent.input.quantizer"]).toBeUndefined();
  expect(initializers("minmax")["RNN_1/state.input.quantizer"]).toBeUndefined();
});

it("costs count the products of all steps, and the weights once", () => {
  const { layers } = networkCost(quantize(recurrentNetwork({ op: "LSTM", steps: 7 }), stored));
  expect(layers.map(({ name, macs, weights }) => [name, macs, weights])).toEqual([
    ["LSTM_1/input", 7 * 12 * 4, 48],
    ["LSTM_1/recurrent", 6 * 12 * 3, 36],
    ["Gemm_4", 9, 9],
  ]);
});

/** The network for a batch of two, its data and the values of its parameters. */
function bound(network: QuantizedNetwork, batch = 2): { network: QuantizedNetwork; feeds: Record<string, Tensor> } {
  const own = { ...network, ...bindBatch(network, batch) };
  const feeds: Record<string, Tensor> = Object.fromEntries(own.parameters.map(({ name, value }) => [name, value]));
  feeds.x = sample(own.graph.inputs.find(({ name }) => name === "x")?.type.shape ?? []);
  return { network: own, feeds };
}

it("the gradient of a scale is the sum of those at all steps", async () => {
  const { network, feeds } = bound(quantize(recurrentNetwork({ op: "RNN", steps: 4 }), stored));
  const scale = "RNN_1/recurrent.input.quantizer.scale";
  const builder = newBuilder("gradient");
  const inputs = new Map<string, Value>(
    network.graph.inputs.map((input) => [input.name, builder.input(input.name, input.type)]),
  );
  const forward = addForward(builder, network, inputs, { ...trainingMode, observe: false });
  const [y] = forward.outputs.values();
  const shared = inputs.get(scale);
  if (shared === undefined || y === undefined) throw new Error("no scale");
  const loss = reduceSum(builder, y, undefined, { keepDimensions: false });
  expect(builder.nodes.filter(({ name }) => name === "RNN_1/recurrent.input.quantizer")).toHaveLength(3);
  const found = differentiate(builder, operators, builder.nodes, loss, [shared]);
  const gradient = found.get(shared);
  if (gradient === undefined) throw new Error("the scale has no gradient");
  builder.output("gradient", gradient);
  const each = builder.nodes.filter(({ op, inputs: read }) => op === "FakeQuantizeGrad" && read.includes(shared));
  expect(each).toHaveLength(3);
  for (const [i, { outputs }] of each.entries()) {
    const [, part] = outputs;
    if (part !== undefined) builder.output(`part${i}`, part);
  }
  const results = await runFloats(emit(builder.finish(), genericTarget), feeds);
  const parts = [0, 1, 2].map((i) => results[`part${i}`]?.[0] ?? Number.NaN);
  expect(results.gradient?.[0]).toBeCloseTo(
    parts.reduce((sum, part) => sum + part, 0),
    5,
  );
  expect(parts.every((part) => part !== 0)).toBe(true);
});

it("an observer sees every step", async () => {
  const { network, feeds } = bound(quantize(recurrentNetwork({ op: "RNN", steps: 4 }), observed));
  const site = network.sites.find(({ id }) => id === "RNN_1/recurrent.input.quantizer");
  const [low] = Object.values(site?.states ?? {});
  if (site === undefined || low === undefined) throw new Error("no observer");
  const builder = newBuilder("observed");
  const inputs = new Map<string, Value>(
    network.graph.inputs.map((input) => [input.name, builder.input(input.name, input.type)]),
  );
  const forward = addForward(builder, network, inputs, { ...trainingMode, fakeQuantize: false });
  const values = forward.allQuantizerInputs.get(site.id) ?? [];
  expect(values).toHaveLength(3);
  for (const [i, value] of values.entries()) builder.output(`state${i}`, value);
  for (const [name, state] of Object.entries(site.states)) {
    const next = forward.updates.get(state);
    if (next !== undefined) builder.output(name, next);
  }
  const results = await runFloats(emit(builder.finish(), genericTarget), feeds);
  const moved = (pick: (...values: number[]) => number) => {
    const c = Number(site.spec.observer?.options.averagingConstant ?? 1);
    return values.reduce<number | undefined>((state, _, i) => {
      const seen = pick(...(results[`state${i}`] ?? []));
      return state === undefined ? seen : state + c * (seen - state);
    }, undefined);
  };
  const names = Object.keys(site.states);
  const least = names.find((name) => name.toLowerCase().includes("min")) ?? "";
  const most = names.find((name) => name.toLowerCase().includes("max")) ?? "";
  expect(results[least]?.[0]).toBeCloseTo(moved(Math.min) ?? Number.NaN, 5);
  expect(results[most]?.[0]).toBeCloseTo(moved(Math.max) ?? Number.NaN, 5);
});

it("a calibration sample begins with a state that is a parameter", () => {
  const { network } = bound(quantize(recurrentNetwork({ op: "GRU", steps: 5, learnsState: true }), stored));
  const { graph } = buildActivationSample(network, { batchSize: 2, input: { dtype: "float32" } });
  const shapes = new Map(graph.outputs.map(({ name, value }) => [name, value.type.shape]));
  expect(shapes.get("GRU_4/gates_recurrent.input.quantizer")).toEqual([10, 3]);
});

it("a calibration sample holds the values of all steps", () => {
  const { network } = bound(quantize(recurrentNetwork({ op: "LSTM", steps: 5 }), stored));
  const { graph } = buildActivationSample(network, { batchSize: 2, input: { dtype: "float32" } });
  const shapes = new Map(graph.outputs.map(({ name, value }) => [name, value.type.shape]));
  expect(shapes.get("LSTM_1/recurrent.input.quantizer")).toEqual([8, 3]);
  expect(shapes.get("LSTM_1/input_gate.input.quantizer")).toEqual([10, 12]);
  expect(shapes.get("LSTM_1/input.input.quantizer")).toEqual([2, 5, 4]);
});
