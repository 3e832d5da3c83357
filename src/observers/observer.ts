/**
 * An observer: the statistics that it keeps, how a batch updates them, and the range that it returns.
 *
 * One file for each observer implements {@link ObserverDefinition}; index.ts lists them. Observers run inside the
 * training step: their state goes in and comes out with the rest.
 */
import type { GraphBuilder, Value } from "../ir/graph.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { TensorType } from "../ir/types.ts";
import type { QuantizerSpec } from "../quantizers/definition.ts";
import type { OptionRules } from "../quantizers/options.ts";

/** A state tensor of an observer and its initial value. */
export interface ObserverState {
  readonly name: string;
  readonly initial: Tensor;
}

/** The values of an observer's state, by name. */
export type ObserverValues = Readonly<Record<string, Value>>;

/** The arguments of an observer's rules. */
export interface ObserverContext {
  readonly builder: GraphBuilder;
  readonly spec: QuantizerSpec;
  readonly x: Value;
  /** The state before this batch. */
  readonly state: ObserverValues;
}

/** The traits of an observer, which the other rooms query. */
export interface ObserverTraits {
  /** The range is the extremes of what was observed, or an average of them, so a single outlier moves it. */
  readonly extremes: boolean;
}

/** An observer: its state, its update and its range. */
export interface ObserverDefinition {
  readonly name: string;
  readonly traits: ObserverTraits;
  /** The options that it reads. */
  readonly options: OptionRules;
  /** The state before anything was observed. */
  state(spec: QuantizerSpec, type: TensorType): readonly ObserverState[];
  /** The state after this batch. */
  update(context: ObserverContext): ObserverValues;
  /** The range that the state stands for, shaped like the quantizer's parameters. */
  range(context: Omit<ObserverContext, "x">): { readonly min: Value; readonly max: Value };
}
