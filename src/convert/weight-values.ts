/** The weights of a graph that is being built: codes that two layers read are stored once. */
import type { Value } from "../ir/graph.ts";

/** The values that stand for weights, by their codes and the form in which these are stored. */
export class WeightValues {
  readonly #known = new Map<Int32Array, Map<string, Value>>();

  /** Returns the value of these codes in this form; `make` adds it to the graph where there is none. */
  once(codes: Int32Array, form: string, make: () => Value): Value {
    const forms = this.#known.get(codes) ?? new Map<string, Value>();
    const value = forms.get(form) ?? make();
    this.#known.set(codes, forms.set(form, value));
    return value;
  }
}
