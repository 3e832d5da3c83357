/** Whether a network converts to integers, asked of the conversion's own rules: every refusal, not only the first. */

import { plainInput } from "../compile/build/input.ts";
import { quantize } from "../compile/passes/quantize.ts";
import { isQuantized } from "../compile/sites.ts";
import { SubbyteError, type UnsupportedError } from "../errors.ts";
import type { Node } from "../ir/graph.ts";
import type { Network } from "../ir/network.ts";
import { type RefusedPart, refusedNodesError } from "../ir/refused-nodes.ts";
import { defaultPreset, presetNamed } from "../qconfig/presets.ts";
import { isFakeQuantize } from "../quantizers/fake-quantize.ts";
import type { Symbolic } from "./assembly/symbolic.ts";
import { assembleIntegers, type RefusedNode, tooWideAccumulators } from "./convert.ts";
import type { ConvertOptions } from "./input.ts";
import type { TensorForm } from "./integer-network.ts";
import { nodeShape } from "./rules/rule.ts";

/** A part of a network that the conversion to integers refuses: a node, `quantizer` with the name of its tensor, or the network. */
export type IntegerObstacle = RefusedPart;

/** Bits of the quantizers that a float network is given, to ask what else would be refused. */
const assumedBits = { weightBits: 8, activationBits: 8 };

/** Stands for the codes of a refused activation, so that the nodes after it are checked by themselves. */
const standInForm: TensorForm = { kind: "codes", low: 0, high: 255, scale: 1, zeroPoint: 0 };

/**
 * Returns what the conversion to integers would refuse; nothing for a network that converts. A float network is checked as it
 * would be with 8-bit quantizers on every layer and on what is stored between layers (`residualBits`).
 *
 * @example
 * console.log(integerObstacles(network).map(({ op, name }) => `${op} (${name})`)); // [ 'Sin (/1/Sin)' ]
 */
export function integerObstacles(
  network: Network,
  options: ConvertOptions = { input: plainInput(network) },
): IntegerObstacle[] {
  const found: IntegerObstacle[] = [];
  try {
    const quantized = isQuantized(network)
      ? network
      : quantize(network, { ...presetNamed(defaultPreset, assumedBits), residualBits: 8 });
    const made = assembleIntegers(quantized, options, (error, refused) => {
      const obstacle = obstacleAt(refused.node, error);
      // What is repeated over time is named once.
      const isRepeat = refused.node.origin.step !== undefined && found.some((each) => isSame(each, obstacle));
      if (!isRepeat) found.push(obstacle);
      return standIn(refused);
    });
    found.push(...tooWideAccumulators(made).map((error) => obstacleOf(error, network.name)));
  } catch (error) {
    if (!(error instanceof SubbyteError)) throw error;
    // After a refused node the rest is checked on stand-ins: what fails there as a whole may be due to them.
    if (found.length === 0) found.push(obstacleOf(error, network.name));
  }
  return found;
}

/**
 * Returns the error that names everything that a conversion refuses, where that is more than the part that stopped it.
 *
 * @param first The error of that part.
 */
export function withAllObstacles(first: UnsupportedError, network: Network, options: ConvertOptions): UnsupportedError {
  const parts = integerObstacles(network, options);
  if (parts.length < 2) return first;
  return refusedNodesError("parts have no integer form", parts, { where: `network "${network.name}"` });
}

function obstacleAt(node: Node, error: UnsupportedError): IntegerObstacle {
  return { op: isFakeQuantize(node) ? "quantizer" : node.op, name: node.name, ...explained(error) };
}

function isSame(a: IntegerObstacle, b: IntegerObstacle): boolean {
  return a.op === b.op && a.name === b.name && a.message === b.message;
}

function obstacleOf(error: SubbyteError, name: string): IntegerObstacle {
  return { name: error.where ?? name, ...explained(error) };
}

function explained({ message, remedy }: SubbyteError): Pick<IntegerObstacle, "message" | "remedy"> {
  return remedy === undefined ? { message } : { message, remedy };
}

/** A value of the refused node's shape that every rule accepts. */
function standIn({ assembly, node, inputs }: RefusedNode): Symbolic {
  const { name } = node;
  const shape = nodeShape(node);
  const [x] = inputs;
  if (isFakeQuantize(node) && x?.kind === "constant") {
    const codes = new Int32Array(x.tensor.data.length);
    const weight = { name, shape, codes, low: -128, high: 127, levels: [0], scales: Float32Array.of(1) };
    return { kind: "weight", name, shape, weight };
  }
  return assembly.codes(
    assembly.add(name, shape, standInForm, (output) => ({
      op: "ConstantCodes",
      name,
      output,
      codes: Int32Array.of(0),
    })),
  );
}
