/**
 * A number to predict: the size of a disc in an image, by a perceptron at 4 bits.
 *
 *     npx tsx examples/tasks/regression.ts
 */
import {
  inMemoryDataset,
  makeModel,
  nodeEngine,
  presetNamed,
  quantize,
  randomStream,
  recipeOf,
  resolveTrainingConfig,
  train,
} from "subbyte";

const random = randomStream(1, "discs");
const [count, side] = [512, 12];
const radii = Float32Array.from({ length: count }, () => random.uniform(1, 5));
const samples = Float32Array.from({ length: count * side * side }, (_, i) => {
  const [sample, place] = [Math.floor(i / side ** 2), i % side ** 2];
  const distance = Math.hypot((place % side) - side / 2, Math.floor(place / side) - side / 2);
  return Number(distance < (radii[sample] ?? 0)) + random.normal(0, 0.2);
});
const part = (name: string, start: number, end: number) =>
  inMemoryDataset({
    name,
    samples: samples.subarray(start * side ** 2, end * side ** 2),
    sampleShape: [1, side, side],
    targets: radii.subarray(start, end),
    target: { kind: "values", shape: [] },
  });
const data = { train: part("train", 0, 400), test: part("test", 400, count) };

const float = makeModel("mlp", { sampleShape: [1, side, side], classes: 1 }, randomStream(0, "weights"));
const network = quantize(float, presetNamed("lsq", { weightBits: 4, activationBits: 4 }));
const text = "train: { epochs: 8, batchSize: 16, optimizer: { name: adam, learningRate: 0.005 } }";
const recipe = recipeOf(resolveTrainingConfig({ name: "example", text }), data.train);
export const result = await train({
  network,
  data,
  recipe: { ...recipe, cropPadding: 0, horizontalFlip: false },
  engine: nodeEngine(),
});
console.log(`R² ${result.accuracy.toFixed(3)}, mean squared error ${result.loss.toFixed(3)}`);
