/**
 * ONNX's own tests of single operators: every case of every operator that docs/OPS.md says is imported.
 *
 * Needs Debian's libonnx-testdata (onnx 1.12); without it the tests say so and pass by. The cases of the newest onnx:
 *
 *     python3 scripts/write-node-cases.py FOLDER
 *     ONNX_NODE_CASES=FOLDER npx vitest run test/conformance/onnx-backend.test.ts
 */

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { backendCases, backendFolder, runBackendCase } from "../support/onnx/backend.ts";
import { importedOperators } from "../support/onnx/operator-table.ts";

/** Cases of both packages that are left out, with the reason; a name is matched from its beginning. */
const leftOutOfBoth: readonly (readonly [name: string, reason: string])[] = [
  ["test_batchnorm_epsilon_training_mode", "the new statistics are outputs of a training step, not of a network"],
  ["test_batchnorm_example_training_mode", "the new statistics are outputs of a training step, not of a network"],
  ["test_training_dropout", "dropout is left out of training"],
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

const leftOutOfDebian: typeof leftOutOfBoth = [
  ["test_cast_BFLOAT16_to_FLOAT", "the case gives bfloat16 as uint16"],
  ["test_cast_FLOAT_to_BFLOAT16", "the case gives bfloat16 as uint16"],
  ["test_castlike_BFLOAT16_to_FLOAT", "the case gives bfloat16 as uint16"],
  ["test_castlike_FLOAT_to_BFLOAT16", "the case gives bfloat16 as uint16"],
  ["test_cast_FLOAT_to_STRING", "networks have no texts"],
  ["test_cast_STRING_to_FLOAT", "networks have no texts"],
  ["test_castlike_FLOAT_to_STRING", "networks have no texts"],
  ["test_castlike_STRING_to_FLOAT", "networks have no texts"],
];

const noCast = "the engine does not cast to or from types so narrow";
const leftOutOfNewest: typeof leftOutOfBoth = [
  ["test_cast(like)?_(no_saturate_)?FLOAT(16)?_to_(FLOAT[48]|U?INT[24])", noCast],
  ["test_cast(like)?_(FLOAT4E2M1|U?INT[24])_to_", noCast],
  ["test_cast_e8m0_FLOAT(16)?_to", noCast],
  [
    "test_attention.*_bf16|test_celu_bfloat16|test_cast(like)?_FLOAT_to_BFLOAT16",
    "bfloat16 is computed in float32, and the case rounds to bfloat16",
  ],
  [
    "test_attention_4d_gqa_with_past_and_present_fp16",
    "float16 is computed in float32, and the case rounds to float16",
  ],
  ["test_(de)?quantizelinear_(e4m3fn|e5m2|float4e2m1)", "quantizers have no codes that are floats"],
  ["test_quantizelinear_u?int[24]$", "the case asks for packed codes; quantizers keep their codes in bytes"],
  ["test_clip_default_int8_(max|min)_expanded", "the engine has no kernel for 8-bit integers"],
  ["test_reduce_max_empty_set_bool", "the engine has no maximum of no truth values"],
  ["test_top_k_uint64", "the engine has no kernel for unsigned 64-bit integers"],
];
const newest = process.env.ONNX_NODE_CASES;
const leftOut = [...leftOutOfBoth, ...(newest === undefined ? leftOutOfDebian : leftOutOfNewest)];

const supported = new Set(importedOperators().map(({ key }) => key));
const cases = backendCases(newest).filter(({ operators }) => operators.every((operator) => supported.has(operator)));
const reasonFor = (name: string) => leftOut.find(([start]) => new RegExp(`^${start}`).test(name));
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
    expect(text).toContain(newest === undefined ? `${run.length} cases of onnx 1.12` : `${run.length} of onnx 1.23.2`);
  });

  it("are left out for a reason that still holds", () => {
    const unknown = leftOut.filter(([start]) => !cases.some(({ name }) => new RegExp(`^${start}`).test(name)));
    expect(unknown).toEqual([]);
  });
});

it("find their cases", ({ skip }) => {
  skip(cases.length === 0, `there are none in ${backendFolder}: install libonnx-testdata`);
  // A wrong folder or filter would leave a handful, and every case of a handful passes.
  expect(run.length).toBeGreaterThan(500);
});
