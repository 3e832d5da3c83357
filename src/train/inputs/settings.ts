/** Settings that have no effect on a run, or not the one that they seem to have. */
import { quantizationOf } from "../../config/quantization.ts";
import type { QuantizationSettings, TrainingConfig } from "../../config/schema/schema.ts";

/**
 * Returns notes on settings of a configuration that do nothing: bits that the preset does not have, and phases that begin after
 * the last epoch.
 *
 * @example
 * console.log(notesOnSettings(config)); // []
 */
export function notesOnSettings(config: TrainingConfig): string[] {
  return [...notesOnBits(config), ...notesOnPhases(config)];
}

function notesOnBits({ quantization }: TrainingConfig): string[] {
  if (quantization === null) return [];
  const { weight, activation } = quantizationOf(quantization);
  const kinds = [
    ["weights", quantization.weightBits, weight?.bits],
    ["activations", quantization.activationBits, activation?.bits],
  ] as const;
  return kinds.flatMap(([kind, asked, bits]) =>
    bits === undefined || bits === asked
      ? []
      : [
          `the preset ${quantization.preset} gives ${kind} ${bits} ${bits === 1 ? "bit" : "bits"}, whatever is asked for: ${asked}`,
        ],
  );
}

function notesOnPhases({ quantization, train }: TrainingConfig): string[] {
  const { epochs, distillation, schedule } = train;
  const without = (key: string, value: number) => `${key} is ${value}, the run has ${epochs} epochs: it has no effect`;
  const begins = Object.entries({
    "quantization.quantizeWeightsFromEpoch": quantization?.quantizeWeightsFromEpoch,
    "quantization.quantizeActivationsFromEpoch": quantization?.quantizeActivationsFromEpoch,
  }).flatMap(([key, value]) =>
    value === undefined || value < epochs
      ? []
      : [
          `${key} is ${value}, the run has ${epochs} epochs: nothing is trained with these quantizers, and the result has them`,
        ],
  );
  const freezes = Object.entries({
    "quantization.freezeObserversAfterEpoch": quantization?.freezeObserversAfterEpoch,
    "quantization.freezeBatchNormAfterEpoch": quantization?.freezeBatchNormAfterEpoch,
  }).flatMap(([key, value]) => (value === undefined || value < epochs ? [] : [without(key, value)]));
  const ranges = Object.entries({
    "quantization.dampening": quantization?.dampening,
    "quantization.freezing": quantization?.freezing,
    "train.distillation": distillation,
  }).flatMap(([key, range]) => {
    if (range === undefined) return [];
    if (range.untilEpoch !== undefined && range.untilEpoch <= range.fromEpoch) {
      return [`${key} ends with epoch ${range.untilEpoch}, before it begins with ${range.fromEpoch}: it has no effect`];
    }
    return range.fromEpoch < epochs ? [] : [without(`${key}.fromEpoch`, range.fromEpoch)];
  });
  const rises = Object.entries({
    "train.schedule.warmupEpochs": schedule.warmupEpochs,
    "quantization.scaleWarmupEpochs": quantization?.scaleWarmupEpochs ?? 0,
  }).flatMap(([key, value]) =>
    value <= epochs
      ? []
      : [`${key} is ${value}, the run has ${epochs} epochs: the full learning rate is never reached`],
  );
  return [...begins, ...freezes, ...ranges, ...rises];
}

/** Returns `W4A4`, by the bits that the preset really gives. */
export function bitsInEffect(settings: QuantizationSettings): string {
  const { weight, activation } = quantizationOf(settings);
  return `W${weight?.bits ?? settings.weightBits}A${activation?.bits ?? settings.activationBits}`;
}
