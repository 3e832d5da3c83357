/**
 * Matrix products: MatMul with batch broadcasting, Gemm, and Einsum.
 *
 * Gradients are matrix products again. Of matrices they are Gemms, whose transposition flags cost nothing; a batch that
 * meets one shared matrix is joined into rows first, so that the shared matrix gets its gradient in one product.
 */

import { UnsupportedError } from "../../errors.ts";
import { floatAttribute, intAttribute, stringAttribute } from "../../ir/attributes.ts";
import { type GraphBuilder, type OperatorCall, showNode, type Value } from "../../ir/graph.ts";
import type { Shape, TensorType } from "../../ir/types.ts";
import { broadcastShapes, sumTo } from "../build/broadcast.ts";
import { foldMatmul } from "../build/fold/reduction.ts";
import { elementsOfOutput, shapeOfInput } from "../build/node-shapes.ts";
import { at, commonDtype, indices, product } from "../build/operands.ts";
import { type GradientContext, type OperatorDefinition, requiredInput, typeError } from "../definition.ts";
import { bias, weight } from "../inputs.ts";
import { multiply } from "./elementwise.ts";
import { expand, reshape, transpose, unsqueeze } from "./shape/shape-ops.ts";

/** The matrix product of the last two axes; the axes before them broadcast. */
export function matmul(b: GraphBuilder, x: Value, y: Value): Value {
  return b.one("MatMul", [x, y]);
}

/** Transpositions and factors of a Gemm. */
export interface GemmOptions {
  readonly transA?: boolean;
  readonly transB?: boolean;
  /** Factor of the product; default 1. */
  readonly alpha?: number;
  /** Factor of c; default 1. */
  readonly beta?: number;
}

/** alpha·A·B + beta·C of matrices, each of A and B transposed first if asked; C broadcasts. */
export function gemm(b: GraphBuilder, x: Value, y: Value, c?: Value, options: GemmOptions = {}): Value {
  const { transA = false, transB = false, alpha = 1, beta = 1 } = options;
  return b.one("Gemm", c === undefined ? [x, y] : [x, y, c], {
    transA: transA ? 1 : 0,
    transB: transB ? 1 : 0,
    ...(alpha === 1 ? {} : { alpha: { float: alpha } }),
    ...(beta === 1 ? {} : { beta: { float: beta } }),
  });
}

/** Einstein's sum, `"bij,bjk->bik"`. */
export function einsum(b: GraphBuilder, equation: string, operands: readonly Value[]): Value {
  return b.one("Einsum", operands, { equation });
}

/** The shape of a matrix product by numpy's rules: a vector counts as a row on the left, as a column on the right. */
export function productShape(call: OperatorCall, a: Shape, b: Shape): number[] {
  const left = a.length === 1 ? [1, ...a] : a;
  const right = b.length === 1 ? [...b, 1] : b;
  if (left.length < 2 || right.length < 2) throw typeError(call, "a scalar has no matrix product");
  const batch = broadcastShapes(left.slice(0, -2), right.slice(0, -2));
  if (left.at(-1) !== right.at(-2)) throw typeError(call, "the inner sizes differ");
  if (batch === undefined) throw typeError(call, "the batch axes do not broadcast");
  const rows = a.length === 1 ? [] : left.slice(-2, -1);
  const columns = b.length === 1 ? [] : right.slice(-1);
  return [...batch, ...rows, ...columns];
}

function swapLast(b: GraphBuilder, x: Value): Value {
  const rank = x.type.shape.length;
  return transpose(b, x, [...indices(rank - 2), rank - 1, rank - 2]);
}

/** All axes but the last joined into rows. */
function rowsOf(b: GraphBuilder, x: Value): Value {
  const { shape } = x.type;
  return reshape(b, x, [product(shape.slice(0, -1)), at(shape, shape.length - 1)]);
}

function matmulGradient({ builder: b, input, outputGradient, needed }: GradientContext): (Value | undefined)[] {
  const [a, c] = [input(0).type.shape, input(1).type.shape];
  const left = a.length === 1 ? unsqueeze(b, input(0), [0]) : input(0);
  const right = c.length === 1 ? unsqueeze(b, input(1), [1]) : input(1);
  const [inner, columns] = [at(right.type.shape, right.type.shape.length - 2), right.type.shape.at(-1) ?? 1];
  const batch = broadcastShapes(left.type.shape.slice(0, -2), right.type.shape.slice(0, -2)) ?? [];
  const dy = reshape(b, outputGradient(0), [...batch, left.type.shape.at(-2) ?? 1, columns]);
  // One matrix on the right serves every row, so the batch is only more rows.
  const shared = right.type.shape.length === 2;
  const leftGradient = () =>
    shared
      ? reshape(b, gemm(b, rowsOf(b, dy), right, undefined, { transB: true }), [...dy.type.shape.slice(0, -1), inner])
      : matmul(b, dy, swapLast(b, right));
  const rightGradient = () =>
    shared ? gemm(b, rowsOf(b, left), rowsOf(b, dy), undefined, { transA: true }) : matmul(b, swapLast(b, left), dy);
  return [
    needed[0] ? reshape(b, sumTo(b, leftGradient(), left.type.shape), a) : undefined,
    needed[1] ? reshape(b, sumTo(b, rightGradient(), right.type.shape), c) : undefined,
  ];
}

