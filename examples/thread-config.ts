/**
 * The forum thread's own configuration, written in TypeScript as it was in Python, on a small ResNet and real images.
 *
 *     npx tsx examples/thread-config.ts
 *
 * It asks for 4 bits. It prints that the activations have 3, and why.
 */
import {
  evaluate,
  FakeQuantize,
  firstSamples,
  loadFashionMnist,
  MovingAverageMinMaxObserver,
  MovingAveragePerChannelMinMaxObserver,
  makeModel,
  nodeEngine,
  perChannelSymmetric,
  perTensorAffine,
  prepareQat,
  QConfig,
  qint8,
  quint8,
  randomStream,
  recipeOf,
  resolveTrainingConfig,
  train,
} from "subbyte";

const bits = 4;
const qconfig = new QConfig({
  activation: FakeQuantize.withArgs({
    observer: MovingAverageMinMaxObserver.withArgs({
      quantMin: 0,
      quantMax: 2 ** bits - 1,
      dtype: quint8,
      qscheme: perTensorAffine,
      reduceRange: true,
    }),
  }),
  weight: FakeQuantize.withArgs({
    observer: MovingAveragePerChannelMinMaxObserver.withArgs({
      quantMin: -(2 ** bits) / 2,
      quantMax: 2 ** bits / 2 - 1,
      dtype: qint8,
      qscheme: perChannelSymmetric,
      reduceRange: false,
    }),
  }),
});

const all = await loadFashionMnist();
const data = { ...all, train: firstSamples(all.train, 512), test: firstSamples(all.test, 128) };
const { sampleShape } = data.train;
const float = makeModel("resnet8", { sampleShape, classes: 10, width: 8 }, randomStream(0, "weights"));
const network = prepareQat(float, qconfig, { placement: "everyModule" });

const site = network.sites.find(({ tensor }) => tensor === "relu.output");
if (site === undefined) throw new Error("every ReLU has a quantizer");
export const levels = site.spec.quantMax - site.spec.quantMin + 1;
console.log(`asked for ${bits} bits, ${2 ** bits} levels; the activations have ${levels}`);
console.log(`codes ${site.spec.quantMin}..${site.spec.quantMax}: reduceRange halved 0..${2 ** bits - 1}`);

const recipe = recipeOf(
  resolveTrainingConfig({
    name: "example",
    text: "train: { epochs: 5, batchSize: 32, optimizer: { learningRate: 0.05 } }",
  }),
  data.train,
);
const engine = nodeEngine();
/** The training loss of each epoch. */
export const losses: number[] = [];
const trained = await train({
  network,
  data,
  recipe,
  engine,
  onEpoch: ({ epoch, trainLoss }) => {
    losses.push(trainLoss);
    console.log(`epoch ${epoch}: loss ${trainLoss.toFixed(3)}`);
  },
});
export const { accuracy } = await evaluate(trained.network, data.test, engine);
console.log(`accuracy after ${trained.steps} steps: ${(100 * accuracy).toFixed(1)} %`);
