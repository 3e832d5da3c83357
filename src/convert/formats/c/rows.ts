/** The C functions of what mixes the elements of a row: products of two activations, softmax, normalization. */
import { elementCount, rowMajorStrides, type Shape } from "../../../ir/types.ts";
import { type IntegerNetwork, quotientBits, tensorById } from "../../integer-network.ts";
import type { GatherRows, IntegerMatMul, NormalizeCodes, ReadIntegers, SoftmaxCodes } from "../../token-operations.ts";
import { elementType, quotientType, storedOffset } from "./arena.ts";
import { comment } from "./names.ts";
import { dataType } from "./operations.ts";
import { constantArray, floatLiteral, subtractionText } from "./text.ts";

/** Writes the C function that takes whole numbers from a sample. */
export function integersFunction(network: IntegerNetwork, { name, output }: ReadIntegers): string {
  const { form, shape } = tensorById(network, output);
  return `${comment(name)}static void run_${output}(const ${dataType(network)} *data, int32_t *y) {
  for (int n = 0; n < ${elementCount(shape)}; n++) y[n] = clamp_code((int32_t)data[n], ${form.low}, ${form.high});
}
`;
}

/** Writes the C function that takes rows of a table by number. */
export function gatherFunction(network: IntegerNetwork, { name, input, output, rows, size }: GatherRows): string {
  const tensor = tensorById(network, output);
  const type = elementType(tensor);
  const stored = Array.from(rows, (code) => String(code + storedOffset(tensor)));
  const count = elementCount(tensorById(network, input).shape);
  return `${comment(name)}${constantArray(type, `rows_${output}`, stored)}static void run_${output}(const int32_t *x, ${type} *y) {
  for (int n = 0; n < ${count}; n++)
    for (int d = 0; d < ${size}; d++) *y++ = rows_${output}[x[n] * ${size} + d];
}
`;
}

/** The C expression of the place that element `n` of a shape has in a tensor whose axes of one element are repeated. */
function repeatedPlace(n: string, shape: Shape, from: Shape): string {
  if (shape.join() === from.join()) return n;
  const [strides, own] = [rowMajorStrides(shape), rowMajorStrides(from)];
  const parts = shape.flatMap((size, axis) =>
    (from[axis] ?? 1) === 1 ? [] : [`${n} / ${strides[axis]} % ${size} * ${own[axis]}`],
  );
  return parts.length === 0 ? "0" : `(${parts.join(" + ")})`;
}

/** `acc_N(a, b, k, i, j)`: one sum of products of two activations. */
export function matMulFunction(network: IntegerNetwork, { name, inputs, output }: IntegerMatMul): string {
  const [a, b] = [tensorById(network, inputs[0]), tensorById(network, inputs[1])];
  const { shape } = tensorById(network, output);
  const [, , height = 1, ...rest] = shape;
  const [rows = 1, columns = 1] = shape.slice(-2);
  const inner = a.shape.at(-1) ?? 1;
  const batch = shape.slice(0, -2);
  const centred = (x: typeof a): string => subtractionText(x.form.zeroPoint + storedOffset(x));
  return `${comment(name)}static int32_t acc_${output}(const ${elementType(a)} *a, const ${elementType(b)} *b, int k, int i, int j) {
  const int n = (k * ${height} + i) * ${elementCount(rest)} + j;
  const int m = n / ${rows * columns};
  int32_t sum = 0;
  (void)m;
  a += ${repeatedPlace("m", batch, a.shape.slice(0, -2))} * ${rows * inner} + n / ${columns} % ${rows} * ${inner};
  b += ${repeatedPlace("m", batch, b.shape.slice(0, -2))} * ${inner * columns} + n % ${columns};
  for (int c = 0; c < ${inner}; c++) sum += ((int32_t)a[c]${centred(a)}) * ((int32_t)b[c * ${columns}]${centred(b)});
  return sum;
}
`;
}

