/**
 * Dropout that was decomposed. torch's dynamo exporter writes some (of channels, of whole branches, in place) as a random
 * number below the share that is kept: `x * (Cast(uniform < p) / p)`. Dropout that is one node is handled by its operator's record.
 */

import { toNumbers } from "../../ir/tensor.ts";
import type { FileGraph, FileNode } from "../../onnx/read/file.ts";

/** Returns the graph without decomposed dropout, and how many it had. Other random numbers stay, to be refused. */
export function withoutDropout(graph: FileGraph): { readonly graph: FileGraph; readonly count: number } {
  const consumers = consumersOf(graph);
  const exchanged = new Map<FileNode, readonly FileNode[]>();
  let count = 0;
  for (const random of graph.nodes) {
    const found = isStandardUniform(random) ? dropoutOf(random, graph, consumers) : undefined;
    if (found === undefined) continue;
    count++;
    for (const node of found.mask) exchanged.set(node, []);
    const { product, data } = found;
    exchanged.set(product, [{ ...product, op: "Identity", inputs: [data], attributes: new Map() }]);
  }
  return { graph: { ...graph, nodes: graph.nodes.flatMap((node) => exchanged.get(node) ?? [node]) }, count };
}

interface Dropout {
  /** The nodes that make the mask. */
  readonly mask: readonly FileNode[];
  readonly product: FileNode;
  /** The value that is multiplied by the mask. */
  readonly data: string;
}

type Consumers = ReadonlyMap<string, readonly FileNode[]>;

function dropoutOf(random: FileNode, graph: FileGraph, consumers: Consumers): Dropout | undefined {
  const [number = ""] = random.outputs;
  // The share may be given the random number's type first.
  const [typing] = (consumers.get(number) ?? []).filter((node) => node.op === "CastLike" && node.inputs[1] === number);
  const comparison = onlyConsumer(number, consumers, typing);
  if (comparison?.op !== "Less" || comparison.inputs[0] !== number) return undefined;
  const cast = onlyConsumer(comparison.outputs[0], consumers);
  if (cast?.op !== "Cast" && cast?.op !== "CastLike") return undefined;
  const quotient = onlyConsumer(cast.outputs[0], consumers);
  if (quotient?.op !== "Div" || quotient.inputs[0] !== cast.outputs[0]) return undefined;
  const compared = comparison.inputs[1];
  const [share, divisor] = [compared, quotient.inputs[1]].map((name) => knownNumber(name, graph));
  if (share === undefined || share !== divisor) return undefined;
  const product = onlyConsumer(quotient.outputs[0], consumers);
  const data = product?.inputs.find((name) => name !== quotient.outputs[0]);
  if (product?.op !== "Mul" || data === undefined) return undefined;
  const mask = [random, comparison, cast, quotient, ...(typing === undefined ? [] : [typing])];
  const isUsedElsewhere = mask.some(({ outputs: [output = ""] }) => graph.outputs.includes(output));
  return isUsedElsewhere ? undefined : { mask, product, data };
}

function onlyConsumer(name: string | undefined, consumers: Consumers, besides?: FileNode): FileNode | undefined {
  const [consumer, ...others] = (consumers.get(name ?? "") ?? []).filter((node) => node !== besides);
  return consumer?.domain === "" && others.length === 0 ? consumer : undefined;
}

/** The number that a name stands for, through changes of its type. */
function knownNumber(name: string | undefined, graph: FileGraph): number | undefined {
  const constant = graph.constants.get(name ?? "");
  if (constant !== undefined) {
    const numbers = constant.shape.length === 0 && constant.dtype !== "string" ? toNumbers(constant) : [];
    return numbers[0] === undefined ? undefined : Math.fround(numbers[0]);
  }
  const producer = graph.nodes.find(({ outputs }) => name !== undefined && outputs[0] === name);
  return producer?.op === "CastLike" || producer?.op === "Cast" ? knownNumber(producer.inputs[0], graph) : undefined;
}

function isStandardUniform({ op, domain, attributes }: FileNode): boolean {
  const number = (name: string, fallback: number) => {
    const value = attributes.get(name);
    return typeof value === "object" && "float" in value ? value.float : fallback;
  };
  return domain === "" && op === "RandomUniformLike" && number("low", 0) === 0 && number("high", 1) === 1;
}

function consumersOf({ nodes }: FileGraph): Consumers {
  const consumers = new Map<string, FileNode[]>();
  for (const node of nodes) {
    for (const name of new Set(node.inputs)) {
      const known = consumers.get(name);
      if (known === undefined) consumers.set(name, [node]);
      else known.push(node);
    }
  }
  return consumers;
}
