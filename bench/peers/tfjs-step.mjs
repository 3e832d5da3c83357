/**
 * Steps of TensorFlow.js, for bench/ecosystem.ts: `node tfjs-step.mjs PEERS cpu|wasm JOB`.
 *
 * PEERS is the folder that the packages are installed in, JOB the file that the bench writes. Prints one line of JSON: the
 * seconds and the loss of each step. TensorFlow.js wants images as NHWC and kernels as HWIO; they are laid out before the
 * clock runs.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { clockedSteps, float32, int32 } from "./job.mjs";

const [, , peers, backend, file] = process.argv;
const load = createRequire(join(peers, "package.json"));
const tf = load("@tensorflow/tfjs");
if (backend === "wasm") load("@tensorflow/tfjs-backend-wasm");
if (!(await tf.setBackend(backend))) throw new Error(`TensorFlow.js has no backend ${backend} here`);
await tf.ready();

const job = JSON.parse(readFileSync(file, "utf8"));
const { batchSize, sampleShape, classes, learningRate } = job;

const variables = new Map(
  Object.entries(job.parameters).map(([name, { shape, data }]) => {
    const plain = tf.tensor(float32(data), shape);
    return [name, tf.variable(shape.length === 4 ? tf.transpose(plain, [2, 3, 1, 0]) : plain)];
  }),
);
const batches = job.batches.map(({ images, labels }) => ({
  images: tf.tidy(() => tf.transpose(tf.tensor(float32(images), [batchSize, ...sampleShape]), [0, 2, 3, 1]).dataSync()),
  labels: int32(labels),
}));
const [channels, height, width] = sampleShape;

function logits(images) {
  let x = images;
  for (const layer of ["conv1", "conv2", "conv3"]) {
    x = tf
      .conv2d(x, variables.get(`${layer}.weight`), 1, "same")
      .add(variables.get(`${layer}.bias`))
      .relu();
    x = tf.maxPool(x, 2, 2, "valid");
  }
  // The classifier's weights are in the order of NCHW.
  const features = tf.transpose(x, [0, 3, 1, 2]).reshape([batchSize, -1]);
  return features.matMul(variables.get("fc.weight"), false, true).add(variables.get("fc.bias"));
}

const optimizer = tf.train.sgd(learningRate);
await clockedSteps(job, async (i) => {
  const { images, labels } = batches[i % batches.length];
  const loss = tf.tidy(() => {
    const x = tf.tensor(images, [batchSize, height, width, channels]);
    const targets = tf.oneHot(tf.tensor1d(labels, "int32"), classes);
    return optimizer.minimize(() => tf.losses.softmaxCrossEntropy(targets, logits(x)), true);
  });
  const [value] = await loss.data();
  loss.dispose();
  return value;
});
