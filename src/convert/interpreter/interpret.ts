/**
 * The reference interpreter: runs an integer network on one sample, operation by operation, in plain numbers.
 *
 * It is slow and plain, because it decides: what the simulation and the converted files compute must be what this computes.
 * It is written from docs/integer.md and shares nothing with them but the network's data types. Verification over many
 * images uses {@link interpretFast} (../fast/interpret.ts), which is tested against it.
 */
import { type IntegerNetwork, type IntegerOperation, type IntegerTensor, tensorById } from "../integer-network.ts";
import { interpretExtremum, interpretProduct, interpretTable } from "./elementwise.ts";
import { interpretFixed } from "./fixed.ts";
import { interpretConv, interpretGemm } from "./layers.ts";
import type { Elements } from "./numbers.ts";
import { interpretInput, interpretIntegers, interpretRequantize, interpretSum } from "./requantize.ts";
import { interpretMatMul, interpretNormalize, interpretRows, interpretSoftmax } from "./rows.ts";
import { interpretConcat, interpretConstant, interpretMove, interpretPool, interpretResampling } from "./windows.ts";

/** The arithmetic of the interpreter. */
export interface InterpretOptions {
  /** The formula that gives codes; default "float", that of the simulation. */
  readonly arithmetic?: "float" | "fixed";
}

/** The arguments of an operation. */
export interface OperationInputs {
  readonly sample: ArrayLike<number>;
  /** The elements of an earlier tensor. @throws RangeError where there are none yet. */
  readonly read: (id: number) => Elements;
  readonly output: IntegerTensor;
  readonly arithmetic: "float" | "fixed";
}

/** Runs one operation on one sample. */
export type RunOperation = (operation: IntegerOperation, inputs: OperationInputs) => Float64Array;

/** Every tensor of the network for one sample, in the network's order. */
export function interpret(
  network: IntegerNetwork,
  sample: ArrayLike<number>,
  options: InterpretOptions = {},
): Float64Array[] {
  return runOperations(network, sample, interpretOperation, options);
}

/** Runs the operations one after another, each by the same function. */
export function runOperations(
  network: IntegerNetwork,
  sample: ArrayLike<number>,
  run: RunOperation,
  { arithmetic = "float" }: InterpretOptions,
): Float64Array[] {
  const results: Float64Array[] = [];
  for (const operation of network.operations) {
    const output = tensorById(network, operation.output);
    const read = (id: number) => {
      const data = results[id];
      if (data === undefined) throw new RangeError(`${operation.name} reads tensor ${id} before it is produced`);
      return { data, tensor: tensorById(network, id) };
    };
    results[operation.output] = run(operation, { sample, read, output, arithmetic });
  }
  return results;
}

/** Runs one operation as docs/integer.md defines it. */
export function interpretOperation(
  operation: IntegerOperation,
  { sample, read, output, arithmetic }: OperationInputs,
): Float64Array {
  switch (operation.op) {
    case "QuantizeInput":
      return interpretInput(operation, sample, output);
    case "ReadIntegers":
      return interpretIntegers(operation, sample, output);
    case "GatherRows":
      return interpretRows(operation, read(operation.input).data);
    case "ConstantCodes":
      return interpretConstant(operation, output);
    case "Requantize":
      return (arithmetic === "fixed" ? interpretFixed : interpretRequantize)(
        operation,
        operation.terms.map((term) => read(term.input)),
        output,
      );
    case "Dequantize":
      return interpretSum(
        operation,
        operation.terms.map((term) => read(term.input)),
        output,
        arithmetic,
      );
    case "ConcatCodes":
      return interpretConcat(operation, operation.inputs.map(read), output);
    case "MultiplyCodes":
      return interpretProduct(operation.inputs.map(read), output);
    case "IntegerMatMul":
      return interpretMatMul(operation, [read(operation.inputs[0]), read(operation.inputs[1])], output);
    case "SoftmaxCodes": {
      const [codes, mask] = operation.inputs;
      return interpretSoftmax(operation, read(codes), mask === undefined ? undefined : read(mask), arithmetic);
    }
    case "NormalizeCodes":
      return interpretNormalize(operation, read(operation.input), arithmetic);
    case "ReshapeCodes":
      return read(operation.input).data;
    case "ExtremumCodes":
      return interpretExtremum(operation, operation.inputs.map(read), output);
    case "TableCodes":
      return interpretTable(operation, read(operation.input).data, output);
    case "MoveCodes":
      return interpretMove(operation, read(operation.input).data);
    case "ResampleSums": {
      const { data, tensor } = read(operation.input);
      return interpretResampling(operation, data, tensor, output);
    }
    case "IntegerGemm": {
      const { data, tensor } = read(operation.input);
      return interpretGemm(operation, data, tensor);
    }
    case "IntegerConv": {
      const { data, tensor } = read(operation.input);
      return interpretConv(operation, data, tensor, output);
    }
    default: {
      const { data, tensor } = read(operation.input);
      return interpretPool(operation, data, tensor, output);
    }
  }
}
