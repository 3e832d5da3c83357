/** The C functions of single operations. Every loop bound is a literal; sums are made where they are needed, never stored. */
import { elementCount } from "../../../ir/types.ts";
import { fixedFactors } from "../../fixed-point.ts";
import {
  type ConcatCodes,
  type ConstantCodes,
  type Dequantize,
  type IntegerConv,
  type IntegerGemm,
  type IntegerLayer,
  type IntegerNetwork,
  type IntegerTensor,
  inputsOf,
  isIntegerLayer,
  type MaxPoolCodes,
  type MoveCodes,
  multipliers,
  type QuantizeInput,
  quotientBits,
  type Requantize,
  type SumPool,
  summingProducer,
  tensorById,
} from "../../integer-network.ts";
import { padded } from "../../rules/move-places.ts";
import { elementType, isStoredWhole, quotientType, storedOffset } from "./arena.ts";
import { deepWindowLoop } from "./deep-windows.ts";
import { comment } from "./names.ts";
import { rounding } from "./rounding.ts";
import { constantArray, floatLiteral, packWeight, subtractionText } from "./text.ts";

/** The C type of the data. */
export function dataType(network: IntegerNetwork): "uint8_t" | "int32_t" | "float" {
  return ({ uint8: "uint8_t", int32: "int32_t", float32: "float" } as const)[network.input.dtype];
}

/** [channels, height, width] of a tensor; a vector has one row and column, axes after the third count as one with it. */
function volume({ shape }: IntegerTensor): readonly [number, number, number] {
  const [, channels = 1, height = 1, ...rest] = shape;
  return [channels, height, elementCount(rest)];
}

/** The C expression of an element's place along an axis, in the loops over a {@link volume}. */
function placeAlong({ shape }: IntegerTensor, axis: number): string {
  if (axis === 1) return "k";
  if (axis === 2) return "i";
  const inner = elementCount(shape.slice(axis + 1));
  const within = inner === 1 ? "j" : `j / ${inner}`;
  return axis === 3 ? within : `${within} % ${shape[axis]}`;
}

/** The number that is subtracted from a stored element to get the centred code. */
function centre(tensor: IntegerTensor): number {
  return tensor.form.zeroPoint + storedOffset(tensor);
}

/** `acc_N(x, k, i, j)`: one sum of a layer, with its packed weights. */
export function layerFunction(network: IntegerNetwork, layer: IntegerLayer): string {
  const input = tensorById(network, layer.input);
  const packed = packWeight(layer.weight);
  // A layer whose weights an earlier one has reads them there.
  const first = network.operations.filter(isIntegerLayer).find(({ weight }) => weight === layer.weight) ?? layer;
  const id = first.output;
  const isOwn = id === layer.output;
  const bytes = isOwn ? constantArray("uint8_t", `weights_${id}`, Array.from(packed.bytes, String)) : "";
  const table = packed.isPlain || !isOwn ? "" : constantArray("int16_t", `levels_${id}`, packed.levels.map(String));
  const place = `unpack(weights_${id}, n, ${packed.bits})`;
  const weight = packed.isPlain ? `(${place}${subtractionText(-(packed.levels[0] ?? 0))})` : `levels_${id}[${place}]`;
  return `${comment(layer.name, `: ${packed.bits}-bit weights`)}${bytes}${table}${
    layer.op === "IntegerConv"
      ? layer.kernel.length > 2
        ? deepConvBody(layer, input, tensorById(network, layer.output), weight)
        : convBody(layer, input, weight)
      : gemmBody(layer, input, tensorById(network, layer.output), weight)
  }`;
}

/** The sums of a convolution over three axes. */
function deepConvBody(conv: IntegerConv, input: IntegerTensor, output: IntegerTensor, weight: string): string {
  const [outChannels = 0, groupChannels = 0, ...kernel] = conv.weight.shape;
  const loop = deepWindowLoop({
    window: conv,
    input,
    output,
    channel: `k / ${outChannels / conv.group} * ${groupChannels} + c`,
    step: "n++",
    body: `sum += (q${subtractionText(centre(input))}) * ${weight};`,
  });
  return `static int32_t acc_${conv.output}(const ${elementType(input)} *x, int k, int i, int j) {
  int32_t sum = 0;
  uint32_t n = (uint32_t)k * ${groupChannels * elementCount(kernel)}u;
  for (int c = 0; c < ${groupChannels}; c++)
${loop}  return sum;
}
`;
}

