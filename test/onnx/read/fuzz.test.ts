import fc from "fast-check";
import { expect, test } from "vitest";
import { SubbyteError } from "../../../src/errors.ts";
import { printGraph } from "../../../src/ir/print.ts";
import { readOnnx } from "../../../src/onnx/read/read.ts";
import { writeOnnx } from "../../../src/onnx/write/write.ts";
import { tinyInfer } from "../../support/graphs/infer.ts";
import { anyGraph } from "../../support/graphs/random.ts";
import { verifyGraph } from "../../support/graphs/verify.ts";

/** Reads damaged bytes: one of our errors, which says where, or a graph that keeps all rules and can be written again. */
function survives(bytes: Uint8Array): "graph" | "error" {
  try {
    const { graph } = readOnnx(bytes, tinyInfer);
    // A float that became infinite is legal in a file; only verified graphs must be without.
    const extreme = printGraph(graph).includes("Infinity") || printGraph(graph).includes("NaN");
    if (!extreme) verifyGraph(graph, tinyInfer);
    writeOnnx(graph);
    return "graph";
  } catch (error) {
    if (!(error instanceof SubbyteError)) throw error;
    expect(error.message).not.toMatch(/^rule /);
    expect(error.where, error.message).toBeTruthy();
    return "error";
  }
}

const files = anyGraph().map((graph) => writeOnnx(graph));

test("cut files", () => {
  fc.assert(
    fc.property(files, fc.double({ min: 0, max: 1, noNaN: true }), (bytes, part) => {
      survives(bytes.subarray(0, Math.floor(part * bytes.length)));
    }),
    { seed: 11, numRuns: 300 },
  );
});

test("every length of one file", () => {
  const [bytes] = fc.sample(files, { seed: 3, numRuns: 1 });
  if (bytes === undefined) throw new Error("a file expected");
  for (let length = 0; length < bytes.length; length++) survives(bytes.subarray(0, length));
});

test("files with wrong bytes", () => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 5 });
  const seen = { graph: 0, error: 0 };
  fc.assert(
    fc.property(files, damage, (bytes, changes) => {
      const damaged = Uint8Array.from(bytes);
      for (const [position, byte] of changes) damaged[position % damaged.length] = byte;
      seen[survives(damaged)]++;
    }),
    { seed: 12, numRuns: 300 },
  );
  // Both ways out were taken, so the damage was neither too mild nor too coarse to test anything.
  expect(Math.min(seen.graph, seen.error)).toBeGreaterThan(20);
});

test("files with a piece taken out or doubled", () => {
  fc.assert(
    fc.property(files, fc.nat(), fc.nat(64), fc.boolean(), (bytes, position, length, doubled) => {
      const start = position % bytes.length;
      const rest = bytes.subarray(doubled ? start : Math.min(bytes.length, start + length));
      const head = bytes.subarray(0, doubled ? Math.min(bytes.length, start + length) : start);
      survives(Uint8Array.from([...head, ...rest]));
    }),
    { seed: 13, numRuns: 300 },
  );
});

test("random bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      survives(bytes);
    }),
    { seed: 14, numRuns: 300 },
  );
});
