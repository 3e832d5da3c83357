/** The traits in the definitions, compared with the tables that held them before. */

import { expect, it } from "vitest";
import { operators } from "../../src/compile/registry.ts";
import { operatorKey } from "../../src/ops/definition.ts";
import { fileOperators } from "../../src/ops/file-operators.ts";

const definitions = [...operators.values()];

function namesWhere(holds: (definition: (typeof definitions)[number]) => boolean): string[] {
  return definitions
    .filter(holds)
    .map(({ domain, op }) => operatorKey(domain, op))
    .sort();
}

it("gives inputs the roles that they had by the operator's name", () => {
  const layer = { 1: "weight", 2: "bias" };
  const normalization = { 1: "normalization-scale", 2: "normalization-bias" };
  const recurrent = { 1: "weight", 2: "weight", 3: "bias", 7: "weight" };
  const roles = definitions.flatMap(({ op, inputs = [] }) => {
    const own = Object.fromEntries(inputs.flatMap(({ role }, i) => (role === undefined ? [] : [[i, role]])));
    return Object.keys(own).length === 0 ? [] : [[op, own]];
  });
  expect(Object.fromEntries(roles)).toEqual({
    Conv: layer,
    ConvTranspose: layer,
    Gemm: { 0: "weight", 1: "weight", 2: "bias" },
    MatMul: { 0: "weight", 1: "weight" },
    Einsum: { 0: "weight", 1: "weight", 2: "bias" },
    BatchNormalization: { ...normalization, 3: "running-mean", 4: "running-variance" },
    LayerNormalization: normalization,
    GroupNormalization: normalization,
    InstanceNormalization: normalization,
    PRelu: { 1: "other" },
    LSTM: recurrent,
    GRU: recurrent,
    RNN: recurrent,
  });
});

it("gives roles by use to the operators that had them", () => {
  expect(namesWhere(({ inputs = [] }) => inputs.some(({ roleIn }) => roleIn !== undefined))).toEqual([
    "Add",
    "Concat",
    "Expand",
    "Gather",
    "Mul",
    "subbyte:ExpandBatch",
  ]);
});

const folded =
  "Abs Add And Cast CastLike Ceil Clip Concat ConstantOfShape Cos CumSum DepthToSpace Div Equal Exp Expand Flatten Floor Gather GatherElements GatherND Greater GreaterOrEqual Identity IsNaN LeakyRelu Less LessOrEqual Log MatMul Max Min Mod Mul Neg Not Or Pad Pow Range Reciprocal ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round ScatterElements ScatterND Sigmoid Sign Sin Slice SpaceToDepth Split Sqrt Squeeze Sub Sum Tanh Tile Transpose Trilu Unsqueeze Where Xor";

it("computes the operators on constants that the table of folds held", () => {
  expect(namesWhere(({ fold }) => fold !== undefined)).toEqual(folded.split(" "));
});

it("copies with the operators that were called layout, and repeats with three", () => {
  const copying =
    "Cast Concat DepthToSpace Flatten Identity Reshape Slice SpaceToDepth Split Squeeze Transpose Unsqueeze";
  expect(namesWhere(({ fold }) => fold?.copies === true)).toEqual(copying.split(" "));
  expect(namesWhere(({ fold }) => fold?.repeats === true)).toEqual(["Expand", "Resize", "Tile"]);
});

it("runs on blocked tensors what the CPU's lists named", () => {
  const pointwise =
    "Abs Add Cast Ceil Clip DequantizeLinear Div Elu Erf Exp Floor Gelu HardSigmoid HardSwish Identity LeakyRelu Log Max Mean Min Mish Mul Neg Pow QuantizeLinear Reciprocal Relu Round Sigmoid Sign Softplus Softsign Sqrt Sub Sum Tanh";
  expect(namesWhere(({ blocked }) => blocked === "pointwise")).toEqual(pointwise.split(" "));
  const reductions = ["ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"];
  expect(namesWhere(({ blocked }) => blocked === "reduction")).toEqual(reductions);
  expect(namesWhere(({ blocked }) => blocked === "average")).toEqual(["GlobalAveragePool"]);
  expect(namesWhere(({ blocked }) => blocked === "own")).toEqual(["BatchNormalization", "Conv"]);
});

const rewritten =
  "AveragePool:all,all BatchNormalization:all CastLike:all Clip:11 Conv:all ConvTranspose:all Dropout:all GlobalMaxPool:all GroupNormalization:21 GRU:all,all Hardmax:13 LogSoftmax:13 LSTM:all,all MaxPool:all,all Mod:all Pad:11 Pow:all ReduceL1:18 ReduceL2:18 ReduceLogSum:18 ReduceLogSumExp:18 ReduceMax:18 ReduceMean:18,all ReduceMin:18 ReduceProd:18 ReduceSum:13 ReduceSumSquare:18 Resize:11,all RNN:all,all Scatter:all Slice:10 Softmax:13 SpaceToDepth:all Split:13,all Squeeze:13,all TopK:10 Unsqueeze:13 Upsample:all";

it("rewrites the versions that the table of upgrades named", () => {
  const records = [...definitions, ...fileOperators.values()];
  const found = records.flatMap(({ op, upgrades }) =>
    upgrades === undefined ? [] : [`${op}:${upgrades.map(({ before }) => before ?? "all").join()}`],
  );
  expect(found.sort()).toEqual(rewritten.split(" ").sort());
});

it("decomposes the functions that the table of decompositions named", () => {
  const records = [...definitions, ...fileOperators.values()];
  const found = records.filter(({ decompose }) => decompose !== undefined);
  expect(found.map(({ domain, op }) => operatorKey(domain, op)).sort()).toEqual([
    "Attention",
    "Erfc",
    "MeanVarianceNormalization",
    "RMSNormalization",
    "Swish",
    "ai.onnx.ml:ArrayFeatureExtractor",
    "ai.onnx.ml:LinearClassifier",
    "ai.onnx.ml:LinearRegressor",
    "ai.onnx.ml:Normalizer",
    "ai.onnx.ml:Scaler",
    "com.microsoft:BiasGelu",
    "com.microsoft:FastGelu",
    "com.microsoft:FusedMatMul",
    "com.microsoft:Gelu",
    "com.microsoft:QuickGelu",
  ]);
});
