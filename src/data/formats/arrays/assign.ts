/** Which array is for which input of a network, by names: `input_ids`, `attention_mask_train`, `test_labels`. */
import { FileFormatError } from "../../../errors.ts";
import { isPartWord, type PartName, partOfName, wordsOf } from "../../dataset/part-names.ts";
import { shortList } from "../../images/list-folder.ts";
import { roleOfName } from "./names.ts";

/** The arrays of one part: one for each input, and the targets. */
export interface InputArrays<T> {
  readonly inputs: ReadonlyMap<string, T>;
  readonly targets?: T;
}

/** The arrays by part. */
export interface AssignedArrays<T> {
  readonly train: InputArrays<T>;
  readonly test?: InputArrays<T>;
  readonly notes: readonly string[];
}

type Part = PartName | "only";

interface Slots<T> {
  readonly inputs: Map<string, T>;
  targets?: T;
}

/**
 * Sorts arrays by part and by input. An array is an input's where it has the input's name, with or without the word of a part; the
 * only input of a network takes what is called x, data or inputs too.
 *
 * @param names Of the network's inputs.
 * @param unused Names of inputs that the network does not read: arrays for them are left out.
 * @throws FileFormatError naming an array that is missing, that comes twice, or that no input takes.
 */
export function arraysByInput<T extends { readonly name: string }>(
  arrays: readonly T[],
  names: readonly string[],
  where: string,
  unused: readonly string[] = [],
): AssignedArrays<T> {
  const left = arrays.filter(({ name }) => inputOfName(plainName(name), unused) !== undefined).map(({ name }) => name);
  const parts = new Map<Part, Slots<T>>();
  const wanted = `the model's ${names.length === 1 ? "input is" : "inputs are"} ${names.join(", ")}`;
  for (const array of arrays) {
    const plain = plainName(array.name);
    if (left.includes(array.name)) continue;
    const found = inputOfName(plain, names) ?? roleFor(plain, names, arrays.length);
    if (found === undefined) {
      throw new FileFormatError(`the array ${array.name} is none of the model's inputs, and no targets`, {
        where,
        remedy: `Leave it out, or rename it: ${wanted}; targets are called labels or y.`,
      });
    }
    const slots = parts.get(found.part) ?? { inputs: new Map<string, T>() };
    parts.set(found.part, slots);
    const other = found.input === undefined ? slots.targets : slots.inputs.get(found.input);
    if (other !== undefined) {
      throw new FileFormatError(`${other.name} and ${array.name} both seem to be the ${found.input ?? "targets"}`, {
        where,
        remedy: "Leave only one of them.",
      });
    }
    if (found.input === undefined) slots.targets = array;
    else slots.inputs.set(found.input, array);
  }
  for (const [part, { inputs }] of parts) {
    const missing = names.filter((name) => !inputs.has(name));
    if (missing.length === 0) continue;
    const of = part === "only" ? "" : ` of the ${part} part`;
    throw new FileFormatError(`there is no array for the input ${missing.join(", ")}${of}`, {
      where,
      remedy: `There are ${shortList(arrays.map(({ name }) => name))}; ${wanted}.`,
    });
  }
  const [train, validation, test] = [
    parts.get("train") ?? parts.get("only"),
    parts.get("validation"),
    parts.get("test"),
  ];
  const heldOut = validation ?? test;
  const first = train ?? heldOut;
  if (first === undefined) {
    throw new FileFormatError("there are no arrays", { where, remedy: `Save one for each input: ${wanted}.` });
  }
  const second = train === undefined ? undefined : heldOut;
  if (second !== undefined && (first.targets === undefined) !== (second.targets === undefined)) {
    throw new FileFormatError("one part has targets, the other has none", { where });
  }
  const both = validation !== undefined && test !== undefined;
  return {
    train: first,
    ...(second === undefined ? {} : { test: second }),
    notes: [
      ...(both ? ["validation uses the validation part; the test part is ignored"] : []),
      ...(left.length > 0 ? [`the model does not read ${shortList(left)}`] : []),
    ],
  };
}

function plainName(name: string): string {
  return name.replace(/\.npy$/i, "");
}

/** The input that an array has the name of. */
function inputOfName(
  name: string,
  inputs: readonly string[],
): { readonly part: Part; readonly input?: string } | undefined {
  if (inputs.includes(name)) return { part: "only", input: name };
  const part = partOfName(name);
  if (part === undefined) return undefined;
  const rest = withoutPart(name);
  const input = inputs.find((one) => withoutPart(one) === rest);
  return input === undefined ? undefined : { part, input };
}

/** The words of a name without that of a part, as one text. */
function withoutPart(name: string): string {
  return wordsOf(name)
    .filter((word) => !isPartWord(word))
    .join(" ");
}

/** Targets, and what is called as samples are where there is one input only. */
function roleFor(
  name: string,
  inputs: readonly string[],
  count: number,
): { readonly part: Part; readonly input?: string } | undefined {
  const [only, second] = inputs;
  const role = roleOfName(name);
  if (role?.role === "targets" && !role.isWeak) return { part: role.part };
  if (only === undefined || second !== undefined) return undefined;
  if (role?.role === "samples") return { part: role.part, input: only };
  return count === 1 ? { part: "only", input: only } : undefined;
}
