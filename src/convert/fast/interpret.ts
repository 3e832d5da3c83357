/**
 * The reference interpreter's results in a fraction of its time, for verification over many images. Layers and float sums,
 * where nearly all time goes, have their own code; all else is the reference's. Tested against it, bit for bit.
 */
import type { IntegerNetwork, IntegerOperation } from "../integer-network.ts";
import {
  type InterpretOptions,
  interpretOperation,
  type OperationInputs,
  runOperations,
} from "../interpreter/interpret.ts";
import { fastConv, fastGemm } from "./layers.ts";
import { fastRequantize, fastSum } from "./requantize.ts";

/**
 * Every tensor of the network for one sample, in the network's order, as {@link interpret} gives them.
 *
 * @throws RangeError where a layer's sums could leave int32, which the reference says only of sums that do.
 */
export function interpretFast(
  network: IntegerNetwork,
  sample: ArrayLike<number>,
  options: InterpretOptions = {},
): Float64Array[] {
  return runOperations(network, sample, fastOperation, options);
}

function fastOperation(operation: IntegerOperation, inputs: OperationInputs): Float64Array {
  const { read, output, arithmetic } = inputs;
  switch (operation.op) {
    case "IntegerConv": {
      const { data, tensor } = read(operation.input);
      return fastConv(operation, data, tensor, output);
    }
    case "IntegerGemm": {
      const { data, tensor } = read(operation.input);
      return fastGemm(operation, data, tensor);
    }
    case "Requantize":
      if (arithmetic === "fixed") break;
      return fastRequantize(
        operation,
        operation.terms.map((term) => read(term.input)),
        output,
      );
    case "Dequantize":
      if (arithmetic === "fixed") break;
      return fastSum(
        operation,
        operation.terms.map((term) => read(term.input)),
        output,
      );
  }
  return interpretOperation(operation, inputs);
}
