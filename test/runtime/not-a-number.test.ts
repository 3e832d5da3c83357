/** The error for the user when a diverged training makes the engine stop. */
import { expect, it } from "vitest";
import { newBuilder } from "../../src/compile/registry.ts";
import { RuntimeError } from "../../src/errors.ts";
import { filled, float32Tensor } from "../../src/ir/tensor.ts";
import { lookUp, sumByIndex } from "../../src/quantizers/arithmetic/table-operators.ts";
import { emit } from "../../src/runtime/job.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";
import { genericTarget } from "../support/graphs/gradient-check.ts";

it.each(["look-up", "sum"])("says that the training diverged where NaN is used as an index: %s", async (kind) => {
  const b = newBuilder("index");
  const index = b.input("index", { dtype: "float32", shape: [4] });
  const table = b.input("table", { dtype: "float32", shape: [4] });
  b.output("y", kind === "sum" ? sumByIndex(b, index, table, 4) : lookUp(b, index, table));
  const feeds = { index: float32Tensor([4], [0, 1, Number.NaN, 3]), table: float32Tensor([4], [1, 2, 3, 4]) };
  const session = await nodeEngine({ threads: 1 }).createSession(emit(b.finish(), genericTarget));
  const failure: unknown = await session.run(feeds, { y: filled([4], 0) }).catch((error: unknown) => error);
  await session.release();
  expect(failure).toBeInstanceOf(RuntimeError);
  expect(String(failure)).toContain("a quantizer received NaN");
  expect(failure).toMatchObject({ remedy: expect.stringContaining("learning rate") });
});
