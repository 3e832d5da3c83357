/** The `quantization` part of a training configuration: preset, bits, overrides, and the aids of the training. */
import { z } from "zod";
import type { LayerRule } from "../../qconfig/config.ts";
import { defaultPreset, presetNamed, presetNames } from "../../qconfig/presets.ts";
import { bits, count, epochRange, layerBits } from "./common.ts";

/** Returns the names that `preset` may have: the quantization recipes, those of plugins included, and `float` for none. */
export function presetChoices(): string[] {
  return [...presetNames(), "float"];
}

/** Asked when a configuration is checked, since plugins add presets. */
const presetName = z.string().check((context) => {
  const values = presetChoices();
  if (!values.includes(context.value)) context.issues.push({ code: "invalid_value", values, input: context.value });
});
/** Where quantizers are put: docs/architecture.md says what each means. */
export const placementNames = ["fused", "everyModule"] as const;

/** Whether an observer gives the activations' range: only there torch's halving has something to halve. */
function observes(value: { readonly preset: string; readonly weightBits: number; readonly activationBits: number }) {
  return presetNamed(value.preset, value).activation?.observer !== undefined;
}

/** A preset may give a layer's weights and activations different bits; a training configuration has one number for both. */
function bitsOfLayer(layer: LayerRule): number | "same" | "float" {
  return typeof layer === "string" ? layer : Math.max(layer.weightBits, layer.activationBits);
}

const optionValues = z.record(z.string(), z.union([z.number(), z.string(), z.boolean()]));

/** The fields of a tensor's quantization that an override changes: those of TensorQuantization. */
const tensorChange = z.strictObject({
  quantizer: z.string().min(1).exactOptional(),
  bits: bits.exactOptional(),
  signed: z.union([z.boolean(), z.literal("auto")], { error: 'expected true, false or "auto"' }).exactOptional(),
  quantMin: z.int().exactOptional(),
  quantMax: z.int().exactOptional(),
  narrowRange: z.boolean().exactOptional(),
  reduceRange: z.boolean().exactOptional(),
  granularity: z.enum(["tensor", "channel", "group"]).exactOptional(),
  groupSize: count.exactOptional(),
  observer: z.strictObject({ observer: z.string().min(1), options: optionValues.default({}) }).exactOptional(),
  options: optionValues.exactOptional(),
});
const tensorOverride = z.union([z.literal("float"), tensorChange]);

/** Layers that are treated differently; a later override goes over an earlier one. */
const layerOverride = z
  .strictObject({
    /** A layer's name, or a glob: `*` within a part of the name, `**` across dots, `{3,4}` either. */
    layer: z.string().min(1).exactOptional(),
    /** `Conv`, `Gemm`, … */
    operator: z.string().min(1).exactOptional(),
    bits: bits.exactOptional(),
    weight: tensorOverride.exactOptional(),
    activation: tensorOverride.exactOptional(),
  })
  .refine(({ layer, operator }) => layer !== undefined || operator !== undefined, {
    error: "expected a layer (a name or a glob) or an operator, got neither",
  })
  .refine((value) => value.bits !== undefined || value.weight !== undefined || value.activation !== undefined, {
    error: "expected bits, weight or activation: it changes nothing",
  });

const bitStage = z.strictObject({ fromEpoch: z.int().min(0), weightBits: bits, activationBits: bits });

/** The schema of `quantization`; the preset `float` resolves to null. */
export const quantization = z
  .strictObject({
    preset: presetName.default(defaultPreset),
    weightBits: bits.default(4),
    activationBits: bits.default(4),
    /** Default of this and of the next three: the preset's. */
    placement: z.enum(placementNames).exactOptional(),
    firstLayerBits: layerBits.exactOptional(),
    lastLayerBits: layerBits.exactOptional(),
    /** torch's halving of the activations' range, which costs a bit. */
    reduceRange: z.boolean().exactOptional(),
    overrides: z.array(layerOverride).exactOptional(),
    /** Bits of the skip branch at a residual addition, or "float". Default: the preset's. */
    residualBits: z.union([bits, z.literal("float")]).exactOptional(),
    /** Progressive lowering: other bits for the epochs from each `fromEpoch` on, until the next; in the end, the bits above. */
    stages: z.array(bitStage).exactOptional(),
    /** Epochs before which weights, or activations, pass unquantized. */
    quantizeWeightsFromEpoch: z.int().min(0).exactOptional(),
    quantizeActivationsFromEpoch: z.int().min(0).exactOptional(),
    /** Epochs, or a part of one, over which the learning rate of scales rises from 0. */
    scaleWarmupEpochs: z.number().min(0).exactOptional(),
    /** Pulls weights to the middle of their bins: `strength` is reached along a cosine. */
    dampening: z.strictObject({ ...epochRange, strength: z.number().positive() }).exactOptional(),
    /** Fixes weights that oscillate more often than a threshold, which falls along a cosine. */
    freezing: z
      .strictObject({
        ...epochRange,
        startThreshold: z.number().positive().max(1).default(0.1),
        endThreshold: z.number().positive().max(1).default(0.01),
      })
      .exactOptional(),
    /** Epochs after which observers no longer move the ranges. */
    freezeObserversAfterEpoch: z.int().min(0).exactOptional(),
    /** Epochs after which batch normalization uses its running statistics. */
    freezeBatchNormAfterEpoch: z.int().min(0).exactOptional(),
  })
  .refine((value) => value.reduceRange !== true || value.preset === "float" || observes(value), {
    error: "the preset learns its ranges; only one with an observer can reduce them",
    path: ["reduceRange"],
  })
  .transform(
    ({
      preset,
      weightBits,
      activationBits,
      placement,
      firstLayerBits,
      lastLayerBits,
      reduceRange,
      residualBits,
      ...rest
    }) => {
      if (preset === "float") return null;
      const defaults = presetNamed(preset, { weightBits, activationBits });
      return {
        preset,
        weightBits,
        activationBits,
        placement: placement ?? defaults.placement,
        firstLayerBits: firstLayerBits ?? bitsOfLayer(defaults.firstLayer),
        lastLayerBits: lastLayerBits ?? bitsOfLayer(defaults.lastLayer),
        reduceRange: reduceRange ?? defaults.activation?.reduceRange ?? false,
        residualBits: residualBits ?? defaults.residualBits ?? ("float" as const),
        ...rest,
      };
    },
  );
