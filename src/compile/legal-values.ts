/** The values that the parameters of a network may have, as their records state them. */

import type { Network, ParameterId } from "../ir/network.ts";
import type { LegalRange, QuantizerParameter } from "../quantizers/definition.ts";
import { isFakeQuantize } from "../quantizers/fake-quantize.ts";
import { quantizerNamed } from "../quantizers/index.ts";
import { isQuantized } from "./sites.ts";

/** A parameter with a value outside of its legal range. */
export interface IllegalValue {
  readonly parameter: ParameterId;
  readonly value: number;
  readonly range: LegalRange;
}

/** Returns the first parameter with a value outside of its legal range; undefined where there is none. */
export function illegalValue(network: Network): IllegalValue | undefined {
  const ranges = legalRanges(network);
  for (const { name, value } of network.parameters) {
    const range = ranges.get(name);
    if (range === undefined || !(value.data instanceof Float32Array)) continue;
    const found = value.data.find((each) => !isWithin(each, range));
    if (found !== undefined) return { parameter: name, value: found, range };
  }
  return undefined;
}

/** Float32 holds the ends themselves. */
function isWithin(value: number, { from, to = Number.POSITIVE_INFINITY }: LegalRange): boolean {
  return value >= Math.fround(from) && value <= Math.fround(to);
}

function legalRanges(network: Network): Map<ParameterId, LegalRange> {
  const ranges = new Map<ParameterId, LegalRange>();
  for (const { name, role } of network.parameters) if (role === "running-variance") ranges.set(name, { from: 0 });
  if (!isQuantized(network)) return ranges;
  const nodes = new Map(network.graph.nodes.filter(isFakeQuantize).map((node) => [node.name, node]));
  for (const { id, spec, parameters } of network.sites) {
    const type = nodes.get(id)?.outputs[0]?.type;
    if (type === undefined) continue;
    for (const parameter of quantizerNamed(spec.quantizer).parameters(spec, type)) {
      const name = parameters[parameter.name];
      const range = rangeOf(parameter);
      if (name !== undefined && range !== undefined) ranges.set(name, range);
    }
  }
  return ranges;
}

function rangeOf({ legal, minimum }: QuantizerParameter): LegalRange | undefined {
  return legal ?? (minimum === undefined ? undefined : { from: minimum });
}
