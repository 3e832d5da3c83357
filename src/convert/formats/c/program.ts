/**
 * The integer network as one self-contained C99 file: no allocation, no library but <stdint.h>, weights packed to their bits,
 * one static buffer whose size is known. Compile it as ISO C (`-std=c99`), so that no product and sum are fused.
 */

import { elementCount } from "../../../ir/types.ts";
import {
  type IntegerNetwork,
  type IntegerOperation,
  inputsOf,
  renumbered,
  summingProducer,
  tensorById,
} from "../../integer-network.ts";
import { sameOperations } from "../../same-operations.ts";
import { type FormatDefinition, textFile } from "../definition.ts";
import { type Arena, elementType, isStoredWhole, planArena, quotientType, storedOffset } from "./arena.ts";
import { extremumFunction, productFunction, tableFunction } from "./elementwise.ts";
import { withPartsEarly } from "./joins.ts";
import { withLoops } from "./loops.ts";
import { comment, identifierParts } from "./names.ts";
import {
  concatFunction,
  constantFunction,
  dataType,
  inputFunction,
  layerFunction,
  maxPoolFunction,
  moveFunction,
  sumFunction,
  sumPoolFunction,
} from "./operations.ts";
import { resampleFunction } from "./resampling.ts";
import { roundingHelpers } from "./rounding.ts";
import {
  gatherFunction,
  integersFunction,
  matMulFunction,
  normalizeFunction,
  rootHelpers,
  softmaxFunction,
} from "./rows.ts";
import { constantBytes } from "./text.ts";
import { viewOf } from "./views.ts";

/** Options of a C program. */
export interface CProgramOptions {
  /** Prefix of the public names; default "network". */
  readonly name?: string;
  /** "float": the formula of the simulation. "fixed": integer multipliers and shifts, no float but at the output. */
  readonly arithmetic?: "float" | "fixed";
  /** Adds a callback after each tensor of codes, for comparisons. */
  readonly observe?: boolean;
}

/** A C program with its memory needs. */
export interface CProgram {
  readonly source: string;
  readonly header: string;
  /** Bytes of the buffer for codes. */
  readonly arenaBytes: number;
  /** Bytes of constants: packed weights, biases, factors. They lie in flash; the code itself comes on top. */
  readonly constantBytes: number;
}

/** Writes an integer network as C99. */
export function buildCProgram(given: IntegerNetwork, options: CProgramOptions = {}): CProgram {
  const { name = "network", arithmetic = "float", observe = false } = options;
  const network = withPartsEarly(given);
  const arena = planArena(network);
  const parts = outputParts(network);
  const outputs = parts.map((part) => `float *out_${part}`).join(", ");
  const signature = `void ${name}_run(const ${dataType(network)} *data, ${outputs})`;
  // What is made in place has no function that an equal operation could share.
  const hasFunction = (operation: IntegerOperation): boolean =>
    !arena.joined.has(operation.output) && viewOf(network, operation) === undefined;
  const same = sameOperations({ ...network, operations: network.operations.filter(hasFunction) });
  const functionId = (id: number): number => same.get(id) ?? id;
  const functions = network.operations
    .filter((operation) => functionId(operation.output) === operation.output && hasFunction(operation))
    .map((operation) => functionOf(network, renumbered(operation, functionId), arithmetic === "fixed"))
    .join("\n");
  const calls = network.operations.flatMap((operation) =>
    callOf(
      network,
      operation,
      { ...arena, functionId },
      { fixed: arithmetic === "fixed", observe: observe ? `${name}_observe` : undefined },
    ),
  );
  const flashBytes = constantBytes(functions);
  const upper = name.toUpperCase();
  const sizes = network.outputs.map(
    (output, i) =>
      `#define ${upper}_${parts[i]?.toUpperCase()}_SIZE ${elementCount(tensorById(network, output.tensor).shape)}`,
  );
  const observer = `void ${name}_observe(int tensor, const void *codes, int count, int bytes, int offset);\n`;
  const header = `${comment(network.name, ", written by subbyte.")}#ifndef ${upper}_H
#define ${upper}_H
#include <stdint.h>
${tailComment(network)}#define ${upper}_INPUT_SIZE ${elementCount(network.input.sampleShape)}
${sizes.join("\n")}
#define ${upper}_ARENA_BYTES ${Math.max(arena.bytes, 4)}
${signature};
${observe ? observer : ""}#endif
`;
  const note = `: ${arithmetic} requantization, ${flashBytes} bytes of constants, ${arena.bytes} of RAM. Written by subbyte.`;
  const hasRoot = network.operations.some(({ op }) => op === "NormalizeCodes");
  const root = hasRoot ? rootHelpers(arithmetic === "fixed") : "";
  const source = `${comment(network.name, note)}#include "${name}.h"
${unpack}${root}${roundingHelpers(functions)}
${functions}
static int32_t arena[${Math.max(arena.bytes, 4)} / 4];

${signature} {
  uint8_t *const memory = (uint8_t *)arena;
${withLoops(calls)
  .map((line) => `  ${line}\n`)
  .join("")}}
`;
  return { source, header, arenaBytes: arena.bytes, constantBytes: flashBytes };
}

/** Says what is not part of the program: it reads the outputs, in float. */
function tailComment({ tail }: IntegerNetwork): string {
  const lines = (tail?.refused ?? []).map(({ op, name }) =>
    comment(`${op} ${name}`, " reads the outputs: not part of this program"),
  );
  return lines.join("");
}

