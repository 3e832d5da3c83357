/**
 * Steps of jax-js on its WebAssembly device, for bench/ecosystem.ts: `node jax-js-step.mjs PEERS wasm JOB`.
 *
 * PEERS is the folder that the package is installed in, JOB the file that the bench writes. Prints one line of JSON: the
 * seconds and the loss of each step. The step is one function under `jit`, as its documentation advises. Arrays are
 * counted by their owners: a function that receives one consumes it, and `.ref` keeps it.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { clockedSteps, float32, int32 } from "./job.mjs";

const [, , peers, device, file] = process.argv;
const found = createRequire(join(peers, "package.json")).resolve("@jax-js/jax");
const {
  blockUntilReady,
  defaultDevice,
  init,
  jit,
  lax,
  nn,
  numpy: np,
  tree,
  valueAndGrad,
} = await import(pathToFileURL(found.replace(/\.cjs$/, ".js")).href);
if (!(await init(device)).includes(device)) throw new Error(`jax-js has no device ${device} here`);
defaultDevice(device);

const job = JSON.parse(readFileSync(file, "utf8"));
const { batchSize, sampleShape, classes, learningRate } = job;
let parameters = Object.fromEntries(
  Object.entries(job.parameters).map(([name, { shape, data }]) => [name, np.array(float32(data)).reshape(shape)]),
);
const batches = job.batches.map(({ images, labels }) => ({ images: float32(images), labels: int32(labels) }));

const same = [
  [1, 1],
  [1, 1],
];

function loss(weights, images, labels) {
  let x = images;
  for (const layer of ["conv1", "conv2", "conv3"]) {
    const bias = weights[`${layer}.bias`].reshape([-1, 1, 1]);
    x = nn.relu(lax.convGeneralDilated(x, weights[`${layer}.weight`], [1, 1], same).add(bias));
    x = lax.reduceWindow(x, np.max, [2, 2], [2, 2]);
  }
  const features = x.reshape([batchSize, -1]);
  const logits = np.dot(features, weights["fc.weight"].transpose()).add(weights["fc.bias"]);
  return nn
    .logSoftmax(logits)
    .mul(nn.oneHot(labels, classes))
    .sum()
    .mul(-1 / batchSize);
}

const step = jit((weights, images, labels) => {
  const [value, gradients] = valueAndGrad(loss)(tree.ref(weights), images, labels);
  const moved = tree.map((weight, gradient) => weight.sub(gradient.mul(learningRate)), weights, gradients);
  return [value, moved];
});

await clockedSteps(job, async (i) => {
  const { images, labels } = batches[i % batches.length];
  const x = np.array(images).reshape([batchSize, ...sampleShape]);
  const [value, moved] = step(parameters, x, np.array(labels, { dtype: np.int32 }));
  parameters = moved;
  // Nothing is computed before it is asked for: without this the last update would not be counted.
  await blockUntilReady(parameters);
  return value.jsAsync();
});
