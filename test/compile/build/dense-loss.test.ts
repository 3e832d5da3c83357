/** The loss of positions against torch 2.15's CrossEntropyLoss with ignore_index, in every layout. */
import { describe, expect, it } from "vitest";
import { addLoss } from "../../../src/compile/build/loss.ts";
import { lowerGraph } from "../../../src/compile/passes/lower.ts";
import { newBuilder, operators } from "../../../src/compile/registry.ts";
import { float32Data, float32Tensor, makeTensor, type Tensor } from "../../../src/ir/tensor.ts";
import { genericTarget } from "../../../src/ops/targets.ts";
import { runGraph } from "../../support/graphs/run-graph.ts";

const [batch, length, classes] = [5, 12, 6];
const labels = Int32Array.from({ length: batch * length }, (_, i) => (i % 11 === 0 ? -1 : (i * 7) % 5));
const scores = Float32Array.from({ length: batch * length * classes }, (_, i) => Math.sin(i * 1.7));
const classesFirst = Float32Array.from(scores, (_, i) => {
  const [sample, rest] = [Math.floor(i / (length * classes)), i % (length * classes)];
  const [k, position] = [Math.floor(rest / length), rest % length];
  return scores[(sample * length + position) * classes + k] ?? 0;
});

async function lossOf(output: Tensor, shape: readonly number[], targets: Int32Array, labelSmoothing: number) {
  const builder = newBuilder("loss");
  const prediction = builder.input("scores", output);
  const config = { name: "denseCrossEntropy", labelSmoothing, shape } as const;
  const added = addLoss(builder, prediction, config, { data: new Map(), batchSize: batch });
  builder.output("loss", added.loss);
  const graph = lowerGraph(builder.finish(), operators, genericTarget);
  const type = added.targetInput?.type;
  if (type === undefined) throw new Error("no targets");
  const feeds = { scores: output, targets: makeTensor("int32", type.shape, targets) };
  const { loss } = await runGraph(graph, feeds, { registry: operators });
  return loss === undefined ? Number.NaN : float32Data(loss)[0];
}

describe("the loss of positions", () => {
  it.each([
    ["classes last", float32Tensor([batch, length, classes], scores), [length]],
    ["classes first", float32Tensor([batch, classes, 3, 4], classesFirst), [3, 4]],
    ["two axes, classes last", float32Tensor([batch, 3, 4, classes], scores), [3, 4]],
  ] as const)("is torch's: %s", async (_, output, shape) => {
    expect(await lossOf(output, shape, labels, 0)).toBeCloseTo(1.8800475597381592, 6);
    expect(await lossOf(output, shape, labels, 0.1)).toBeCloseTo(1.8938038349151611, 6);
  });

  it("is that of the last position where the output scores no other", async () => {
    const last = float32Tensor(
      [batch, classes],
      Array.from({ length: batch * classes }, (_, i) => {
        const sample = Math.floor(i / classes);
        return scores[(sample * length + length - 1) * classes + (i % classes)] ?? 0;
      }),
    );
    const alone = labels.map((label, i) => (i % length === length - 1 ? label : -1));
    const whole = await lossOf(float32Tensor([batch, length, classes], scores), [length], alone, 0);
    expect(await lossOf(last, [length], labels, 0)).toBeCloseTo(whole ?? Number.NaN, 6);
  });

  it("is 0 and not NaN where no position counts", async () => {
    const none = labels.map(() => -1);
    expect(await lossOf(float32Tensor([batch, length, classes], scores), [length], none, 0)).toBe(0);
  });
});