function gemmType(call: OperatorCall): readonly TensorType[] {
  const [a, b, c] = [requiredInput(call, 0), requiredInput(call, 1), call.inputs[2]];
  if (a.shape.length !== 2 || b.shape.length !== 2) throw typeError(call, "A and B should be matrices");
  const [rows, inner] = intAttribute(call, "transA", 0) ? [a.shape[1], a.shape[0]] : a.shape;
  const [other, columns] = intAttribute(call, "transB", 0) ? [b.shape[1], b.shape[0]] : b.shape;
  if (rows === undefined || columns === undefined || inner !== other) throw typeError(call, "the inner sizes differ");
  const shape = [rows, columns];
  if (c !== undefined && broadcastShapes(shape, c.shape)?.join() !== shape.join()) {
    throw typeError(call, "C does not broadcast to the product");
  }
  return [{ dtype: commonDtype(call), shape }];
}

function gemmGradient({ builder: b, node, input, outputGradient, needed }: GradientContext): (Value | undefined)[] {
  const transA = intAttribute(node, "transA", 0) === 1;
  const transB = intAttribute(node, "transB", 0) === 1;
  const alpha = floatAttribute(node, "alpha", 1);
  const beta = floatAttribute(node, "beta", 1);
  const dy = outputGradient(0);
  const times = (x: Value, y: Value, left: boolean, right: boolean) =>
    gemm(b, x, y, undefined, { transA: left, transB: right, alpha });
  const da = () => (transA ? times(input(1), dy, transB, true) : times(dy, input(1), false, !transB));
  const db = () => (transB ? times(dy, input(0), true, transA) : times(input(0), dy, !transA, false));
  const dc = () => sumTo(b, beta === 1 ? dy : multiply(b, dy, beta), input(2).type.shape);
  return [needed[0] ? da() : undefined, needed[1] ? db() : undefined, needed[2] ? dc() : undefined];
}

interface Equation {
  readonly operands: readonly string[];
  readonly output: string;
}

/** Splits an equation; without an arrow the output holds, in order of the alphabet, the letters that occur once. */
function parseEquation(equation: string): Equation {
  const [left = "", right] = equation.replace(/\s/g, "").split("->");
  const operands = left.split(",");
  if (right !== undefined) return { operands, output: right };
  const letters = [...left.replaceAll("...", "").replaceAll(",", "")];
  const once = letters.filter((letter) => letters.indexOf(letter) === letters.lastIndexOf(letter)).sort();
  return { operands, output: `${left.includes("...") ? "..." : ""}${once.join("")}` };
}

function einsumType(call: OperatorCall): readonly TensorType[] {
  const { operands, output } = parseEquation(stringAttribute(call, "equation"));
  if (operands.length !== call.inputs.length) throw typeError(call, `the equation has ${operands.length} operands`);
  const sizes = new Map<string, number>();
  let rest: number[] = [];
  operands.forEach((letters, i) => {
    const { shape } = requiredInput(call, i);
    const named = [...letters.replace("...", "")];
    const free = shape.length - named.length;
    if (free < 0 || (free > 0 && !letters.includes("...")))
      throw typeError(call, `"${letters}" does not fit input ${i}`);
    const before = letters.includes("...") ? letters.indexOf("...") : named.length;
    named.forEach((letter, j) => {
      const size = at(shape, j < before ? j : j + free);
      const known = sizes.get(letter) ?? 1;
      if (known !== size && known !== 1 && size !== 1) throw typeError(call, `the sizes of "${letter}" differ`);
      sizes.set(letter, Math.max(known, size));
    });
    const wider = letters.includes("...") ? broadcastShapes(rest, shape.slice(before, before + free)) : rest;
    if (wider === undefined) throw typeError(call, "the axes of the ellipsis do not broadcast");
    rest = wider;
  });
  const shape = output.split("...").flatMap((letters, i) => [
    ...(i > 0 ? rest : []),
    ...[...letters].map((letter) => {
      const size = sizes.get(letter);
      if (size === undefined) throw typeError(call, `"${letter}" of the output is in no operand`);
      return size;
    }),
  ]);
  return [{ dtype: commonDtype(call), shape }];
}

