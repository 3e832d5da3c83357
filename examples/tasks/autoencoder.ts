/**
 * Anomalies by their reconstruction: an autoencoder learns waves, and a signal that is none is reconstructed badly.
 *
 *     npx tsx examples/tasks/autoencoder.ts
 */
import { fileURLToPath } from "node:url";
import {
  importOnnxFile,
  inMemoryDataset,
  nodeEngine,
  randomStream,
  recipeOf,
  resolveTrainingConfig,
  train,
} from "subbyte";

const random = randomStream(1, "signals");
const length = 16;
/** Waves of any phase and height; every second one of a mixed part is noisy. */
function signals(name: string, count: number, areMixed: boolean) {
  const labels = Int32Array.from({ length: count }, (_, i) => (areMixed ? i % 2 : 0));
  const samples = [...labels].flatMap((label) => {
    const [phase, height] = [random.uniform(0, 2 * Math.PI), random.uniform(0.5, 1)];
    return Array.from(
      { length },
      (_, i) => height * Math.sin(phase + (i * Math.PI) / 8) + label * random.normal(0, 0.4),
    );
  });
  return inMemoryDataset({
    name,
    samples: Float32Array.from(samples),
    sampleShape: [length],
    targets: areMixed ? labels : new Int32Array(0),
    target: { kind: "input", hasAnomalies: areMixed },
  });
}
const data = { train: signals("train", 512, false), test: signals("test", 200, true) };

const network = importOnnxFile(fileURLToPath(new URL("autoencoder.onnx", import.meta.url)));
const text = "train: { epochs: 30, batchSize: 16, optimizer: { name: adam, learningRate: 0.005 } }";
const recipe = recipeOf(resolveTrainingConfig({ name: "example", text }), data.train);
export const result = await train({ network, data, recipe, engine: nodeEngine() });
console.log(`AUC ${result.accuracy.toFixed(3)}, reconstruction error ${result.loss.toFixed(4)}`);