/** Writes the C function of a softmax. */
export function softmaxFunction(network: IntegerNetwork, operation: SoftmaxCodes, fixed: boolean): string {
  const { name, output, axis, table } = operation;
  const [codes, mask] = operation.inputs.map((id) => tensorById(network, id));
  if (codes === undefined) return "";
  const { shape } = codes;
  const length = shape[axis] ?? 1;
  const stride = elementCount(shape.slice(axis + 1));
  const type = quotientType(fixed);
  const isKept = mask === undefined ? "1" : `mask[${repeatedPlace("n", shape, mask.shape)}] != ${storedOffset(mask)}`;
  const ratio = fixed ? `(int32_t)((((int64_t)e << ${quotientBits}) + sum / 2) / sum)` : "(float)e / (float)sum";
  const each = (body: string): string => `    for (int t = 0; t < ${length}; t++) {
      const int n = start + t * ${stride};
      ${body}
    }
`;
  const parameters = mask === undefined ? "" : `const ${elementType(mask)} *mask, `;
  return `${comment(name)}${constantArray("int32_t", `table_${output}`, Array.from(table, String))}static void run_${output}(const ${elementType(codes)} *x, ${parameters}${type} *y) {
  for (int r = 0; r < ${elementCount(shape) / length}; r++) {
    const int start = r / ${stride} * ${length * stride} + r % ${stride};
    int32_t largest = INT32_MIN;
    int64_t sum = 0;
${each(`if (${isKept} && (int32_t)x[n] > largest) largest = x[n];`)}${each(`if (${isKept}) sum += table_${output}[largest - x[n]];`)}${each(`const int32_t e = ${isKept} ? table_${output}[largest - x[n]] : 0;
      y[n] = e == 0 ? 0 : ${ratio};`)}  }
}
`;
}

/** Writes the C function of a normalization. */
export function normalizeFunction(network: IntegerNetwork, operation: NormalizeCodes, fixed: boolean): string {
  const { name, input, output, size, isCentred, epsilon } = operation;
  const x = tensorById(network, input);
  const sum = isCentred ? " - s1 * s1" : "";
  const mean = isCentred ? " - s1" : "";
  const last = fixed
    ? `uint64_t w = (uint64_t)(${size} * s2${sum}) + UINT64_C(${Math.round(epsilon)});
    int shift = 0;
    while (w != 0 && w < (UINT64_C(1) << 60)) {
      w <<= 2;
      shift++;
    }
    const uint64_t root = w == 0 ? 0 : root_code(w);
    for (int t = 0; t < ${size}; t++) {
      const int64_t c = ${size} * ((int64_t)x[t]${subtractionText(x.form.zeroPoint + storedOffset(x))})${mean};
      const uint64_t above = (uint64_t)(c < 0 ? -c : c) << (shift + ${quotientBits});
      const int64_t u = root == 0 ? 0 : (int64_t)((above + root / 2) / root);
      y[t] = (int32_t)(c < 0 ? -u : u);
    }`
    : `const float divisor = root_float((float)(${size} * s2${sum}) + ${floatLiteral(epsilon)});
    for (int t = 0; t < ${size}; t++) {
      const int64_t c = ${size} * ((int64_t)x[t]${subtractionText(x.form.zeroPoint + storedOffset(x))})${mean};
      y[t] = (float)c / divisor;
    }`;
  return `${comment(name)}static void run_${output}(const ${elementType(x)} *x, ${quotientType(fixed)} *y) {
  for (int r = 0; r < ${elementCount(x.shape) / size}; r++, x += ${size}, y += ${size}) {
    int64_t s1 = 0;
    int64_t s2 = 0;
    for (int t = 0; t < ${size}; t++) {
      const int64_t v = (int64_t)x[t]${subtractionText(x.form.zeroPoint + storedOffset(x))};
      s1 += v;
      s2 += v * v;
    }
    (void)s1;
    ${last}
  }
}
`;
}

/** Roots of integers and of floats; the latter without a library, and rounded as IEEE 754 says. */
export function rootHelpers(fixed: boolean): string {
  return fixed ? wholeRoot : wholeRoot + floatRoot;
}

const floatRoot = `
/* The root of a positive x: 24 bits of the root of x brought to 2^46 up to 2^48 by powers of 4, and the rest decides the rounding. */
static float root_float(float x) {
  float unit = 1.0f;
  while (x < 70368744177664.0f) {
    x *= 4.0f;
    unit *= 0.5f;
  }
  while (x >= 281474976710656.0f) {
    x *= 0.25f;
    unit *= 2.0f;
  }
  const uint64_t whole = (uint64_t)x;
  const uint64_t root = root_code(whole);
  return (float)(whole > root * root + root ? root + 1 : root) * unit;
}
`;

const wholeRoot = `
/* The whole part of the root of x, by Newton's iteration from above. */
static uint64_t root_code(uint64_t x) {
  uint64_t root = UINT64_C(1) << 31;
  for (;;) {
    const uint64_t next = (root + x / root) / 2;
    if (next >= root) return root;
    root = next;
  }
}
`;