/** For contractions of any number of tensors; each gradient is a contraction of dy with the other operands. */
function einsumGradient({ builder: b, node, input, outputGradient, needed }: GradientContext): (Value | undefined)[] {
  const { operands, output } = parseEquation(stringAttribute(node, "equation"));
  const unsupported = (why: string) =>
    new UnsupportedError(`there is no gradient of Einsum "${operands.join()}->${output}": ${why}`, {
      where: showNode(node),
      remedy: "Write it with MatMul, Mul and ReduceSum, or keep what is before this node frozen.",
    });
  if ([...operands, output].some((letters) => letters.includes("."))) throw unsupported("it has an ellipsis");
  if ([...operands, output].some((letters) => new Set(letters).size !== letters.length)) {
    throw unsupported("a letter comes twice in one operand");
  }
  const sizes = new Map<string, number>();
  operands.forEach((letters, i) => {
    [...letters].forEach((letter, j) => {
      const size = at(input(i).type.shape, j);
      if ((sizes.get(letter) ?? size) !== size) throw unsupported(`"${letter}" broadcasts`);
      sizes.set(letter, size);
    });
  });
  return operands.map((letters, i) => {
    if (!needed[i]) return undefined;
    const others = operands.flatMap((equation, j) => (j === i ? [] : [{ equation, value: input(j) }]));
    const known = [output, ...others.map(({ equation }) => equation)].join("");
    // A letter summed within its operand has the same gradient everywhere along its axis.
    const found = [...letters].filter((letter) => known.includes(letter)).join("");
    const terms = [outputGradient(0), ...others.map(({ value }) => value)];
    const gradient = einsum(b, `${[output, ...others.map(({ equation }) => equation)].join()}->${found}`, terms);
    const shape = [...letters].map((letter) => (found.includes(letter) ? (sizes.get(letter) ?? 1) : 1));
    const whole = reshape(b, gradient, shape);
    return expand(b, whole, input(i).type.shape);
  });
}

/** A matrix product, batched over the leading axes. */
export const matmulOperator: OperatorDefinition = {
  op: "MatMul",
  domain: "",
  inputs: [weight("a"), weight("b")],
  infer: (call) => [
    {
      dtype: commonDtype(call),
      shape: productShape(call, requiredInput(call, 0).shape, requiredInput(call, 1).shape),
    },
  ],
  gradient: matmulGradient,
  macs: (node) => elementsOfOutput(node) * at(shapeOfInput(node, 0), shapeOfInput(node, 0).length - 1),
  fold: foldMatmul,
  traits: {
    layer: {
      data: 0,
      weight: 1,
      // Of a batch of matrices the last axis; a vector has none, and 1 says so.
      outputAxis: (node) => Math.max(1, shapeOfInput(node, 1).length - 1),
      outputChannels: (node) => shapeOfInput(node, 1).slice(1).at(-1) ?? 1,
      summedAxes: ({ inputs: [x, w] }) => ({
        data: Math.max(0, (x?.type.shape.length ?? 2) - 1),
        weight: Math.max(0, (w?.type.shape.length ?? 2) - 2),
      }),
    },
    module: true,
    comparable: true,
  },
};

/** α·A·B + β·C on matrices. */
export const gemmOperator: OperatorDefinition = {
  op: "Gemm",
  domain: "",
  inputs: [weight("a"), weight("b"), bias("c")],
  infer: gemmType,
  gradient: gemmGradient,
  macs: (node) => elementsOfOutput(node) * at(shapeOfInput(node, 0), intAttribute(node, "transA", 0) === 1 ? 0 : 1),
  traits: {
    layer: {
      data: 0,
      weight: 1,
      outputAxis: (node) => (intAttribute(node, "transB", 0) === 1 ? 0 : 1),
      outputChannels: (node) => at(shapeOfInput(node, 1), intAttribute(node, "transB", 0) === 1 ? 0 : 1),
      summedAxes: (node) => ({
        data: intAttribute(node, "transA", 0) === 1 ? 0 : 1,
        weight: intAttribute(node, "transB", 0) === 1 ? 1 : 0,
      }),
    },
    module: true,
    comparable: true,
  },
};

/** A product of matrices of centred codes, in int32. */
export const matmulIntegerOperator: OperatorDefinition = {
  op: "MatMulInteger",
  domain: "",
  infer: (call) => [
    { dtype: "int32", shape: productShape(call, requiredInput(call, 0).shape, requiredInput(call, 1).shape) },
  ],
  traits: { comparable: true },
};

/** The operators of this file. */
export const matmulOperators: readonly OperatorDefinition[] = [
  matmulOperator,
  gemmOperator,
  {
    op: "Einsum",
    domain: "",
    inputs: [weight("first"), weight("second"), bias("third")],
    infer: einsumType,
    gradient: einsumGradient,
  },
  matmulIntegerOperator,
];
