/** Integers of tensors: numbers beyond int64, as files of opset 9 write the end of an axis (2⁶³ − 1, which a float64 rounds up). */

import { expect, it } from "vitest";
import { int64Tensor, toInt64 } from "../../src/ir/tensor.ts";

it("keeps numbers beyond int64 at its ends, instead of changing their sign", () => {
  const end = Number(2n ** 63n - 1n);
  expect([...int64Tensor([end, -end, 3, -4]).data]).toEqual([2n ** 63n - 1n, -(2n ** 63n), 3n, -4n]);
  expect([toInt64(Number.NaN), toInt64(2.7), toInt64(-2.7)]).toEqual([0n, 2n, -2n]);
});
