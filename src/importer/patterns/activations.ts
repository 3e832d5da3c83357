/** Activations that exporters wrote as arithmetic, because their opset had no operator for them. */

import type { Node, Value } from "../../ir/graph.ts";
import { isClose, type Matcher, type Pattern } from "./match.ts";

interface Ramp {
  readonly x: Value;
  readonly alpha: number;
  readonly beta: number;
}

/** Clip(x + offset, 0, top) */
function clippedSum(graph: Matcher, value: Value | undefined): { x: Value; offset: number; top: number } | undefined {
  const clip = graph.producer(value, "Clip");
  const sum = graph.withNumber(clip?.inputs[0], "Add");
  const top = graph.number(clip?.inputs[2]);
  if (sum === undefined || top === undefined || !isClose(graph.number(clip?.inputs[1]), 0)) return undefined;
  return { x: sum.x, offset: sum.number, top };
}

/** clip(alpha·x + beta, 0, 1), as its own operator or as arithmetic. */
function rampOf(graph: Matcher, value: Value | undefined): Ramp | undefined {
  const own = graph.producer(value, "HardSigmoid");
  const [x] = own?.inputs ?? [];
  if (own !== undefined && x !== undefined) {
    const float = (name: string, fallback: number) => {
      const attribute = own.attributes[name];
      return typeof attribute === "object" && "float" in attribute ? attribute.float : fallback;
    };
    return { x, alpha: float("alpha", 0.2), beta: float("beta", 0.5) };
  }
  const scaled = graph.withNumber(value, "Mul");
  const clipped = clippedSum(graph, scaled?.x);
  if (scaled !== undefined && clipped !== undefined && isClose(scaled.number * clipped.top, 1)) {
    return { x: clipped.x, alpha: scaled.number, beta: clipped.offset * scaled.number };
  }
  const direct = clippedSum(graph, value);
  const line = graph.withNumber(direct?.x, "Mul");
  if (direct === undefined || line === undefined || !isClose(direct.top, 1)) return undefined;
  return { x: line.x, alpha: line.number, beta: direct.offset };
}

const hardSigmoid: Pattern = (graph, node) => {
  const ramp = node.op === "HardSigmoid" ? undefined : rampOf(graph, node.outputs[0]);
  if (ramp === undefined) return undefined;
  const attributes = { alpha: { float: ramp.alpha }, beta: { float: ramp.beta } };
  return { op: "HardSigmoid", inputs: [ramp.x], attributes };
};

/** x · clip(x + 3, 0, 6) / 6, in whatever order. */
const hardSwish: Pattern = (graph, node) => {
  const [output] = node.outputs;
  if (output === undefined || (node.op !== "Mul" && node.op !== "Div")) return undefined;
  const { values, number } = graph.factors(output);
  const [first, second] = values;
  if (values.length !== 2 || first === undefined || second === undefined) return undefined;
  for (const [x, gate] of [
    [first, second],
    [second, first],
  ] as const) {
    const clipped = clippedSum(graph, gate);
    if (clipped?.x === x && isClose(clipped.offset, 3) && isClose(clipped.top, 6) && isClose(number, 1 / 6)) {
      return { op: "HardSwish", inputs: [x], attributes: {} };
    }
    const ramp = rampOf(graph, gate);
    if (ramp?.x === x && isClose(ramp.alpha, 1 / 6) && isClose(ramp.beta, 0.5) && isClose(number, 1)) {
      return { op: "HardSwish", inputs: [x], attributes: {} };
    }
  }
  return undefined;
};

interface GeluGate {
  readonly x: Value;
  readonly approximate: "none" | "tanh";
}

/** 1 − erf(−x/√2), as TensorFlow has it. */
function complementGate(graph: Matcher, value: Value): GeluGate | undefined {
  const [one, error] = graph.producer(value, "Sub")?.inputs ?? [];
  const inner = graph.producer(error, "Erf")?.inputs[0];
  if (inner === undefined || !isClose(graph.number(one), 1)) return undefined;
  const { values, number } = graph.factors(inner);
  const negated = values.length === 1 ? graph.producer(values[0], "Neg") : undefined;
  const x = negated?.inputs[0] ?? values[0];
  if (x === undefined || values.length !== 1) return undefined;
  return isClose(negated === undefined ? number : -number, -Math.SQRT1_2) ? { x, approximate: "none" } : undefined;
}

/** The gate of a Gelu, 1 + f(x), and x: f is erf(x/√2), or the tanh that approximates it. */
function geluGate(graph: Matcher, value: Value): GeluGate | undefined {
  const complement = complementGate(graph, value);
  if (complement !== undefined) return complement;
  const sum = graph.withNumber(value, "Add");
  if (sum === undefined || !isClose(sum.number, 1)) return undefined;
  const erf = graph.withNumber(graph.producer(sum.x, "Erf")?.inputs[0], "Mul");
  if (erf !== undefined) return isClose(erf.number, Math.SQRT1_2) ? { x: erf.x, approximate: "none" } : undefined;
  const inner = graph.withNumber(graph.producer(sum.x, "Tanh")?.inputs[0], "Mul");
  const cubic = graph.producer(inner?.x, "Add");
  if (inner === undefined || cubic === undefined || !isClose(inner.number, Math.sqrt(2 / Math.PI))) return undefined;
  const [a, b] = cubic.inputs;
  for (const [x, term] of [
    [a, b],
    [b, a],
  ]) {
    if (x !== undefined && term !== undefined && isCubic(graph, term, x)) return { x, approximate: "tanh" };
  }
  return undefined;
}

/** 0.044715·x³ */
function isCubic(graph: Matcher, value: Value, x: Value): boolean {
  const { values, number } = graph.factors(value);
  if (!isClose(number, 0.044715)) return false;
  const power = values.length === 1 ? graph.producer(values[0], "Pow") : undefined;
  if (power !== undefined) return power.inputs[0] === x && isClose(graph.number(power.inputs[1]), 3);
  return values.length === 3 && values.every((factor) => factor === x);
}

const gelu: Pattern = (graph, node) => {
  const [output] = node.outputs;
  if (output === undefined || (node.op !== "Mul" && node.op !== "Div")) return undefined;
  const { values, number } = graph.factors(output);
  if (values.length !== 2 || !isClose(number, 0.5)) return undefined;
  const gate = values.map((value) => geluGate(graph, value)).find((found) => found !== undefined);
  if (gate === undefined || !values.includes(gate.x)) return undefined;
  return { op: "Gelu", inputs: [gate.x], attributes: { approximate: gate.approximate } };
};

/** In the order in which they are tried on a node. */
export const activationPatterns: readonly ((graph: Matcher, node: Node) => ReturnType<Pattern>)[] = [
  gelu,
  hardSwish,
  hardSigmoid,
];