function convBody(conv: IntegerConv, input: IntegerTensor, weight: string): string {
  const [, height, width] = volume(input);
  const [outChannels = 0, groupChannels = 0, kernelHeight = 0, kernelWidth = 0] = conv.weight.shape;
  const [strideY = 1, strideX = 1] = conv.strides;
  const [dilationY = 1, dilationX = 1] = conv.dilations;
  const [top = 0, left = 0] = conv.pads;
  const perGroup = outChannels / conv.group;
  return `static int32_t acc_${conv.output}(const ${elementType(input)} *x, int k, int i, int j) {
  int32_t sum = 0;
  uint32_t n = (uint32_t)k * ${groupChannels * kernelHeight * kernelWidth}u;
  for (int c = 0; c < ${groupChannels}; c++)
    for (int a = 0; a < ${kernelHeight}; a++)
      for (int b = 0; b < ${kernelWidth}; b++, n++) {
        const int row = i * ${strideY} - ${top} + a * ${dilationY};
        const int column = j * ${strideX} - ${left} + b * ${dilationX};
        if (row < 0 || row >= ${height} || column < 0 || column >= ${width}) continue;
        const int32_t q = (int32_t)x[((k / ${perGroup} * ${groupChannels} + c) * ${height} + row) * ${width} + column]${subtractionText(centre(input))};
        sum += q * ${weight};
      }
  return sum;
}
`;
}

function gemmBody(gemm: IntegerGemm, input: IntegerTensor, output: IntegerTensor, weight: string): string {
  const [features = 1, channels = 0] = gemm.weight.shape;
  const [, height, width] = volume(output);
  const feature = placeAlong(output, output.shape.length - 1);
  return `static int32_t acc_${gemm.output}(const ${elementType(input)} *x, int k, int i, int j) {
  int32_t sum = 0;
  uint32_t n = (uint32_t)(${feature}) * ${channels}u;
  x += ((k * ${height} + i) * ${width} + j) / ${features} * ${channels};
  for (int c = 0; c < ${channels}; c++, n++) sum += ((int32_t)x[c]${subtractionText(centre(input))}) * ${weight};
  return sum;
}
`;
}

/** The loop over a window, with `row` and `column` inside the input. */
function windowLoop(network: IntegerNetwork, pool: MaxPoolCodes | SumPool, body: string): string {
  const input = tensorById(network, pool.input);
  if (pool.kernel.length > 2)
    return deepWindowLoop({ window: pool, input, output: tensorById(network, pool.output), channel: "k", body });
  const [, height, width] = volume(input);
  const [kernelHeight = 0, kernelWidth = 0] = pool.kernel;
  const [strideY = 1, strideX = 1] = pool.strides;
  const [dilationY = 1, dilationX = 1] = pool.dilations;
  const [top = 0, left = 0] = pool.pads;
  return `  for (int a = 0; a < ${kernelHeight}; a++)
    for (int b = 0; b < ${kernelWidth}; b++) {
      const int row = i * ${strideY} - ${top} + a * ${dilationY};
      const int column = j * ${strideX} - ${left} + b * ${dilationX};
      if (row < 0 || row >= ${height} || column < 0 || column >= ${width}) continue;
      const int32_t q = (int32_t)x[(k * ${height} + row) * ${width} + column];
      ${body}
    }
`;
}

/** `acc_N(x, k, i, j)`: the sum of a window. */
export function sumPoolFunction(network: IntegerNetwork, pool: SumPool): string {
  const input = tensorById(network, pool.input);
  return `${comment(pool.name)}static int32_t acc_${pool.output}(const ${elementType(input)} *x, int k, int i, int j) {
  int32_t sum = 0;
${windowLoop(network, pool, `sum += q${subtractionText(centre(input))};`)}  return sum;
}
`;
}

/** Writes the C function of a max pooling. */
export function maxPoolFunction(network: IntegerNetwork, pool: MaxPoolCodes): string {
  const [input, output] = [tensorById(network, pool.input), tensorById(network, pool.output)];
  const type = elementType(output);
  return `${comment(pool.name)}static int32_t largest_${pool.output}(const ${elementType(input)} *x, int k, int i, int j) {
  int32_t best = INT32_MIN;
${windowLoop(network, pool, "if (q > best) best = q;")}  return best;
}
static void run_${pool.output}(const ${elementType(input)} *x, ${type} *y) {
${elementLoop(output, `*y++ = (${type})largest_${pool.output}(x, k, i, j);`)}}
`;
}

