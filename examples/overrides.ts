/**
 * Bits of single layers: 3 bits everywhere, 8 for the first stage, the shortcuts in float, one layer's weights at 2.
 *
 *     npx tsx examples/overrides.ts
 */
import { makeModel, presetNamed, quantize, randomStream, showSites } from "subbyte";

const network = makeModel("resnet8", { sampleShape: [1, 28, 28], classes: 10 }, randomStream(0, "weights"));
const quantized = quantize(network, {
  ...presetNamed("lsq", { weightBits: 3, activationBits: 3 }),
  // Later ones go over earlier ones, field by field.
  overrides: [
    { layer: "layer1.**", bits: 8 },
    { layer: "**.downsample.0", weight: "float", activation: "float" },
    { layer: "layer3.0.conv2", weight: { bits: 2 } },
  ],
});

export const sites = showSites(quantized);
console.log(sites);
