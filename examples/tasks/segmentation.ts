/**
 * A class for each pixel: background, bright squares and dark squares; a border of unknown class does not count.
 *
 *     npx tsx examples/tasks/segmentation.ts
 */
import { fileURLToPath } from "node:url";
import {
  importOnnxFile,
  inMemoryDataset,
  nodeEngine,
  presetNamed,
  quantize,
  randomStream,
  recipeOf,
  resolveTrainingConfig,
  train,
} from "subbyte";

const random = randomStream(1, "squares");
const [side, ignored] = [12, -1];
function images(name: string, count: number) {
  const targets = new Int32Array(count * side * side);
  for (let image = 0; image < count; image++) {
    const [row, column, size] = [random.integerBelow(7) + 1, random.integerBelow(7) + 1, random.integerBelow(3) + 2];
    for (let i = 0; i < side * side; i++) {
      const [y, x] = [Math.floor(i / side), i % side];
      const isInside = y >= row && y < row + size && x >= column && x < column + size;
      targets[image * side * side + i] = y === 0 ? ignored : isInside ? 1 + (image % 2) : 0;
    }
  }
  const level = [0, 1, -1];
  const samples = Float32Array.from(targets, (label) => (level[label] ?? 0) + random.normal(0, 0.3));
  const target = {
    kind: "dense",
    shape: [side, side],
    classes: ["background", "bright", "dark"],
    meaning: "regions",
  } as const;
  return inMemoryDataset({ name, samples, sampleShape: [1, side, side], targets, target });
}
const data = { train: images("train", 128), test: images("test", 32) };

const float = importOnnxFile(fileURLToPath(new URL("segmenter.onnx", import.meta.url)));
const network = quantize(float, presetNamed("lsq", { weightBits: 8, activationBits: 8 }));
const text = "train: { epochs: 10, batchSize: 16, optimizer: { name: adam, learningRate: 0.01 } }";
const recipe = recipeOf(resolveTrainingConfig({ name: "example", text }), data.train);
export const result = await train({
  network,
  data,
  recipe: { ...recipe, cropPadding: 0, horizontalFlip: false },
  engine: nodeEngine(),
});
console.log(`mean IoU ${(100 * result.accuracy).toFixed(1)} %, loss ${result.loss.toFixed(4)}`);