function elementLoop(output: IntegerTensor, body: string): string {
  const [channels, height, width] = volume(output);
  return `  for (int k = 0; k < ${channels}; k++)
    for (int i = 0; i < ${height}; i++)
      for (int j = 0; j < ${width}; j++) {
        ${body.replaceAll("\n", "\n        ")}
      }
`;
}

/** Writes the C function of a concatenation. */
export function concatFunction(network: IntegerNetwork, concat: ConcatCodes): string {
  const output = tensorById(network, concat.output);
  const type = elementType(output);
  const outer = elementCount(output.shape.slice(1, concat.axis));
  const copies = concat.inputs.map((id, index) => {
    const part = elementCount(tensorById(network, id).shape) / outer;
    return `    for (int n = 0; n < ${part}; n++) *y++ = x${index}[o * ${part} + n];\n`;
  });
  const parameters = concat.inputs.map((_, index) => `const ${type} *x${index}, `).join("");
  return `${comment(concat.name)}static void run_${concat.output}(${parameters}${type} *y) {
  for (int o = 0; o < ${outer}; o++) {
${copies.join("")}  }
}
`;
}

/** Writes the C function of moved elements: a loop for each axis, with a step or a table of places. */
export function moveFunction(network: IntegerNetwork, move: MoveCodes): string {
  const output = tensorById(network, move.output);
  const type = elementType(output);
  const isPadded = move.places.some((list) => list.includes(padded));
  const tables: string[] = [];
  const depth = (axis: number) => "  ".repeat(axis + 1);
  const loops = move.places.map((list, axis) => {
    const table = `place_${move.output}_${axis}`;
    const [first = 0, second = first] = list;
    const step = second - first;
    const isEven = !list.includes(padded) && list.every((place, i) => place === first + i * step);
    if (!isEven) tables.push(constantArray("int32_t", table, Array.from(list, String)));
    const own = isEven ? `${first} + i${axis} * ${step}` : `${table}[i${axis}]`;
    const before = axis === 0 ? own : `p${axis - 1} + ${own}`;
    const isOut = axis === 0 ? `${own} < 0` : `p${axis - 1} < 0 || ${own} < 0`;
    const place = isPadded ? `${isOut} ? -1 : ${before}` : before;
    return `${depth(axis)}for (int i${axis} = 0; i${axis} < ${list.length}; i${axis}++) {
${depth(axis + 1)}const int32_t p${axis} = ${place};
`;
  });
  const last = move.places.length - 1;
  const value = isPadded ? `p${last} < 0 ? ${move.fill + storedOffset(output)} : x[p${last}]` : `x[p${last}]`;
  const ends = move.places.map((_, axis) => `${depth(last - axis)}}\n`).join("");
  return `${comment(move.name)}${tables.join("")}static void run_${move.output}(const ${type} *x, ${type} *y) {
${loops.join("")}${depth(last + 1)}*y++ = ${value};
${ends}}
`;
}

/** Writes the C function that fills a tensor with one code, or the array of its codes. */
export function constantFunction(network: IntegerNetwork, operation: ConstantCodes): string {
  const { name, output, codes } = operation;
  const tensor = tensorById(network, output);
  const type = elementType(tensor);
  const stored = Array.from(codes, (code) => String(code + storedOffset(tensor)));
  if (isStoredWhole(operation)) return `${comment(name)}${constantArray(type, `constant_${output}`, stored)}`;
  return `${comment(name)}static void run_${output}(${type} *y) {
  for (int n = 0; n < ${elementCount(tensor.shape)}; n++) y[n] = ${stored[0]};
}
`;
}

/** The data become codes by the formula. */
export function inputFunction(network: IntegerNetwork, operation: QuantizeInput): string {
  const output = tensorById(network, operation.output);
  const type = elementType(output);
  const [channels, height, width] = volume(output);
  const id = operation.output;
  const { expression, tables: grid } = rounding(
    `x * ${floatLiteral(operation.reciprocal)}`,
    output.form,
    output.form,
    id,
  );
  const { normalization } = operation;
  const scaled =
    normalization === undefined
      ? "const float x = data[n];"
      : `const float product = (float)data[n] * factor_${id}[c];\n    const float x = product + offset_${id}[c];`;
  const tables =
    normalization === undefined
      ? ""
      : constantArray("float", `factor_${id}`, Array.from(normalization.factor, floatLiteral)) +
        constantArray("float", `offset_${id}`, Array.from(normalization.offset, floatLiteral));
  const size = channels * height * width;
  return `${comment(operation.name)}${tables}${grid}static void run_${id}(const ${dataType(network)} *data, ${type} *y) {
  for (int n = 0; n < ${size}; n++) {
    ${normalization === undefined ? "" : `const int c = n / ${size / channels};\n    `}${scaled}
    y[n] = (${type})(${expression});
  }
}
`;
}

