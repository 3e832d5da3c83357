import { describe, expect, it } from "vitest";
import { optimizerFor } from "../../../src/compile/build/optimizer.ts";
import { newBuilder } from "../../../src/compile/registry.ts";
import { filled, float32Data, float32Scalar, type Tensor } from "../../../src/ir/tensor.ts";
import vectors from "../../conformance/vectors/torch-ops.json" with { type: "json" };
import { runGraph } from "../../support/graphs/run-graph.ts";
import { configOf, decode, type TorchOptions } from "../../support/torch/optimizer-vectors.ts";

describe("optimizers follow torch.optim step by step", () => {
  for (const trajectory of vectors.optimizers) {
    it(trajectory.name, async () => {
      const options: TorchOptions = trajectory.options;
      const optimizer = optimizerFor(configOf(trajectory.optimizer, options));
      const type = { dtype: "float32", shape: trajectory.start.shape } as const;
      const builder = newBuilder(trajectory.name);
      const states = Object.keys(optimizer.init(type));
      const scalars = Object.keys(optimizer.scalars(1));
      const result = optimizer.update(builder, {
        parameter: builder.input("parameter", type),
        gradient: builder.input("gradient", type),
        state: Object.fromEntries(states.map((name) => [name, builder.input(name, type)])),
        learningRate: builder.input("learning_rate", { dtype: "float32", shape: [] }),
        weightDecay: options.weight_decay ?? 0,
        scalars: Object.fromEntries(
          scalars.map((name) => [name, builder.input(name, { dtype: "float32", shape: [] })]),
        ),
      });
      builder.output("next.parameter", result.parameter);
      for (const name of states) {
        const value = result.state[name];
        if (value !== undefined) builder.output(`next.${name}`, value);
      }
      const graph = builder.finish();

      let parameter = decode(trajectory.start);
      let state: Record<string, Tensor> = Object.fromEntries(states.map((name) => [name, filled(type.shape, 0)]));
      for (const [index, step] of trajectory.steps.entries()) {
        const values = optimizer.scalars(index + 1);
        const outputs = await runGraph(graph, {
          parameter,
          gradient: decode(step.gradient),
          learning_rate: float32Scalar(options.lr),
          ...state,
          ...Object.fromEntries(scalars.map((name) => [name, float32Scalar(values[name] ?? 0)])),
        });
        parameter = outputs["next.parameter"] ?? parameter;
        state = Object.fromEntries(states.map((name) => [name, outputs[`next.${name}`] ?? filled(type.shape, 0)]));
        const expected = float32Data(decode(step.value));
        float32Data(parameter).forEach((value, i) => {
          expect(Math.abs(value - (expected[i] ?? 0))).toBeLessThanOrEqual(
            2e-6 * Math.max(1, Math.abs(expected[i] ?? 0)),
          );
        });
      }
    });
  }
});
