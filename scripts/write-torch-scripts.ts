/**
 * Writes generated training scripts and what subbyte reads in them, so that torch can be asked the same:
 *
 *     npx tsx scripts/write-torch-scripts.ts FOLDER COUNT SEED
 *     /usr/bin/python3 scripts/check_torch_scripts.py FOLDER        (torch 1.13)
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SubbyteError } from "../src/errors.ts";
import { resolveQuantizer } from "../src/qconfig/tensor-quantization.ts";
import { tensorQuantizationOf } from "../src/qconfig/torch/convert.ts";
import { parseTorchConfig } from "../src/qconfig/torch/text.ts";
import type { FakeQuantizeForm } from "../src/qconfig/torch/torch.ts";
import { uniformParameters } from "../src/quantizers/arithmetic/uniform-parameters.ts";
import { writeTorchScript } from "../test/support/torch/script-writer.ts";

const [folder = "torch-scripts", count = "200", seed = "1"] = process.argv.slice(2);

/** Rows of six numbers, as check_torch_scripts.py makes them. */
function rows(kind: "activation" | "weight"): number[][] {
  const [low, step] = kind === "weight" ? [-1.13, 0.0871] : [-0.31, 0.117];
  return Array.from({ length: 4 }, (_, row) =>
    Array.from({ length: 6 }, (_, i) => Math.fround(Math.fround(low) + Math.fround(step) * (row * 6 + i))),
  );
}

function measured(form: FakeQuantizeForm | null, kind: "activation" | "weight") {
  if (form === null) return null;
  const type = { dtype: "float32", shape: [4, 6] } as const;
  const spec = resolveQuantizer(tensorQuantizationOf(form, kind), {
    name: kind,
    type,
    nonNegative: false,
    kind: "weight",
  });
  const values = spec.channelAxis === undefined ? rows(kind).flat() : (rows(kind)[0] ?? []);
  const { scale, zeroPoint } = uniformParameters(spec, Math.min(...values), Math.max(...values));
  // A histogram's range is searched, which this does not repeat.
  const isSearched = spec.options.initializer !== undefined;
  return { quantMin: spec.quantMin, quantMax: spec.quantMax, ...(isSearched ? {} : { scale, zeroPoint }) };
}

function attempt<T>(run: () => T): T | { readonly refused: string } {
  try {
    return run();
  } catch (error) {
    if (error instanceof SubbyteError) return { refused: error.message };
    throw error;
  }
}

mkdirSync(folder, { recursive: true });
const cases = Array.from({ length: Number(count) }, (_, index) => {
  const { text, probe, styles } = writeTorchScript(Number(seed), index);
  writeFileSync(join(folder, `${index}.py`), text);
  const parsed = attempt(() => parseTorchConfig({ name: `${index}.py`, text }).qconfig);
  const read =
    "refused" in parsed
      ? { activation: parsed, weight: parsed }
      : {
          activation: attempt(() => measured(parsed.activation, "activation")),
          weight: attempt(() => measured(parsed.weight, "weight")),
        };
  return { file: `${index}.py`, probe, styles, ...read };
});
writeFileSync(join(folder, "read.json"), `${JSON.stringify(cases, null, 1)}\n`);
