/**
 * From the trained simulation to an integer network.
 *
 * The graph is walked once. Between two quantizers values are carried as sums of integers with real factors
 * (symbolic.ts), into which BatchNormalization, biases and limits are folded in float64; where a quantizer asks for codes, the
 * sum becomes a requantization (scaling.ts). docs/integer.md defines the arithmetic.
 */

import type { ImageInput } from "../compile/build/input.ts";
import { bindBatch } from "../compile/passes/bind-batch.ts";
import { isQuantized, type QuantizedNetwork } from "../compile/sites.ts";
import { UnsupportedError } from "../errors.ts";
import { type Node, showNode, type Value } from "../ir/graph.ts";
import { dataInputs, type Network } from "../ir/network.ts";
import { isFakeQuantize } from "../quantizers/fake-quantize.ts";
import { Assembly, floatForm, type InputNormalization } from "./assembly/assembly.ts";
import { sampleFirst } from "./assembly/sample-shape.ts";
import type { Symbolic } from "./assembly/symbolic.ts";
import { withFlattensInOrder } from "./flatten-order.ts";
import { activationForm, integerWeight } from "./grid.ts";
import { type ConvertOptions, convertedInput, isWholeInput, largestNumber, networkInput } from "./input.ts";
import {
  type ConversionNote,
  type IntegerNetwork,
  type IntegerOperation,
  type IntegerTensor,
  inputsOf,
  type NetworkInput,
  renumbered,
  type TensorForm,
} from "./integer-network.ts";
import { accumulatorBound, floatBound, largest } from "./ranges.ts";
import { applyRule } from "./rules/rules.ts";
import { type NetworkEnd, networkEnd, TailNodes } from "./tail/float-tail.ts";

/** Decides what follows where the conversion refuses a node: throws the error, or returns values for the node's outputs. */
export type OnRefusal = (error: UnsupportedError, refused: RefusedNode) => Symbolic;

/** A node that has no integer form, and where it was met. */
export interface RefusedNode {
  readonly assembly: Assembly;
  readonly node: Node;
  readonly inputs: readonly (Symbolic | undefined)[];
}

/**
 * @throws UnsupportedError naming the node that has no integer form, the layer whose accumulator could overflow, or the
 * scale that is not a positive number; ConfigError where the options say nothing of the input, or no valid normalization.
 *
 * @example
 * const trained = await train({ network: quantized, recipe: recipeOf(config, data.train), data, engine });
 * const integers = convert(trained.network, { data });
 * const same = convert(trained.network, { input: inputOf(data.train) });
 * console.log(integers.operations.map(({ op }) => op));
 */
export function convert(network: Network, options: ConvertOptions): IntegerNetwork {
  const made = assembleIntegers(network, options, (error) => {
    throw error;
  });
  const [tooWide] = tooWideAccumulators(made);
  if (tooWide !== undefined) throw tooWide;
  return { ...made, notes: [...made.notes, ...widenedNotes(made)] };
}

/**
 * Returns the integer network before its accumulators are checked.
 *
 * @throws UnsupportedError for a network that cannot be converted as a whole.
 */
export function assembleIntegers(network: Network, options: ConvertOptions, onRefusal: OnRefusal): IntegerNetwork {
  if (!isQuantized(network)) {
    throw new UnsupportedError("the network has no quantizers", {
      where: `network "${network.name}"`,
      remedy: "Train it with a quantization preset first, for example: subbyte train --preset lsq.",
    });
  }
  const source = withFlattensInOrder({ ...bindBatch(network, 1), sites: network.sites });
  const inputs = dataInputs(source);
  const given = convertedInput(options, inputs[0]?.type.shape[1] ?? 1);
  const input = networkInput(inputs, given);
  const assembly = new Assembly(inputNormalization(given));
  const tail = new TailNodes(source);
  const values = walk(source, input, assembly, { onRefusal, tail });
  const end = networkEnd(source, values, tail);
  const outputs = end.outputs.map(({ name, value }) => {
    const symbolic = values.get(value);
    if (symbolic === undefined) throw new UnsupportedError("nothing makes it", { where: `output "${name}"` });
    return { name, tensor: assembly.realize(symbolic, floatForm, name) };
  });
  const made = withoutUnused(assembly.tensors, assembly.operations, outputs);
  return {
    name: source.name,
    input,
    ...made,
    ...(end.tail === undefined ? {} : { tail: end.tail }),
    notes: [...assembly.notes, ...tailNotes(end)],
  };
}

/** f32(1/(unit·deviation)) and f32(−mean/deviation), as compile/build/input.ts has them. */
function inputNormalization({ dtype, mean, deviation }: ImageInput): InputNormalization {
  if (mean === undefined || deviation === undefined) return undefined;
  const unit = dtype === "uint8" ? 255 : 1;
  return {
    factor: Float32Array.from(deviation, (value) => 1 / (unit * value)),
    offset: Float32Array.from(mean, (value, channel) => -value / (deviation[channel] ?? 1)),
  };
}

/** Notes what stays in float. */
function tailNotes({ tail, outputs }: NetworkEnd): ConversionNote[] {
  const [first] = tail?.refused ?? [];
  if (tail === undefined || first === undefined) return [];
  const shown = tail.refused.map(({ op, name }) => `${op} (${name})`).join(", ");
  const message =
    `no layer follows, so that it stays in float with what reads it: ${shown}. ONNX files hold these nodes; ` +
    `other formats end before them, with ${outputs.map(({ name }) => name).join(", ")}`;
  return [{ kind: "float tail", where: first.name, message }];
}

