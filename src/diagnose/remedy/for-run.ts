/** From the remedy of a cause to the changes that apply to one run: only what the run does not have, and all that they need. */

import { type ConfigChanges, settingAt, withChanges } from "../../config/changes.ts";
import { quantizationOf } from "../../config/quantization.ts";
import type { QuantizationSettings, TrainingConfig } from "../../config/schema/schema.ts";
import { ConfigError } from "../../errors.ts";
import type { LayerOverride } from "../../qconfig/config.ts";
import { matchesGlob } from "../../qconfig/glob.ts";
import { resolveQuantizer } from "../../qconfig/tensor-quantization.ts";
import type { Finding, Remedy } from "../../runs/finding.ts";

/**
 * Keys that a preset fills in. A run's configuration has them all, so that another preset brings its own only where they are
 * taken away.
 */
const keysOfPreset = ["placement", "firstLayerBits", "lastLayerBits", "residualBits", "reduceRange"] as const;

type Override = LayerOverride;

/** The fields of a tensor's quantization that an override changes; "float" changes all. */
function changesField(override: Override, isField: (field: string) => boolean): boolean {
  return [override.weight, override.activation].some(
    (tensor) => tensor === "float" || Object.keys(tensor ?? {}).some(isField),
  );
}

const changesBits = (override: Override) =>
  override.bits !== undefined || changesField(override, (field) => field === "bits");
const changesMethod = (override: Override) => changesField(override, (field) => field !== "bits");

/** For a key that a remedy sets, whether an override of layers keeps it from acting on them. */
const holds: ReadonlyMap<string, (override: Override) => boolean> = new Map([
  ["quantization.preset", changesMethod],
  ["quantization.reduceRange", (override: Override) => changesField(override, (field) => field === "reduceRange")],
  ["quantization.firstLayerBits", changesBits],
  ["quantization.lastLayerBits", changesBits],
  ["quantization.weightBits", changesBits],
  ["quantization.activationBits", changesBits],
]);

/**
 * Returns the remedy of a finding as the changes that this run needs; null where the run has all of them already, or where its
 * configuration does not allow them.
 *
 * @param settings The run's configuration; undefined: not known, and the remedy stays as it is.
 *
 * @example
 * const remedy = { title: "use larger batches", changes: { "train.batchSize": config.train.batchSize } };
 * console.log(remedyForRun({ layers: [], remedy }, config)); // null: the run has it already
 */
export function remedyForRun(
  { layers, remedy }: Pick<Finding, "layers" | "remedy">,
  settings: TrainingConfig | undefined,
): Remedy | null {
  if (remedy === null || settings === undefined || Object.keys(remedy.changes).length === 0) return remedy;
  const holding = holdingOverrides(remedy.changes, layers, settings.quantization);
  const wanted: ConfigChanges = {
    ...companions(remedy.changes, settings),
    ...(holding.length === 0 ? {} : { "quantization.overrides": null }),
    ...remedy.changes,
  };
  const result = configWith(settings, wanted);
  if (result === undefined) return null;
  const changes = Object.fromEntries(
    Object.entries(wanted).filter(([path]) => !isEqual(settingAt(settings, path), settingAt(result, path))),
  );
  if (Object.keys(changes).length === 0) return null;
  const without = holding.length === 0 ? "" : `, without the override of ${holding.map(nameOf).join(" and ")}`;
  return { title: `${remedy.title}${without}`, changes };
}

/** What has to change with the changes of a remedy. */
function companions(changes: ConfigChanges, { quantization, train }: TrainingConfig): ConfigChanges {
  const preset = changes["quantization.preset"];
  const isOther = preset !== undefined && preset !== quantization?.preset;
  const isLonger = changes["train.epochs"] !== undefined && train.schedule.name === "step";
  return {
    ...(isOther ? Object.fromEntries(keysOfPreset.map((key) => [`quantization.${key}`, null])) : {}),
    ...(isLonger ? { "train.schedule.milestones": null } : {}),
  };
}

/** The overrides of the layers of a finding that would keep the changes from acting on them. */
function holdingOverrides(
  changes: ConfigChanges,
  layers: readonly string[],
  quantization: QuantizationSettings | null,
): readonly Override[] {
  return (quantization?.overrides ?? []).filter(
    (override) =>
      Object.keys(changes).some((path) => holds.get(path)?.(override) === true) &&
      (layers.length === 0 || layers.some((layer) => isFor(override, layer))),
  );
}

/** An override by operator may be for any layer. */
function isFor({ layer }: Override, name: string): boolean {
  return layer === undefined || matchesGlob(layer, name);
}

function nameOf({ layer, operator }: Override): string {
  return layer ?? operator ?? "all layers";
}

/** Whether two settings say the same; a key that is not there is null. */
function isEqual(a: unknown, b: unknown): boolean {
  return JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
}

/** The configuration with changes; undefined where a run of it cannot be started, because some presets have not all bits. */
function configWith(settings: TrainingConfig, changes: ConfigChanges): TrainingConfig | undefined {
  try {
    const changed = withChanges(settings, changes);
    if (changed.quantization === null) return changed;
    const { weight, activation } = quantizationOf(changed.quantization);
    const type = { dtype: "float32", shape: [64, 64, 4, 4] } as const;
    const parts = [
      ["weight", weight],
      ["activation", activation],
    ] as const;
    for (const [kind, tensor] of parts) {
      if (tensor !== null) resolveQuantizer(tensor, { name: kind, type, nonNegative: kind === "activation", kind });
    }
    return changed;
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}
