/** Tokens whose successors are to be predicted: the targets are the tokens, shifted by one. */
import { type InputPart, rowOf } from "../../compile/build/input.ts";
import { elementCount, type Shape } from "../../ir/types.ts";
import { allocateBatch, checkBatch, type Dataset, ignoredLabel } from "../dataset/dataset.ts";
import { tokenPlaces } from "./token-part.ts";

/**
 * Returns the data set with the token after each as its target. Padding, and what follows the last token that is known, does not count.
 *
 * @param length Tokens that the network reads, where its file states it. Samples of one token more give the successor of the last one.
 * @throws ConfigError where the samples hold no tokens.
 */
export function nextTokens(dataset: Dataset, length: number | undefined): Dataset {
  const { tokens, attention } = tokenPlaces(dataset, "nextToken");
  const stored = tokens.shape.at(-1) ?? 1;
  const read = length === undefined ? stored : Math.min(length, stored);
  const shorten = (shape: Shape): Shape => (shape.at(-1) === stored ? [...shape.slice(0, -1), read] : shape);
  const before: readonly InputPart[] = dataset.inputs ?? [tokens];
  const { parts, length: rowLength } = rowOf(before.map(({ name, shape }) => ({ name, shape: shorten(shape) })));
  const rowBefore = elementCount(dataset.sampleShape);
  const next: Dataset = {
    ...dataset,
    sampleShape: dataset.inputs === undefined ? shorten(dataset.sampleShape) : [rowLength],
    ...(dataset.inputs === undefined ? {} : { inputs: parts }),
    target: { kind: "dense", shape: shorten(tokens.shape), classes: [], meaning: "next tokens" },
    readBatch(indices, into, draw) {
      checkBatch(next, indices, into);
      const whole = allocateBatch(dataset, indices.length);
      dataset.readBatch(indices, whole, draw);
      const count = elementCount(shorten(tokens.shape));
      indices.forEach((_, position) => {
        const from = position * rowBefore;
        before.forEach(({ start, shape }, number) => {
          const part = parts[number];
          if (part === undefined) return;
          const [size, kept] = [shape.at(-1) ?? 1, part.shape.at(-1) ?? 1];
          for (let row = 0; row < elementCount(shape) / size; row++) {
            const source = from + start + row * size;
            into.samples.set(
              whole.samples.subarray(source, source + kept),
              position * rowLength + part.start + row * kept,
            );
          }
        });
        for (let i = 0; i < count; i++) {
          const at = from + tokens.start + Math.floor(i / read) * stored + (i % read) + 1;
          const isKnown = (i % read) + 1 < stored;
          const isRead = attention === undefined || whole.samples[at - tokens.start + attention.start] !== 0;
          into.targets[position * count + i] = isKnown && isRead ? (whole.samples[at] ?? 0) : ignoredLabel;
        }
      });
    },
  };
  return next;
}