/** What a data input is: floats that a quantizer is for, or whole numbers as they are. */
function enteredValue(network: Network, value: Value, { parts }: NetworkInput, assembly: Assembly): Symbolic {
  const { name, type } = value;
  const start = parts?.find((part) => part.name === name)?.start ?? 0;
  const shape = sampleFirst(type.shape);
  if (!isWholeInput(network.graph, value)) return { kind: "data", name, shape, start };
  const high = largestNumber(network.graph, value);
  const form: TensorForm = { kind: "integers", low: 0, high, scale: 1, zeroPoint: 0 };
  return assembly.codes(assembly.add(name, shape, form, (output) => ({ op: "ReadIntegers", name, output, start })));
}

function walk(
  network: QuantizedNetwork,
  input: NetworkInput,
  assembly: Assembly,
  { onRefusal, tail }: { readonly onRefusal: OnRefusal; readonly tail: TailNodes },
): Map<Value, Symbolic> {
  const data = new Set(dataInputs(network));
  const parameters = new Map(network.parameters.map((parameter) => [parameter.name, parameter.value]));
  const sites = new Map(network.sites.map((site) => [site.id, site]));
  const values = new Map<Value, Symbolic>();
  for (const each of network.graph.inputs) {
    const { shape } = each.type;
    const tensor = parameters.get(each.name);
    if (data.has(each)) values.set(each, enteredValue(network, each, input, assembly));
    else if (tensor !== undefined) values.set(each, { kind: "constant", name: each.name, shape, tensor });
  }
  for (const [value, tensor] of network.graph.constants) {
    values.set(value, { kind: "constant", name: value.name, shape: tensor.shape, tensor });
  }
  const quantized = (node: Node, x: Symbolic): Symbolic => {
    const site = sites.get(node.name);
    if (site === undefined) throw new UnsupportedError("no quantizer site has this name", { where: showNode(node) });
    // A constant may be an activation too: the state of a recurrent layer before its first time step.
    if (x.kind === "constant" && site.kind === "weight") {
      const weight = integerWeight(site, x.tensor, parameters);
      return { kind: "weight", name: x.name, shape: x.shape, weight };
    }
    return assembly.codes(assembly.realize(x, activationForm(site, parameters), site.id));
  };
  for (const node of network.graph.nodes) {
    if (tail.follows(node)) {
      tail.add(node, false);
      continue;
    }
    const inputs = node.inputs.map((value) => (value === undefined ? undefined : values.get(value)));
    const [x] = inputs;
    try {
      const results =
        isFakeQuantize(node) && x !== undefined ? [quantized(node, x)] : applyRule({ assembly, node, inputs });
      for (const [index, result] of results.entries()) {
        const output = node.outputs[index];
        if (output !== undefined) values.set(output, result);
      }
    } catch (error) {
      if (!(error instanceof UnsupportedError)) throw error;
      if (tail.mayHold(node)) {
        tail.add(node, true);
        continue;
      }
      const result = onRefusal(error, { assembly, node, inputs });
      const [output, ...others] = node.outputs;
      if (output !== undefined) values.set(output, result);
      for (const other of others) values.set(other, { ...result, shape: sampleFirst(other.type.shape) });
    }
  }
  return values;
}

/** Drops the tensors and operations that no output needs, and numbers the rest again. */
function withoutUnused(
  tensors: readonly IntegerTensor[],
  operations: readonly IntegerOperation[],
  outputs: readonly { readonly name: string; readonly tensor: number }[],
): Pick<IntegerNetwork, "tensors" | "operations" | "outputs"> {
  const needed = new Set(outputs.map((output) => output.tensor));
  const kept: IntegerOperation[] = [];
  for (const operation of [...operations].reverse()) {
    if (!needed.has(operation.output)) continue;
    kept.push(operation);
    for (const input of inputsOf(operation)) needed.add(input);
  }
  kept.reverse();
  const numbers = new Map(kept.map((operation, index) => [operation.output, index]));
  const numberOf = (id: number): number => numbers.get(id) ?? -1;
  return {
    tensors: kept
      .flatMap(({ output }) => tensors.filter(({ id }) => id === output))
      .map((tensor, id) => ({ ...tensor, id })),
    operations: kept.map((operation) => renumbered(operation, numberOf)),
    outputs: outputs.map(({ name, tensor }) => ({ name, tensor: numberOf(tensor) })),
  };
}

/** The accumulators of a network with the largest absolute value that each could reach. */
function accumulatorReach({ tensors }: IntegerNetwork): { readonly name: string; readonly reach: number }[] {
  return tensors.flatMap(({ name, form }) =>
    form.kind === "accumulator" ? [{ name, reach: largest(Float64Array.of(-form.low, form.high)) }] : [],
  );
}

/** Returns one error for each layer whose accumulator could pass 2³¹. */
export function tooWideAccumulators(network: IntegerNetwork): UnsupportedError[] {
  return accumulatorReach(network).flatMap(({ name, reach }) =>
    reach < accumulatorBound
      ? []
      : [
          new UnsupportedError(`its accumulator could reach ${reach}, an int32 holds 2³¹`, {
            where: `layer "${name}"`,
            remedy: "Give its weights or its input fewer bits.",
          }),
        ],
  );
}

/** Notes the accumulators that the simulation has to widen. */
function widenedNotes(network: IntegerNetwork): IntegerNetwork["notes"] {
  return accumulatorReach(network).flatMap(({ name, reach }) =>
    reach < floatBound
      ? []
      : [
          {
            kind: "widened simulation" as const,
            where: name,
            message: `sums can reach ${reach}, above 2^24: the simulation adds them in parts`,
          },
        ],
  );
}
