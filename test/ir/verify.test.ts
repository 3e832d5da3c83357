import { describe, expect, test } from "vitest";
import { GraphError, UnsupportedError } from "../../src/errors.ts";
import { type Attributes, type Graph, GraphBuilder, makeValue, type Node, type Value } from "../../src/ir/graph.ts";
import { float32Tensor, type Tensor } from "../../src/ir/tensor.ts";
import { tinyInfer } from "../support/graphs/infer.ts";
import { ruleNames, verifyGraph } from "../support/graphs/verify.ts";

const type = { dtype: "float32", shape: [2] } as const;
const x = makeValue("x", type);
const w = makeValue("w", type);
const a = makeValue("a", type);
const b = makeValue("b", type);
const stranger = makeValue("stranger", type);

function node(op: string, inputs: readonly (Value | undefined)[], output: Value, attributes: Attributes = {}): Node {
  const domain = op === "Probe" ? "subbyte" : "";
  return { op, domain, name: `the${op}`, inputs, outputs: [output], attributes, origin: { phase: "forward" } };
}

const weight = float32Tensor([2], [1, 2]);

/** A sound graph: a = x + w, b = relu(a). */
const sound: Graph = {
  name: "g",
  inputs: [x],
  outputs: [{ name: "b", value: b }],
  nodes: [node("Add", [x, w], a), node("Relu", [a], b)],
  constants: new Map([[w, weight]]),
};

function withConstant(tensor: Tensor): Graph {
  return { ...sound, constants: new Map([[w, tensor]]) };
}

function withNode(broken: Node): Graph {
  return { ...sound, nodes: [node("Add", [x, w], a), broken] };
}

/** For each rule, graphs that break it and no earlier one, and a part of the message. */
const broken: Readonly<Record<string, readonly (readonly [Graph, RegExp])[]>> = {
  "one producer": [
    [{ ...sound, nodes: [...sound.nodes, node("Neg", [x], a)] }, /"a" is made by node Neg "theNeg" and by node Add/],
    [{ ...sound, inputs: [x, w] }, /"w" is made by a constant and by an input/],
    [{ ...sound, inputs: [x, x] }, /"x" is made by an input and by an input/],
  ],
  "made before used": [
    [{ ...sound, nodes: [...sound.nodes].reverse() }, /"a" is made by this node or a later one/],
    [withNode(node("Add", [a, b], b)), /"b" is made by this node/],
    [withNode(node("Add", [a, stranger], b)), /"stranger" has no producer/],
  ],
  "outputs made": [[{ ...sound, outputs: [{ name: "s", value: stranger }] }, /nothing makes the output "s"/]],
  "interface names": [
    [{ ...sound, inputs: [x, makeValue("x", type)] }, /two inputs are called "x"/],
    [{ ...sound, inputs: [x, makeValue("", type)] }, /an input has no name/],
    [{ ...sound, outputs: [...sound.outputs, { name: "b", value: a }] }, /two outputs are called "b"/],
    [{ ...sound, outputs: [{ name: "x", value: b }] }, /an input and another value are both called "x"/],
    [{ ...sound, outputs: [{ name: "", value: b }] }, /an output has no name/],
  ],
  "static shapes": [
    [{ ...sound, inputs: [x, makeValue("n", { dtype: "float32", shape: [-1, 3] })] }, /"n" has the shape \[-1,3\]/],
    [{ ...sound, ...retyped({ dtype: "float32", shape: [0.5] }) }, /"b" has the shape \[0.5\]/],
  ],
  "constant data": [
    [withConstant({ ...weight, data: Float32Array.of(1) }), /holds 1 elements of storage instead of 2/],
    [withConstant({ ...weight, data: Int32Array.of(1, 2) }), /in Int32Array instead of Float32Array/],
    [withConstant(float32Tensor([1, 2], [1, 2])), /is float32\[1,2\]/],
  ],
  "no trailing gaps": [[withNode(node("Clip", [a, undefined], b)), /its last input is left out/]],
  "finite attributes": [
    [withNode(node("Relu", [a], b, { axis: 0.5 })), /attribute axis/],
    [withNode(node("Relu", [a], b, { axes: [1, Number.NaN] })), /attribute axes/],
    [withNode(node("Relu", [a], b, { alpha: { float: Number.POSITIVE_INFINITY } })), /attribute alpha/],
    [withNode(node("Relu", [a], b, { alphas: { floats: [Number.NaN] } })), /attribute alphas/],
    [withNode(node("Relu", [a], b, { value: { tensor: { ...weight, shape: [3] } } })), /attribute value/],
  ],
  "inferred types": [
    [
      { ...sound, ...retyped({ dtype: "float32", shape: [3] }) },
      /output 0 is float32\[3\], its operator makes float32\[2\]/,
    ],
    [{ ...sound, ...retyped({ dtype: "float16", shape: [2] }) }, /output 0 is float16\[2\]/],
    [withNode({ ...node("Relu", [a], b), outputs: [b, makeValue("c", type)] }), /it has 2 outputs, its operator 1/],
    [withNode(node("Add", [a, undefined, a], b)), /input 1 is missing in Add/],
  ],
};

