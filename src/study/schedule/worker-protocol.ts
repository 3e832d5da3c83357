/** The messages between a study and its workers, as plain JSON; the worker validates its job. */
import { z } from "zod";

/** The folder of a run, relative to the study's folder, in which the worker runs. */
const place = { parent: z.string(), name: z.string() };

/** The schema of a job that a study sends to a worker. */
export const workerJobSchema = z.discriminatedUnion("kind", [
  /** A run, new or resumed. */
  z.strictObject({
    kind: z.literal("run"),
    ...place,
    /** The resolved training configuration. */
    config: z.string(),
    /** Whether to measure while it trains, and to write findings.json. */
    diagnose: z.boolean(),
    /** Whether it stops, and fails, where a finding is certain; absent: no. */
    stopOnFault: z.boolean().exactOptional(),
  }),
  /** The ablations of a finished run: ablation.json, and findings.json with what they say. */
  z.strictObject({ kind: z.literal("ablate"), ...place, threads: z.int().min(1) }),
]);
/** The one job of a worker. */
export type WorkerJob = z.output<typeof workerJobSchema>;

/** The schema of an event that a worker reports. */
export const workerEventSchema = z.discriminatedUnion("kind", [
  /** A file of the trial is not what was written: the trial is trained again. */
  z.object({ kind: z.literal("damaged"), reason: z.string() }),
  z.object({ kind: z.literal("started"), step: z.number(), totalSteps: z.number() }),
  z.object({ kind: z.literal("step"), step: z.number(), epoch: z.number() }),
  z.object({ kind: z.literal("epoch"), epoch: z.number(), step: z.number(), accuracy: z.number() }),
  /** What a probe found for certain, or took back, as one line. */
  z.object({ kind: z.literal("finding"), text: z.string() }),
  z.object({ kind: z.literal("finished"), accuracy: z.number(), peakMemoryBytes: z.number() }),
  z.object({ kind: z.literal("interrupted") }),
  z.object({ kind: z.literal("failed"), reason: z.string() }),
]);
/** An event that a worker reports. The final one is one of the last three; a worker that ends without it has died. */
export type WorkerEvent = z.output<typeof workerEventSchema>;

/** The message that asks a running worker to stop. */
export const stopRequest = "stop";
