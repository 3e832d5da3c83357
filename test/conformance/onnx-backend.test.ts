/**
 * ONNX's own tests of single operators: every case of every operator that docs/OPS.md says is imported.
 *
 * Needs Debian's libonnx-testdata; without it the tests say so and pass by.
 */

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { importedOperators } from "../../src/importer/operator-table.ts";
import { backendCases, backendFolder, runBackendCase } from "../support/onnx-backend.ts";

/** Cases that are left out, with the reason; a name is matched from its beginning. */
const leftOut: readonly (readonly [name: string, reason: string])[] = [
  ["test_batchnorm_epsilon_training_mode", "the new statistics are outputs of a training step, not of a network"],
  ["test_batchnorm_example_training_mode", "the new statistics are outputs of a training step, not of a network"],
  ["test_training_dropout", "dropout is left out of training"],
  ["test_cast_BFLOAT16_to_FLOAT", "the case gives bfloat16 as uint16"],
  ["test_cast_FLOAT_to_BFLOAT16", "the case gives bfloat16 as uint16"],
  ["test_castlike_BFLOAT16_to_FLOAT", "the case gives bfloat16 as uint16"],
  ["test_castlike_FLOAT_to_BFLOAT16", "the case gives bfloat16 as uint16"],
  ["test_cast_FLOAT_to_STRING", "networks have no texts"],
  ["test_cast_STRING_to_FLOAT", "networks have no texts"],
  ["test_castlike_FLOAT_to_STRING", "networks have no texts"],
  ["test_castlike_STRING_to_FLOAT", "networks have no texts"],
  ["test_max_int16", "the engine has no kernel for 16-bit integers"],
  ["test_max_uint16", "the engine has no kernel for 16-bit integers"],
  ["test_min_int16", "the engine has no kernel for 16-bit integers"],
  ["test_min_uint16", "the engine has no kernel for 16-bit integers"],
  ["test_identity_opt", "optional values are not tensors"],
  ["test_identity_sequence", "sequences are not tensors"],
  ["test_if_opt", "optional values are not tensors"],
  ["test_if_seq", "sequences are not tensors"],
  ["test_loop13_seq", "sequences are not tensors"],
  ["test_loop16_seq_none", "sequences are not tensors"],
  ["test_resize_downsample_scales_cubic_align_corners", "the engine rounds the output's size before it aligns"],
  ["test_resize_downsample_scales_linear_align_corners", "the engine rounds the output's size before it aligns"],
  ["test_resize_tf_crop_and_resize", "cropping with a Resize is refused"],
];

const supported = new Set(importedOperators().map(({ key }) => key));
const cases = backendCases().filter(({ operators }) => operators.every((operator) => supported.has(operator)));
const reasonFor = (name: string) => leftOut.find(([start]) => name.startsWith(start));
const run = cases.filter(({ name }) => reasonFor(name) === undefined);

describe.skipIf(cases.length === 0)("ONNX backend node tests", () => {
  it("pass, each of them", async () => {
    const failures: string[] = [];
    for (const each of run) {
      try {
        await runBackendCase(each);
      } catch (error) {
        failures.push(`${each.name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    process.stderr.write(
      `ONNX backend node tests: ${run.length - failures.length} of ${run.length} pass, ${cases.length - run.length} left out\n`,
    );
    expect(failures).toEqual([]);
  });

  it("are as many as docs/OPS.md says", () => {
    const text = readFileSync(new URL("../../docs/OPS.md", import.meta.url), "utf8");
    expect(text).toContain(`${run.length} cases of ONNX's node tests pass`);
  });

  it("are left out for a reason that still holds", () => {
    const unknown = leftOut.filter(([start]) => !cases.some(({ name }) => name.startsWith(start)));
    expect(unknown).toEqual([]);
  });
});

it.runIf(cases.length === 0)("finds no ONNX node tests to run", () => {
  process.stderr.write(`ONNX backend node tests are not run: install libonnx-testdata (${backendFolder}).\n`);
});