/** A requantization, or the float output; with `fixed`, codes are made without a float. */
export function sumFunction(network: IntegerNetwork, operation: Requantize | Dequantize, fixed: boolean): string {
  const output = tensorById(network, operation.output);
  const isFloat = operation.op === "Dequantize";
  const id = operation.output;
  const channel = placeAlong(output, operation.axis);
  const isFixed = fixed && !isFloat;
  const inputForms = operation.terms.map((term) => tensorById(network, term.input).form);
  const factors = isFixed ? fixedFactors(operation, output.form, inputForms) : undefined;
  const tables: string[] = [];
  const parameters: string[] = [];
  const lines: string[] = [];
  operation.terms.forEach((term, index) => {
    const source = tensorById(network, term.input);
    const sum = summingProducer(network, term.input);
    const isQuotient = source.form.kind === "quotient";
    const read = (sum === undefined ? [term.input] : inputsOf(sum)).map((each) => tensorById(network, each));
    const names = read.map((_, each) => (each === 0 ? `x${index}` : `x${index}_${each}`));
    read.forEach((tensor, each) => {
      parameters.push(`const ${isQuotient ? quotientType(fixed) : elementType(tensor)} *${names[each]}`);
    });
    const code = isQuotient ? `x${index}[n]` : `(int32_t)x${index}[n]${subtractionText(centre(source))}`;
    const centred = sum === undefined ? code : `acc_${term.input}(${names.join(", ")}, k, i, j)`;
    if (term.bias !== undefined)
      tables.push(constantArray("int32_t", `bias_${id}_${index}`, Array.from(term.bias, String)));
    const shifted = term.shift === 0 ? centred : `${centred} * ${2 ** term.shift}`;
    const v = term.bias === undefined ? shifted : `${shifted} + bias_${id}_${index}[${channel}]`;
    const place = term.gains.length === 1 ? "0" : channel;
    const name = `m_${id}_${index}`;
    if (factors === undefined) {
      tables.push(constantArray("float", name, Array.from(multipliers(term, output.form.scale), floatLiteral)));
      const real = isQuotient && fixed ? `(float)(${v}) * ${floatLiteral(2 ** -quotientBits)}` : `(float)(${v})`;
      lines.push(`const float p${index} = ${real} * ${name}[${place}];`);
    } else {
      tables.push(constantArray("int32_t", name, Array.from(factors.multipliers[index] ?? [], String)));
      lines.push(`const int64_t p${index} = (int64_t)(${v}) * ${name}[${place}];`);
    }
    const type = factors === undefined ? "float" : "int64_t";
    lines.push(`const ${type} t${index} = ${index === 0 ? "p0" : `t${index - 1} + p${index}`};`);
  });
  let t = `t${operation.terms.length - 1}`;
  const type = isFloat ? "float" : elementType(output);
  if (operation.offset !== undefined) {
    if (factors?.offset === undefined) {
      tables.push(constantArray("float", `o_${id}`, Array.from(operation.offset, floatLiteral)));
      lines.push(`const float s = ${t} + o_${id}[${channel}];`);
    } else {
      tables.push(
        constantArray(
          "int64_t",
          `o_${id}`,
          Array.from(factors.offset, (value) => `INT64_C(${value})`),
        ),
      );
      lines.push(`const int64_t s = ${t} + o_${id}[${channel}];`);
    }
    t = "s";
  }
  if (operation.op === "Dequantize") lines.push(`y[n] = ${t};`);
  else {
    const { expression, tables: grid } = rounding(t, output.form, operation, id, factors?.shift);
    tables.push(grid);
    lines.push(`y[n] = (${type})(${expression});`);
  }
  return `${comment(operation.name)}${tables.join("")}static void run_${id}(${parameters.join(", ")}, ${type} *y) {
  int n = 0;
${elementLoop(output, `${lines.join("\n")}\nn++;`)}}
`;
}
