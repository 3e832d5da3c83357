/**
 * What a configuration really does, asked before anything is trained: the Python of the thread, pasted as text.
 *
 *     npx tsx examples/explain.ts
 */
import { explain, makeModel, parseTorchConfig, quantizationConfigOf, randomStream, torchVoice } from "subbyte";

const python = `
activation = tq.FakeQuantize.with_args(observer=tq.MovingAverageMinMaxObserver.with_args(
    quant_min=0, quant_max=2**bits - 1, dtype=torch.quint8,
    qscheme=torch.per_tensor_affine, reduce_range=True))
model.qconfig = tq.QConfig(activation=activation, weight=tq.default_per_channel_weight_fake_quant)
`;

const parsed = parseTorchConfig({ name: "thread.py", text: python }, { bits: 4 });
const network = makeModel("resnet8", { sampleShape: [1, 28, 28], classes: 10 }, randomStream(0, "weights"));
export const explanation = explain(network, quantizationConfigOf(parsed.qconfig), { voice: torchVoice(parsed) });

const { activations, findings } = explanation;
console.log(`activations: ${activations?.bitsAsked} bits asked for, ${activations?.bits} bits there`);
for (const { severity, what, change } of findings) {
  console.log(`${severity}: ${what}`);
  if (change !== null) console.log(`  ${change.where ?? ""} ${change.from} -> ${change.to}`);
}
