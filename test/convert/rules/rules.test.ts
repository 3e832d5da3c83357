import { describe, expect, it } from "vitest";
import { operators } from "../../../src/compile/registry.ts";
import { integerRules } from "../../../src/convert/rules/rules.ts";
import { operatorKey } from "../../../src/ops/definition.ts";
import { hasIntegerForm } from "../../support/onnx/operator-document.ts";

describe("the integer rules", () => {
  it("are keyed by the records that the compiler finds for a node", () => {
    for (const definition of integerRules.keys()) {
      expect(operators.get(operatorKey(definition.domain, definition.op))).toBe(definition);
    }
  });

  it("cover the operators that had a rule by name", () => {
    expect([...operators.values()].filter(hasIntegerForm).map(({ op }) => op)).toEqual(
      expect.arrayContaining([
        ...["Conv", "Gemm", "MatMul", "BatchNormalization", "Add", "Mul", "Relu", "Clip"],
        ...["MaxPool", "AveragePool", "GlobalAveragePool", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Concat"],
        ...["Identity", "Dropout"],
      ]),
    );
  });

  it("leave no operator of another domain with the rule of its namesake", () => {
    const blocked = [...operators.values()].filter(({ domain, op }) => domain !== "" && op === "Conv");
    expect(blocked.map(hasIntegerForm)).toEqual([false]);
  });
});
