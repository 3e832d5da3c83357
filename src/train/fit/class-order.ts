/** Whether the answers of a model fit the labels better if its outputs stood for the classes in another order. */
import type { Dataset } from "../../data/dataset/dataset.ts";
import type { Network } from "../../ir/network.ts";
import { float32Data, type Tensor } from "../../ir/tensor.ts";
import type { Engine } from "../../runtime/engine.ts";
import { StateBuffers } from "../../runtime/state.ts";
import { type EvaluationOptions, type EvaluationResult, Evaluator } from "../loop/evaluate.ts";

/** Another order is worth a note from this accuracy on, and where it is better by this much. */
const leastAccuracy = 0.6;
const leastGain = 0.35;
const fewestSamples = 20;

/** An evaluation, and a note on the order of the classes where another one fits much better. */
export interface OrderedEvaluation {
  readonly result: EvaluationResult;
  readonly notes: readonly string[];
}

/**
 * Evaluates a network and looks whether its outputs mean the classes in another order than the data has them, as where the
 * folders are sorted and the model's classes are not.
 *
 * @throws as evaluate does.
 */
export async function evaluateWithOrder(
  network: Network,
  dataset: Dataset,
  engine: Engine,
  options: EvaluationOptions = {},
): Promise<OrderedEvaluation> {
  const { target } = dataset;
  const classes = target.kind === "classes" ? target.classes : [];
  const counts: number[][] = classes.map(() => []);
  const evaluator = await Evaluator.create(network, dataset, engine, options);
  const state = new StateBuffers(network.parameters.map(({ name, value }) => [name, value] as const));
  try {
    const result = await evaluator.run(state, (scores, labels, valid) => count(counts, scores, labels, valid));
    return { result, notes: notesOnOrder(counts, classes) };
  } finally {
    await evaluator.release();
  }
}

function count(counts: number[][], scores: Tensor, labels: ArrayLike<number>, valid: number): void {
  const data = float32Data(scores);
  const outputs = scores.shape.at(-1) ?? 1;
  for (let sample = 0; sample < valid; sample++) {
    const row = data.subarray(sample * outputs, (sample + 1) * outputs);
    const answer = row.reduce((best, value, k) => (value > (row[best] ?? 0) ? k : best), 0);
    const own = counts[labels[sample] ?? 0];
    if (own === undefined) continue;
    while (own.length < outputs) own.push(0);
    own[answer] = (own[answer] ?? 0) + 1;
  }
}

/**
 * Returns a note where another order of the classes makes the answers right much more often.
 *
 * @param counts How often output j was the largest for class i, `counts[i][j]`.
 */
export function notesOnOrder(counts: readonly (readonly number[])[], classes: readonly string[]): string[] {
  const total = counts.flat().reduce((sum, value) => sum + value, 0);
  if (total < fewestSamples) return [];
  const pairs = counts.flatMap((row, label) => row.map((hits, output) => ({ label, output, hits })));
  const outputOf = new Map<number, number>();
  const taken = new Set<number>();
  let hits = 0;
  // Of equal pairs that which keeps the order comes first.
  const keeps = ({ label, output }: { readonly label: number; readonly output: number }) => Number(label === output);
  for (const pair of pairs.sort((a, b) => b.hits - a.hits || keeps(b) - keeps(a))) {
    if (outputOf.has(pair.label) || taken.has(pair.output)) continue;
    outputOf.set(pair.label, pair.output);
    taken.add(pair.output);
    hits += pair.hits;
  }
  const now = counts.reduce((sum, row, label) => sum + (row[label] ?? 0), 0) / total;
  const then = hits / total;
  if (then < leastAccuracy || then - now < leastGain) return [];
  const outputs = Math.max(...counts.map((row) => row.length));
  const labelOf = new Map([...outputOf].map(([label, output]) => [output, label] as const));
  const names = Array.from({ length: outputs }, (_, output) => {
    const label = labelOf.get(output);
    return label === undefined ? `output${output}` : (classes[label] ?? `output${output}`);
  });
  const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
  return [
    `the classes seem to be in another order than the model's outputs: with data.classes=[${names.join(", ")}] ` +
      `the accuracy would be ${percent(then)} instead of ${percent(now)}`,
  ];
}
