/** The loss of boxes and its gradient against torchvision 0.29's focal and GIoU losses, and against the metric's own arithmetic. */
import { describe, expect, it } from "vitest";
import { addLoss } from "../../../src/compile/build/loss.ts";
import { lowerGraph } from "../../../src/compile/passes/lower.ts";
import { newBuilder, operators } from "../../../src/compile/registry.ts";
import { float32Data, float32Tensor } from "../../../src/ir/tensor.ts";
import { boxLoss } from "../../../src/ops/internal/box-loss.ts";
import { genericTarget } from "../../../src/ops/targets.ts";
import { boxLossSums } from "../../../src/train/metrics/boxes/decode.ts";
import { type BuildForward, gradientsOf } from "../../support/graphs/gradient-check.ts";
import { runGraph } from "../../support/graphs/run-graph.ts";

const [batch, classes, cells] = [3, 4, 21];
const output = Float32Array.from(
  { length: batch * (4 + classes) * cells },
  (_, i) => 2 * Math.sin(i * 1.7) + (Math.floor(i / cells) % (4 + classes) < 4 ? 1.5 : 0),
);
const targets = Float32Array.from({ length: batch * cells * 5 }, (_, i) => {
  const [cell, number] = [Math.floor(i / 5), i % 5];
  const label = cell % 13 === 0 ? -2 : Math.max(-1, ((cell * 7) % 9) - 5);
  if (number === 0) return label;
  return label < 0 ? 1 : Math.abs(Math.cos(cell * 4 + number - 1)) * 2 + 0.3;
});

describe("the loss of boxes", () => {
  it("and its gradient are torch's", async () => {
    const feeds = [float32Tensor([batch, 4 + classes, cells], output), float32Tensor([batch, cells, 5], targets)];
    const builder = newBuilder("loss");
    const prediction = builder.input("output", feeds[0] ?? float32Tensor([0], []));
    const config = { name: "boxes", targetLength: cells * 5 } as const;
    const added = addLoss(builder, prediction, config, { data: new Map(), batchSize: batch });
    builder.output("loss", added.loss);
    const graph = lowerGraph(builder.finish(), operators, genericTarget);
    const rows = float32Tensor([batch, cells * 5], targets);
    const { loss } = await runGraph(graph, { output: feeds[0] ?? rows, targets: rows }, { registry: operators });
    expect(loss === undefined ? Number.NaN : float32Data(loss)[0]).toBeCloseTo(5.140405110786398, 5);

    const build: BuildForward = (b, [x, y]) => boxLoss(b, x ?? b.constant(rows), y ?? b.constant(rows));
    const own = (await gradientsOf(build, feeds, float32Tensor([], [1]), [0])).get(0);
    const found = own === undefined ? new Float32Array(0) : float32Data(own);
    const wanted = [0, -0.017223874, 0.007708993, 0.013238587, 0.027539146, 0, 0.021844722];
    [0, 40, 85, 200, 300, 400, 503].forEach((place, i) => {
      expect(found[place]).toBeCloseTo(wanted[i] ?? 0, 6);
    });
    expect(found.reduce((sum, each) => sum + Math.abs(each), 0)).toBeCloseTo(3.9665300104255197, 4);
  });

  it("is that of the evaluation, in float64", () => {
    let [total, positives] = [0, 0];
    for (let sample = 0; sample < batch; sample++) {
      const names = Array.from({ length: classes }, (_, k) => `${k}`);
      const sums = boxLossSums(
        output,
        sample * (4 + classes) * cells,
        targets,
        sample * cells * 5,
        { classes: names },
        cells,
      );
      total += sums.scores + sums.boxes;
      positives += sums.positives;
    }
    expect(total / positives).toBeCloseTo(5.140405110786398, 6);
  });
});
