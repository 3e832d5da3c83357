/** The study as a function: what `subbyte study` does, for programs. */
import type { z } from "zod";
import { resolveStudyConfig } from "./plan/config.ts";
import type { studySchema } from "./plan/schema.ts";
import { type FinishedStudy, runStudy, type StudyListeners, type StudyOptions } from "./run-study.ts";

/** A study's configuration as it is written: the keys of a study.yaml. What is left out has its default. */
export type StudyInput = z.input<typeof studySchema>;

/** The folder of a study, and its listeners. */
export interface StudyLocation extends Pick<StudyOptions, "folder" | "parallel">, StudyListeners {}

/**
 * Trains a grid of weight bits and activation bits, and reports what converged, what did not and why, and what fixes it.
 *
 * Every trial is a separate process. Called again with the same folder and configuration, it resumes.
 *
 * @example
 * const start = () =>
 *   study({ model: { name: "resnet8" }, weightBits: [8, 4], activationBits: [8, 4, 3] }, { folder: "studies/mine" });
 * console.log(typeof start); // function: it takes minutes, and returns the map; writeReport("studies/mine") draws it
 * @throws ConfigError when the configuration is wrong or the folder holds another study; InterruptedError when the
 * signal stopped it; RuntimeError when the float network could not be trained, or the first three trials failed with the same
 * message. Any other trial that fails does not throw.
 */
export async function study(
  config: StudyInput,
  { folder, parallel, ...listeners }: StudyLocation,
): Promise<FinishedStudy> {
  const source = { name: "study", text: JSON.stringify(config) };
  const options = { folder, config: resolveStudyConfig(source), ...(parallel === undefined ? {} : { parallel }) };
  return runStudy(options, listeners);
}
