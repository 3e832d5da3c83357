/** The C function of interpolated codes. */
import { type IntegerNetwork, type ResampleSums, tensorById } from "../../integer-network.ts";
import { elementType, storedOffset } from "./arena.ts";
import { comment } from "./names.ts";
import { constantArray, subtractionText } from "./text.ts";

/** `acc_N(x, k, i, j)`: the sum of the neighbours of a place. */
export function resampleFunction(network: IntegerNetwork, operation: ResampleSums): string {
  const { name, input, output, axes } = operation;
  const [rows, columns] = axes;
  const read = tensorById(network, input);
  const [, , height = 1, width = 1] = read.shape;
  const tables = (["rows", "columns"] as const).map((kind, i) => {
    const axis = axes[i] ?? rows;
    return (
      constantArray("uint16_t", `${kind}_${output}`, Array.from(axis.places, String)) +
      constantArray("int32_t", `${kind}_weights_${output}`, Array.from(axis.weights, String))
    );
  });
  return `${comment(name)}${tables.join("")}static int32_t acc_${output}(const ${elementType(read)} *x, int k, int i, int j) {
  int32_t sum = 0;
  for (int a = i * ${rows.taps}; a < (i + 1) * ${rows.taps}; a++)
    for (int b = j * ${columns.taps}; b < (j + 1) * ${columns.taps}; b++) {
      const int32_t q = (int32_t)x[(k * ${height} + rows_${output}[a]) * ${width} + columns_${output}[b]]${subtractionText(read.form.zeroPoint + storedOffset(read))};
      sum += q * (rows_weights_${output}[a] * columns_weights_${output}[b]);
    }
  return sum;
}
`;
}
