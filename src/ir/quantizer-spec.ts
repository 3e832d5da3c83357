/** The quantizer of one tensor as plain data: what a FakeQuantize node carries. What it does is in quantizers/. */

/** Options of a quantizer beyond its range; each quantizer documents its own. */
export type QuantizerOptions = Readonly<Record<string, number | string | boolean>>;

/** An observer and its options, as a configuration names it. */
export interface ObserverSpec {
  readonly observer: string;
  readonly options: QuantizerOptions;
}

/** Everything that is decided about the quantizer of one tensor. Plain data, which survives JSON. */
export interface QuantizerSpec {
  /** The quantizer's name, as in the list of quantizers/index.ts. */
  readonly quantizer: string;
  /** The requested bits; the effective levels are the `levels` of the quantizer. */
  readonly bits: number;
  /** Lowest and highest code, after every rule that changes them (`reduce_range`) has been applied. */
  readonly quantMin: number;
  readonly quantMax: number;
  /** The axis whose every index has parameters of its own; undefined: one set for the whole tensor. */
  readonly channelAxis?: number;
  /** Elements that share parameters along the flattened axes after the first; excludes `channelAxis`. */
  readonly groupSize?: number;
  /** Whether the tensor is known to hold no negative value (it leaves a ReLU), which saves work. */
  readonly nonNegative?: boolean;
  /** The observer that moves the parameters during training; undefined: they are trained or fixed. */
  readonly observer?: ObserverSpec;
  readonly options: QuantizerOptions;
}
