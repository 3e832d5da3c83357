/** The roles of arrays by their names: `x_train`, `test_labels`, `images`, `arr_1`. */
import { defined } from "../../../base/defined.ts";
import { FileFormatError } from "../../../errors.ts";
import { type PartName, partOfName, wordsOf } from "../../dataset/part-names.ts";
import { shortList } from "../../images/list-folder.ts";

/** The part and the role of an array. */
export interface ArrayRole {
  /** `only` where the name contains no part. */
  readonly part: PartName | "only";
  readonly role: "samples" | "targets";
  /** Whether another array is preferred for the role: `train_mean` is not the samples next to `x_train`. */
  readonly isWeak: boolean;
}

const sampleWords = ["x", "images", "image", "imgs", "data", "features", "inputs", "input", "samples", "arr_0"];
const targetWords = ["y", "labels", "label", "targets", "target", "outputs", "output", "arr_1"];
/** The targets where nothing else is: next to `y` they are the names of classes, or how many there are. */
const weakTargetWords = ["classes"];

/** Returns the role that a name implies; undefined when it implies none. */
export function roleOfName(name: string): ArrayRole | undefined {
  const plain = name.replace(/\.npy$/i, "");
  const words = /^arr_\d+$/.test(plain) ? [plain] : wordsOf(plain);
  const part = partOfName(plain) ?? "only";
  const includesOneOf = (known: readonly string[]) => words.some((word) => known.includes(word));
  // `target_names` are not the targets.
  if (words.includes("names")) return undefined;
  if (includesOneOf(targetWords)) return { part, role: "targets", isWeak: false };
  if (includesOneOf(sampleWords)) return { part, role: "samples", isWeak: false };
  if (includesOneOf(weakTargetWords)) return { part, role: "targets", isWeak: true };
  // `train.npy` and `test.npy` alone are samples.
  return part === "only" ? undefined : { part, role: "samples", isWeak: true };
}

/** The arrays of one part. */
export interface NamedPair<T> {
  readonly samples: T;
  readonly targets?: T;
}

/** The arrays of a file or folder by part. */
export interface NamedParts<T> {
  readonly train: NamedPair<T>;
  readonly test?: NamedPair<T>;
  readonly notes: readonly string[];
}

/**
 * Sorts arrays into parts by their names. Where there are a validation and a test part, the validation part is used.
 *
 * @throws FileFormatError when nothing is named as samples, two arrays have the same role, or a pair is incomplete.
 */
export function partsByName<T extends { readonly name: string }>(arrays: readonly T[], where: string): NamedParts<T> {
  const names = shortList(arrays.map(({ name }) => name));
  const slots = new Map<string, T>();
  const unused: string[] = [];
  const only = arrays.length === 1 ? ({ part: "only", role: "samples", isWeak: false } as const) : undefined;
  const roles = arrays.map((array) => ({ array, role: only ?? roleOfName(array.name) }));
  // The weak ones last, when it is known which roles are taken.
  for (const { array, role } of [
    ...roles.filter((one) => !one.role?.isWeak),
    ...roles.filter((one) => one.role?.isWeak),
  ]) {
    const slot = role === undefined ? undefined : `${role.part} ${role.role}`;
    const other = slot === undefined ? undefined : slots.get(slot);
    const isTaken = role?.isWeak === true && other !== undefined && roleOfName(other.name)?.isWeak === false;
    if (slot === undefined || isTaken) {
      unused.push(array.name);
      continue;
    }
    if (other !== undefined) {
      throw new FileFormatError(`${other.name} and ${array.name} both seem to be the ${slot.replace("only ", "")}`, {
        where,
        remedy: "Name them x_train, y_train, x_test, y_test, and leave only one of each.",
      });
    }
    slots.set(slot, array);
  }
  const pair = (part: ArrayRole["part"]): NamedPair<T> | undefined => {
    const samples = slots.get(`${part} samples`);
    const targets = slots.get(`${part} targets`);
    if (samples === undefined && targets !== undefined) {
      throw new FileFormatError(`there are targets, ${targets.name}, but no samples for them among ${names}`, {
        where,
        remedy: "Name the samples x (or x_train, x_test) and the targets y.",
      });
    }
    return samples === undefined ? undefined : { samples, ...defined({ targets }) };
  };
  const [train, validation, test] = [pair("train") ?? pair("only"), pair("validation"), pair("test")];
  const heldOut = validation ?? test;
  const first = train ?? heldOut;
  if (first === undefined) {
    throw new FileFormatError(`no array is named as samples: there are ${names === "" ? "none" : names}`, {
      where,
      remedy: "Name them x and y, or x_train, y_train, x_test, y_test.",
    });
  }
  const second = train === undefined ? undefined : heldOut;
  const notes: string[] = [];
  if (unused.length > 0)
    notes.push(
      `arrays ignored, because their names imply no role, or one that another array has: ${shortList(unused)}`,
    );
  if (validation !== undefined && test !== undefined)
    notes.push(`validation uses ${validation.samples.name}; ${test.samples.name} is ignored`);
  if (second !== undefined && (first.targets === undefined) !== (second.targets === undefined)) {
    const lacking = first.targets === undefined ? first : second;
    throw new FileFormatError(`${lacking.samples.name} has no targets, but the other part has`, { where });
  }
  return { train: first, ...defined({ test: second }), notes };
}