/** The part of an identifier for each output; NETWORK_INPUT_SIZE is the input's. */
function outputParts(network: IntegerNetwork): string[] {
  const names = network.outputs.map(({ name }) => name);
  return identifierParts(names, ["input"]);
}

const unpack = `
/* Weight n of b bits, low bits first. */
static int32_t unpack(const uint8_t *weights, uint32_t n, uint32_t b) {
  const uint32_t position = n * b;
  const uint32_t two = weights[position >> 3] | ((uint32_t)weights[(position >> 3) + 1] << 8);
  return (int32_t)((two >> (position & 7)) & ((1u << b) - 1u));
}
`;

function functionOf(network: IntegerNetwork, operation: IntegerOperation, fixed: boolean): string {
  switch (operation.op) {
    case "QuantizeInput":
      return inputFunction(network, operation);
    case "ReadIntegers":
      return integersFunction(network, operation);
    case "GatherRows":
      return gatherFunction(network, operation);
    case "ConstantCodes":
      return constantFunction(network, operation);
    case "IntegerConv":
    case "IntegerGemm":
      return layerFunction(network, operation);
    case "SumPool":
      return sumPoolFunction(network, operation);
    case "IntegerMatMul":
      return matMulFunction(network, operation);
    case "SoftmaxCodes":
      return softmaxFunction(network, operation, fixed);
    case "NormalizeCodes":
      return normalizeFunction(network, operation, fixed);
    case "ResampleSums":
      return resampleFunction(network, operation);
    case "MaxPoolCodes":
      return maxPoolFunction(network, operation);
    case "Requantize":
    case "Dequantize":
      return sumFunction(network, operation, fixed);
    case "ConcatCodes":
      return concatFunction(network, operation);
    case "MoveCodes":
      return moveFunction(network, operation);
    case "TableCodes":
      return tableFunction(network, operation);
    case "MultiplyCodes":
      return productFunction(network, operation);
    case "ExtremumCodes":
      return extremumFunction(network, operation);
    case "ReshapeCodes":
      return "";
  }
}

/** The statements that run an operation; sums are run by what reads them. */
function callOf(
  network: IntegerNetwork,
  operation: IntegerOperation,
  { placements, joined, functionId }: Arena & { readonly functionId: (id: number) => number },
  { fixed, observe }: { readonly fixed: boolean; readonly observe: string | undefined },
): string[] {
  const run = `run_${functionId(operation.output)}`;
  const output = tensorById(network, operation.output);
  const place = (id: number): string => {
    const tensor = tensorById(network, id);
    const type = tensor.form.kind === "quotient" ? quotientType(fixed) : elementType(tensor);
    const slot = placements.get(id);
    if (slot === undefined) return `constant_${functionId(id)}`;
    return `(${type} *)(void *)(memory + ${slot.offset})`;
  };
  const stored = (id: number): string => {
    const sum = summingProducer(network, id);
    return (sum === undefined ? [id] : inputsOf(sum)).map(place).join(", ");
  };
  const watch =
    observe !== undefined && output.form.kind !== "quotient" && !isStoredWhole(operation)
      ? [
          `${observe}(${output.id}, memory + ${placements.get(output.id)?.offset ?? 0}, ${elementCount(output.shape)}, ${elementType(output) === "uint8_t" ? 1 : 4}, ${storedOffset(output)});`,
        ]
      : [];
  switch (operation.op) {
    case "ConstantCodes":
      if (isStoredWhole(operation)) return [];
      return [`${run}(${place(output.id)});`, ...watch];
    case "QuantizeInput":
    case "ReadIntegers": {
      const { start = 0 } = operation;
      return [`${run}(data${start === 0 ? "" : ` + ${start}`}, ${place(output.id)});`, ...watch];
    }
    case "IntegerConv":
    case "IntegerGemm":
    case "SumPool":
    case "IntegerMatMul":
    case "ResampleSums":
      return [];
    case "ReshapeCodes":
      return watch;
    case "ConcatCodes":
      if (joined.has(output.id)) return watch;
      return [`${run}(${[...operation.inputs.map(stored), place(output.id)].join(", ")});`, ...watch];
    case "MoveCodes":
      if (viewOf(network, operation) !== undefined) return watch;
      return [`${run}(${place(operation.input)}, ${place(output.id)});`, ...watch];
    case "Dequantize": {
      const target = outputParts(network)[network.outputs.findIndex(({ tensor }) => tensor === output.id)];
      return [`${run}(${operation.terms.map((term) => stored(term.input)).join(", ")}, out_${target});`];
    }
    default:
      if (output.form.kind === "float") {
        const target = outputParts(network)[network.outputs.findIndex(({ tensor }) => tensor === output.id)];
        return [`${run}(${inputsOf(operation).map(stored).join(", ")}, out_${target});`];
      }
      return [`${run}(${[...inputsOf(operation).map(stored), place(output.id)].join(", ")});`, ...watch];
  }
}

/** A C99 source file and its header. */
export const cFormat: FormatDefinition = {
  name: "c",
  files(network, { arithmetic }) {
    const { source, header, constantBytes, arenaBytes } = buildCProgram(network, { arithmetic });
    return [{ ...textFile("network.c", source), memory: { constantBytes, arenaBytes } }, textFile("network.h", header)];
  },
};