function retyped(wrong: Value["type"]): Pick<Graph, "nodes" | "outputs"> {
  const value = makeValue("b", wrong);
  return { nodes: [node("Add", [x, w], a), node("Relu", [a], value)], outputs: [{ name: "b", value }] };
}

function failure(graph: Graph): unknown {
  try {
    verifyGraph(graph, tinyInfer);
  } catch (error) {
    return error;
  }
  return undefined;
}

test("a sound graph passes", () => {
  expect(failure(sound)).toBeUndefined();
});

test("every rule has a graph that breaks it", () => {
  expect(Object.keys(broken)).toEqual(ruleNames);
});

describe.each(Object.entries(broken))("rule %s", (rule, cases) => {
  test.each(cases.map(([graph, message]) => ({ graph, message })))("$message", ({ graph, message }) => {
    const error = failure(graph);
    expect(error).toBeInstanceOf(GraphError);
    expect(error).toHaveProperty("message", expect.stringContaining(`rule "${rule}" is broken`));
    expect(error).toHaveProperty("message", expect.stringMatching(message));
    expect(error).toHaveProperty("remedy", expect.any(String));
  });
});

test("an error shows the nodes around the broken one", () => {
  const error = failure(withNode(node("Clip", [a, undefined], b)));
  expect(error).toHaveProperty("where", 'node Clip "theClip"');
  expect(error).toHaveProperty("message", expect.stringContaining("> %1: float32[2] = Clip(%0, -)  // theClip"));
});

test("an operator without a rule is reported as unsupported", () => {
  expect(failure(withNode(node("Unheard", [a], b)))).toBeInstanceOf(UnsupportedError);
});

describe("subgraphs", () => {
  function conditional(branch: Graph): Graph {
    const builder = new GraphBuilder("outer", tinyInfer);
    const y = builder.input("y", type);
    const condition = builder.constant({ dtype: "bool", shape: [], data: Uint8Array.of(1) });
    builder.output("r", builder.one("If", [condition, y], { then_branch: { graph: branch } }));
    return builder.finish();
  }

  test("are checked too", () => {
    expect(failure(conditional(sound))).toBeUndefined();
    const error = failure(conditional(withConstant({ ...weight, data: Float32Array.of(1) })));
    expect(error).toHaveProperty("message", expect.stringContaining('rule "constant data"'));
  });

  test("may read the graph around them, but nothing else", () => {
    const strange: Graph = { ...sound, nodes: [node("Add", [x, stranger], a), node("Relu", [a], b)] };
    expect(failure(conditional(strange))).toHaveProperty(
      "message",
      expect.stringContaining('"stranger" has no producer'),
    );
    expect(failure({ ...conditional(strange), inputs: [stranger, makeValue("y2", type)] })).toHaveProperty(
      "message",
      expect.stringContaining('"y" has no producer'),
    );
    const builder = new GraphBuilder("outer", tinyInfer);
    const y = builder.input("y", type);
    const branch: Graph = { ...sound, nodes: [node("Add", [x, y], a), node("Relu", [a], b)], constants: new Map() };
    const condition = builder.constant({ dtype: "bool", shape: [], data: Uint8Array.of(1) });
    builder.output("r", builder.one("If", [condition], { then_branch: { graph: branch } }));
    expect(failure(builder.finish())).toBeUndefined();
  });
});
