/** The C functions of tables, products, and the largest or smallest of codes. */
import { elementCount, rowMajorStrides } from "../../../ir/types.ts";
import {
  type ExtremumCodes,
  type IntegerNetwork,
  type IntegerTensor,
  type MultiplyCodes,
  type TableCodes,
  tensorById,
} from "../../integer-network.ts";
import { elementType, storedOffset } from "./arena.ts";
import { comment } from "./names.ts";
import { constantArray, floatLiteral, subtractionText } from "./text.ts";

/** Writes the C function of a table. */
export function tableFunction(network: IntegerNetwork, operation: TableCodes): string {
  const { name, input, output, low, axis, tables, table } = operation;
  const [from, to] = [tensorById(network, input), tensorById(network, output)];
  const isReal = to.form.kind === "float";
  const type = isReal ? "float" : elementType(to);
  const values = Array.from(table, (value) => (isReal ? floatLiteral(value) : String(value + storedOffset(to))));
  const elements = elementCount(to.shape);
  const inner = elementCount(to.shape.slice(axis + 1));
  const start = tables === 1 ? "" : `n / ${inner} % ${tables} * ${table.length / tables} + `;
  return `${comment(name)}${constantArray(type, `table_${output}`, values)}static void run_${output}(const ${elementType(from)} *x, ${type} *y) {
  for (int n = 0; n < ${elements}; n++) y[n] = table_${output}[${start}x[n]${subtractionText(low + storedOffset(from))}];
}
`;
}

/** Writes the C function of a product; axes of one element are repeated. */
export function productFunction(network: IntegerNetwork, { name, inputs, output }: MultiplyCodes): string {
  const tensors = inputs.map((id) => tensorById(network, id));
  const made = tensorById(network, output);
  const factors = tensors.map(
    (tensor, f) =>
      `((int32_t)x${f}[${placeIn(tensor)}]${subtractionText(tensor.form.zeroPoint + storedOffset(tensor))})`,
  );
  return `${comment(name)}${loopOver(tensors, made, `*y++ = (${elementType(made)})(${factors.join(" * ")});\n`)}`;
}

/** Writes the C function of the largest or smallest of codes; axes of one element are repeated. */
export function extremumFunction(network: IntegerNetwork, operation: ExtremumCodes): string {
  const tensors = operation.inputs.map((id) => tensorById(network, id));
  const made = tensorById(network, operation.output);
  const type = elementType(made);
  const compare = operation.of === "largest" ? ">" : "<";
  const lines = tensors.map((tensor, i) =>
    i === 0
      ? `${type} q = x0[${placeIn(tensor)}];`
      : `if (x${i}[${placeIn(tensor)}] ${compare} q) q = x${i}[${placeIn(tensor)}];`,
  );
  return `${comment(operation.name)}${loopOver(tensors, made, `{ ${lines.join(" ")} *y++ = q; }\n`)}`;
}

/** The place of the output's element in an operand, by the loops' counters. */
function placeIn({ shape }: IntegerTensor): string {
  const strides = rowMajorStrides(shape);
  const terms = shape.flatMap((size, axis) => (axis === 0 || size === 1 ? [] : [`i${axis} * ${strides[axis]}`]));
  return terms.length === 0 ? "0" : terms.join(" + ");
}

function loopOver(operands: readonly IntegerTensor[], made: IntegerTensor, body: string): string {
  const sizes = made.shape.slice(1);
  const loops = sizes.map((size, depth) => {
    const counter = `i${depth + 1}`;
    return `${"  ".repeat(depth + 1)}for (int ${counter} = 0; ${counter} < ${size}; ${counter}++)\n`;
  });
  const parameters = operands.map((tensor, f) => `const ${elementType(tensor)} *x${f}, `).join("");
  return `static void run_${made.id}(${parameters}${elementType(made)} *y) {
${loops.join("")}${"  ".repeat(sizes.length + 1)}${body}}
`;
}
