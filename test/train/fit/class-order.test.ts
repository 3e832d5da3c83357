/** A model whose outputs mean the classes in another order than the data has them. */
import { describe, expect, it } from "vitest";
import { randomStream } from "../../../src/base/random.ts";
import { inMemoryDataset } from "../../../src/data/dataset/dataset.ts";
import { makeModel } from "../../../src/models/index.ts";
import { nodeEngine } from "../../../src/runtime/node/node.ts";
import { evaluateWithOrder, notesOnOrder } from "../../../src/train/fit/class-order.ts";
import { evaluate } from "../../../src/train/loop/evaluate.ts";

const names = (count: number) => Array.from({ length: count }, (_, i) => `class${i}`);

/** Counts of a model that is right with this share, and answers `order[label]` for a label. */
function answers(order: readonly number[], outputs: number, share: number, samples: number): number[][] {
  return order.map((own) =>
    Array.from({ length: outputs }, (_, output) =>
      Math.round(samples * (output === own ? share : (1 - share) / (outputs - 1))),
    ),
  );
}

describe("the order of the classes", () => {
  it.each(Array.from({ length: 30 }, (_, seed) => seed))("is found in answers of any other order (%i)", (seed) => {
    const random = randomStream(seed, "order");
    const classes = 2 + (seed % 9);
    const outputs = classes + (seed % 3);
    const order = Array.from(random.permutation(outputs)).slice(0, classes);
    const notes = notesOnOrder(answers(order, outputs, 0.9, 40), names(classes));
    const moved = order.filter((output, label) => output !== label).length;
    if ((0.9 - 0.1 / (outputs - 1)) * (moved / classes) < 0.35) {
      expect(notes).toEqual([]);
      return;
    }
    const wanted = Array.from({ length: outputs }, (_, output) => {
      const label = order.indexOf(output);
      return label < 0 ? `output${output}` : `class${label}`;
    });
    expect(notes).toHaveLength(1);
    expect(notes[0]).toContain(`data.classes=[${wanted.join(", ")}]`);
  });

  it("is left alone where it fits, where the model always gives one answer, and where it guesses", () => {
    expect(notesOnOrder(answers([0, 1, 2, 3], 4, 0.8, 40), names(4))).toEqual([]);
    expect(
      notesOnOrder(
        [0, 1, 2, 3].map(() => [40, 0, 0, 0]),
        names(4),
      ),
    ).toEqual([]);
    for (let seed = 0; seed < 50; seed++) {
      const random = randomStream(seed, "guess");
      const counts = names(4).map(() => [0, 0, 0, 0]);
      for (let i = 0; i < 80; i++) {
        const row = counts[i % 4];
        const answer = random.permutation(4)[0] ?? 0;
        if (row !== undefined) row[answer] = (row[answer] ?? 0) + 1;
      }
      expect(notesOnOrder(counts, names(4))).toEqual([]);
    }
  });

  it("is looked at without a change of the result", async () => {
    const random = randomStream(1, "data");
    const network = makeModel("mlp", { sampleShape: [6], classes: 3, width: 8 }, randomStream(2, "weights"));
    const data = inMemoryDataset({
      name: "d",
      samples: Float32Array.from({ length: 6 * 40 }, () => random.uniform()),
      sampleShape: [6],
      targets: Int32Array.from({ length: 40 }, (_, i) => i % 3),
      target: { kind: "classes", classes: names(3) },
    });
    const engine = nodeEngine({ threads: 1 });
    const { result } = await evaluateWithOrder(network, data, engine);
    expect(result).toEqual(await evaluate(network, data, engine));
  });
});
