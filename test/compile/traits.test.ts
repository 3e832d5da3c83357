import { describe, expect, it } from "vitest";
import { operators } from "../../src/compile/registry.ts";
import { findDefinition, isOperator, type OperatorTraits, operatorKey } from "../../src/ops/definition.ts";
import { convOperator } from "../../src/ops/families/conv.ts";
import { integerProducts } from "../../src/ops/integer-operators.ts";

/** The names of the operators with a trait, in the order of the alphabet. */
function withTrait(has: (traits: OperatorTraits) => boolean): string[] {
  const definitions = [...operators.values()].filter(({ traits }) => traits !== undefined && has(traits));
  return definitions.map(({ domain, op }) => operatorKey(domain, op)).sort();
}

describe("the traits of operators", () => {
  it("layer: the operators with weights", () => {
    expect(withTrait(({ layer }) => layer !== undefined)).toEqual(["Conv", "ConvTranspose", "Gemm", "MatMul"]);
  });

  it("module: what torch's eager mode observes", () => {
    const expected = ["Add", "BatchNormalization", "Conv", "ConvTranspose", "Gemm", "MatMul", "Relu"];
    expect(withTrait(({ module }) => module === true)).toEqual(expected);
  });

  it("comparable: the results that are compared between two forms of a model", () => {
    const standard =
      "Add BatchNormalization Conv Gemm GlobalAveragePool MatMul MatMulInteger MaxPool QuantizeLinear Relu";
    expect(withTrait(({ comparable }) => comparable === true)).toEqual(standard.split(" "));
    expect([...integerProducts.values()].every(({ traits }) => traits?.comparable === true)).toBe(true);
  });

  it("reads codes: what divides sums of them", () => {
    expect(withTrait(({ readsCodes }) => readsCodes === true)).toEqual([
      "AveragePool",
      "GlobalAveragePool",
      "GroupNormalization",
      "InstanceNormalization",
      "LayerNormalization",
      "ReduceMean",
      "Softmax",
    ]);
  });

  it("normalizes: what divides by a deviation", () => {
    expect(withTrait(({ normalizes }) => normalizes !== undefined)).toEqual([
      "GroupNormalization",
      "InstanceNormalization",
      "LayerNormalization",
    ]);
  });

  it("ofOne: what is a function of one number", () => {
    const expected =
      "Abs Acos Acosh Asin Asinh Atan Atanh Ceil Celu Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid HardSwish LeakyRelu Log Mish Not " +
      "Reciprocal Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Tan Tanh ThresholdedRelu";
    expect(withTrait(({ ofOne }) => ofOne !== undefined)).toEqual(expected.split(" "));
  });

  it("ofEach: what is a function of the numbers at one place", () => {
    const expected =
      "Add And Clip Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mul Neg Or PRelu Pow Relu Sub Sum Where Xor";
    expect(withTrait(({ ofEach }) => ofEach !== undefined)).toEqual(expected.split(" "));
  });

  it("movement: what copies, reorders or repeats elements", () => {
    const standard =
      "Concat DepthToSpace Expand Flatten Gather GatherElements GatherND Identity Pad Reshape Slice SpaceToDepth Split Squeeze Tile Transpose Unsqueeze";
    const blocked = ["com.microsoft.nchwc:ReorderInput", "com.microsoft.nchwc:ReorderOutput"];
    expect(withTrait(({ movement }) => movement === true)).toEqual([...standard.split(" "), ...blocked]);
    expect(withTrait(({ movement }) => typeof movement === "function")).toEqual(["Resize"]);
  });

  it("view: what the engine keeps in the memory of the input", () => {
    const expected = ["Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"];
    expect(withTrait(({ view }) => view === true)).toEqual(expected);
  });

  it("inPlace: what an update may write over its input with", () => {
    const expected = ["Add", "Clip", "Div", "Max", "Min", "Mul", "Sub", "Where"];
    expect(withTrait(({ inPlace }) => inPlace === true)).toEqual(expected);
  });

  it("cheap: what is computed again", () => {
    const expected = ["Clip", "DequantizeLinear", "HardSigmoid", "Mul", "Relu"];
    expect(withTrait(({ cheap }) => cheap === true)).toEqual(expected);
    expect(withTrait(({ cheap }) => typeof cheap === "function")).toEqual(["com.microsoft.nchwc:Conv"]);
  });

  it("work: what the time of a training step is counted under", () => {
    const works = [...operators.values()].flatMap(({ domain, op, traits }) =>
      traits?.work === undefined ? [] : [[operatorKey(domain, op), traits.work]],
    );
    expect(Object.fromEntries(works)).toEqual({
      BatchNormalization: "normalization",
      GroupNormalization: "normalization",
      InstanceNormalization: "normalization",
      LayerNormalization: "normalization",
      "subbyte:BatchNormTrain": "normalization",
      "subbyte:BatchNormTrainGrad": "normalization",
      "subbyte:ConvGradInput": "gradient of inputs",
      "subbyte:ConvGradWeight": "gradient of weights",
      "subbyte:FakeQuantize": "quantizers",
      "subbyte:FakeQuantizeGrad": "quantizers",
    });
  });

  it("nonNegative: always", () => {
    const expected = ["Abs", "Exp", "HardSigmoid", "Relu", "Sigmoid", "Softmax", "Softplus", "Sqrt"];
    expect(withTrait(({ nonNegative }) => nonNegative === "always")).toEqual(expected);
  });

  it("nonNegative: when the first input is", () => {
    expect(withTrait(({ nonNegative }) => nonNegative === "when-first-input")).toEqual([
      "AveragePool",
      "DepthToSpace",
      "Dropout",
      "Expand",
      "Flatten",
      "Gather",
      "GatherElements",
      "GatherND",
      "GlobalAveragePool",
      "GlobalMaxPool",
      "Identity",
      "MaxPool",
      "Reshape",
      "Slice",
      "SpaceToDepth",
      "Split",
      "Squeeze",
      "Transpose",
      "Unsqueeze",
      "subbyte:FakeQuantize",
    ]);
  });

  it("nonNegative: when all inputs are, and by a rule of its own", () => {
    expect(withTrait(({ nonNegative }) => nonNegative === "when-all-inputs")).toEqual(["Add", "Concat", "Max", "Mul"]);
    expect(withTrait(({ nonNegative }) => typeof nonNegative === "function")).toEqual(["Clip", "Pad", "Resize"]);
  });

  it("passesCodes: what passes on the codes of its first input", () => {
    expect(withTrait(({ passesCodes }) => passesCodes === "each")).toEqual(["Clip", "Dropout", "Identity", "Relu"]);
    expect(withTrait(({ passesCodes }) => passesCodes === "moved")).toEqual([
      "DepthToSpace",
      "Expand",
      "Flatten",
      "Reshape",
      "Slice",
      "SpaceToDepth",
      "Split",
      "Squeeze",
      "Transpose",
      "Unsqueeze",
    ]);
    expect(withTrait(({ passesCodes }) => passesCodes === "pooled")).toEqual([
      "AveragePool",
      "GlobalAveragePool",
      "GlobalMaxPool",
      "MaxPool",
    ]);
  });
});

describe("the definition of a node", () => {
  it("is found by operator and domain, and is absent for an operator that nobody knows", () => {
    expect(findDefinition(operators, { op: "Conv", domain: "" })).toBe(convOperator);
    expect(findDefinition(operators, { op: "Conv", domain: "elsewhere" })).toBeUndefined();
  });

  it("is distinguished from an operator of the same name in another domain", () => {
    expect(isOperator(convOperator, { op: "Conv", domain: "" })).toBe(true);
    expect(isOperator(convOperator, { op: "Conv", domain: "com.microsoft.nchwc" })).toBe(false);
    expect(isOperator(convOperator, { op: "Gemm", domain: "" })).toBe(false);
  });
});
