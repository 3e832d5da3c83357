/** What a run was trained on, as its checkpoints keep it, and how what is found later differs from it. */
import { z } from "zod";
import { sampleTypes } from "../data/dataset/sample-type.ts";

const partSchema = z.object({ count: z.number().int(), sha256: z.string() });

/** The schema of {@link RunInputs}. */
export const runInputsSchema = z.object({
  train: partSchema,
  test: partSchema,
  /** Of one sample. */
  sampleShape: z.array(z.number()),
  sampleType: z.enum(sampleTypes),
  /** Names of the classes, in the order of the network's outputs; absent for other targets. */
  classes: z.array(z.string()).exactOptional(),
  /** Names of the columns of a table, in the order of the network's inputs. */
  columns: z.array(z.string()).exactOptional(),
  mean: z.array(z.number()),
  std: z.array(z.number()),
  /** SHA-256 of the files of the model and of the teacher, by the key that names them. */
  files: z.record(z.string(), z.string()),
  /** Versions of the programs that computed the numbers. */
  versions: z.record(z.string(), z.string()),
});

/** The data, the files and the versions that a run was trained with. */
export type RunInputs = Readonly<z.output<typeof runInputsSchema>>;

/**
 * Returns in which way the data and the files are other ones than a run was trained with, one sentence each; none where they are
 * the same.
 *
 * @example
 * console.log(changedInputs(kept, { ...kept, classes: ["cat", "dog"] })); // ["the classes were dog, cat and are cat, dog"]
 */
export function changedInputs(before: RunInputs, now: RunInputs): string[] {
  const changes: string[] = [];
  const show = (names: readonly string[] | undefined) => names?.join(", ") ?? "none";
  if (show(before.classes) !== show(now.classes)) {
    changes.push(`the classes were ${show(before.classes)} and are ${show(now.classes)}`);
  }
  if (show(before.columns) !== show(now.columns)) {
    changes.push(`the columns were ${show(before.columns)} and are ${show(now.columns)}`);
  }
  for (const [name, part] of [
    ["training", "train"],
    ["test", "test"],
  ] as const) {
    const [old, present] = [before[part], now[part]];
    if (old.count !== present.count) {
      changes.push(`the ${name} part had ${old.count} samples and has ${present.count}`);
    } else if (old.sha256 !== present.sha256) {
      changes.push(`the ${name} part has as many samples as before, but their values, labels or names changed`);
    }
  }
  const isMoved = (a: readonly number[], b: readonly number[]) => a.some((value, i) => value !== b[i]);
  if (changes.length === 0 && (isMoved(before.mean, now.mean) || isMoved(before.std, now.std))) {
    changes.push("the normalization measured from the training part is another one");
  }
  for (const [key, sha256] of Object.entries(before.files)) {
    if (now.files[key] !== undefined && now.files[key] !== sha256) changes.push(`the content of ${key} changed`);
  }
  return changes;
}

/** Returns which programs have other versions than those that a run was trained with, in sentences. */
export function changedVersions(before: RunInputs, now: RunInputs): string[] {
  return Object.entries(before.versions).flatMap(([name, version]) => {
    const present = now.versions[name];
    if (present === undefined || present === version) return [];
    return [`the run was trained with ${name} ${version}, this is ${present}: the last bits of its numbers may differ`];
  });
}
