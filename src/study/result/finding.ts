/**
 * What a diagnosis says about a trial: the seam between the diagnosis of runs and the study.
 *
 * Whoever diagnoses a run writes `findings.json` into its directory; the study reads it, keeps it with the trial and
 * shows it in the report. The most likely cause comes first.
 */
import { z } from "zod";

/** A measurement that speaks for a finding, or that would have spoken against it. */
const evidence = z.object({
  /** What was measured: `levels`, `clipped share`, `scale gradient / scale`. */
  measurement: z.string().min(1),
  /** The layer or tensor it was measured on; absent: the whole network. */
  layer: z.string().exactOptional(),
  value: z.number(),
  /** The value from which on it supports the cause. */
  threshold: z.number().exactOptional(),
  supports: z.boolean(),
});

/** A change of configuration: dotted keys of the training configuration and their new values. */
const remedy = z.object({
  title: z.string().min(1),
  changes: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
});

const finding = z.object({
  /** A stable name for programs: `reduced-range`, `scale-too-large`. */
  cause: z.string().min(1),
  /** The cause in the field's own words, as a sentence. */
  title: z.string().min(1),
  layers: z.array(z.string()),
  evidence: z.array(evidence),
  /** 0 to 1. */
  confidence: z.number().min(0).max(1),
  remedy: remedy.nullable(),
});

/** The content of findings.json. */
export const findingsFileSchema = z.object({ schemaVersion: z.literal(1), findings: z.array(finding) });

export type Evidence = z.output<typeof evidence>;
export type Remedy = z.output<typeof remedy>;
export type Finding = z.output<typeof finding>;
