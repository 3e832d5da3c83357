/**
 * The fix: the same network, data and steps, once with the thread's quantizers and once with learned step sizes (LSQ),
 * both at 2-bit weights and 2-bit activations, from the same float weights.
 *
 *     npx tsx examples/lsq-fix.ts
 */
import {
  calibrate,
  firstSamples,
  loadFashionMnist,
  makeModel,
  type Network,
  nodeEngine,
  presets,
  quantize,
  randomStream,
  recipeOf,
  resolveTrainingConfig,
  train,
  withParameterValues,
} from "subbyte";

const all = await loadFashionMnist();
const data = { ...all, train: firstSamples(all.train, 1024), test: firstSamples(all.test, 256) };
const engine = nodeEngine();

/** Trains a network; the learning rate is all that differs between float and quantized. */
async function trained(network: Network, learningRate: number): Promise<Network> {
  const text = `train: { epochs: 2, batchSize: 32, optimizer: { learningRate: ${learningRate} } }`;
  const recipe = recipeOf(resolveTrainingConfig({ name: "example", text }), data.train);
  const result = await train({ network, data, recipe, engine });
  accuracies.push(result.accuracy);
  return result.network;
}
const accuracies: number[] = [];

const { sampleShape } = data.train;
const fresh = makeModel("resnet8", { sampleShape, classes: 10, width: 8 }, randomStream(0, "weights"));
const weights = new Map((await trained(fresh, 0.1)).parameters.map(({ name, value }) => [name, value]));
const float = withParameterValues(fresh, weights);

for (const preset of ["thread", "lsq"] as const) {
  const config = presets[preset]?.({ weightBits: 2, activationBits: 2 });
  if (config === undefined) throw new Error(`there is a preset ${preset}`);
  // Learned steps start from a batch of activations; observers start from the first batch of the training.
  const indices = Int32Array.from({ length: 64 }, (_, i) => i);
  const network = await calibrate(quantize(float, config), data.train, indices, engine);
  await trained(network, 0.02);
}

export const [floatAccuracy = 0, threadAccuracy = 0, lsqAccuracy = 0] = accuracies;
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
console.log(`float          ${percent(floatAccuracy)}`);
console.log(`thread, W2A2   ${percent(threadAccuracy)}`);
console.log(`lsq, W2A2      ${percent(lsqAccuracy)}`);
