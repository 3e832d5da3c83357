/**
 * Findings: a cause in the field's terms, the layers that it is in, the measurements that support or contradict it, a
 * confidence, and the change of configuration that corrects it. `findings.json` of a run's folder holds them.
 *
 * The diagnosis writes them; a study keeps them with its trials, and reports show them. The most likely cause comes first.
 */
import { z } from "zod";

/** A measurement that supports a finding, or contradicts it. */
export interface Evidence {
  /** The measured quantity: `levels`, `clipped share`, `scale gradient / scale`. */
  readonly measurement: string;
  /** The layer or tensor it was measured on; absent: the whole network. */
  readonly layer?: string;
  readonly value: number;
  /** The value from which on it supports the cause, or up to which where small values do. */
  readonly threshold?: number;
  readonly supports: boolean;
}

/** A change of configuration: dotted keys of the training configuration and their new values. */
export interface Remedy {
  readonly title: string;
  readonly changes: Readonly<Record<string, string | number | boolean | null>>;
}

/** A cause with its layers, evidence, confidence and remedy. */
export interface Finding {
  /** A stable name for programs: `reduced-range`, `scale-too-large`. */
  readonly cause: string;
  /** The cause as a sentence. */
  readonly title: string;
  readonly layers: readonly string[];
  readonly evidence: readonly Evidence[];
  /** 0 to 1; from {@link highConfidence} on it is worth acting on. */
  readonly confidence: number;
  readonly remedy: Remedy | null;
  /** The command that trains the run again with the remedy; absent where there is nothing to change, or the run is not known. */
  readonly command?: string;
}

/** Returns the changes of a remedy as flags of `subbyte train`, in one text; none where it changes no key. */
export function changesAsFlags({ changes }: Remedy): string[] {
  const flags = Object.entries(changes).map(([key, value]) => `--set ${key}=${value}`);
  return flags.length === 0 ? [] : [flags.join(" ")];
}

/** The confidence from which on a finding asks for action. */
export const highConfidence = 0.6;

const evidence = z.object({
  measurement: z.string().min(1),
  layer: z.string().exactOptional(),
  value: z.number(),
  threshold: z.number().exactOptional(),
  supports: z.boolean(),
}) satisfies z.ZodType<Evidence>;

const remedy = z.object({
  title: z.string().min(1),
  changes: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
}) satisfies z.ZodType<Remedy>;

const finding = z.object({
  cause: z.string().min(1),
  title: z.string().min(1),
  layers: z.array(z.string()),
  evidence: z.array(evidence),
  confidence: z.number().min(0).max(1),
  remedy: remedy.nullable(),
  command: z.string().exactOptional(),
}) satisfies z.ZodType<Finding>;

/** The content of findings.json. */
export const findingsFileSchema = z.object({ schemaVersion: z.literal(1), findings: z.array(finding) });
