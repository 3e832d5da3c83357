/**
 * Scripts written from random QConfigs in many styles: each is read as the QConfig that it was written from, or refused for
 * the same reason. TORCH_SCRIPTS=2000 TORCH_SEED=7 runs more of them; scripts/write-torch-scripts.ts asks torch itself.
 */
import { describe, expect, it } from "vitest";
import { SubbyteError } from "../../../src/errors.ts";
import { quantizationConfigOf } from "../../../src/qconfig/torch/convert.ts";
import { parseTorchConfig } from "../../../src/qconfig/torch/text.ts";
import { writeTorchScript } from "../../support/torch/script-writer.ts";

const count = Number(process.env.TORCH_SCRIPTS ?? 60);
const seed = Number(process.env.TORCH_SEED ?? 1);

function attempt<T>(run: () => T): T | string {
  try {
    return run();
  } catch (error) {
    if (error instanceof SubbyteError) return error.message;
    throw error;
  }
}

describe("generated scripts", () => {
  it("are read as what they were written from", () => {
    const styles = new Set<string>();
    for (let index = 0; index < count; index++) {
      const script = writeTorchScript(seed, index);
      const read = attempt(() => {
        const { qconfig } = parseTorchConfig({ name: "t.py", text: script.text });
        return quantizationConfigOf(qconfig, { placement: "fused" });
      });
      const written = attempt(() => quantizationConfigOf(script.qconfig, { placement: "fused" }));
      expect(read, `seed ${seed}, script ${index}:\n${script.text}`).toEqual(written);
      for (const style of script.styles) styles.add(style);
    }
    expect(styles.size).toBeGreaterThan(30);
  });
});
