/** Unusual arrays and archives: the values of numpy, or a difference with its reason. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { openDataset } from "../../../src/data/dataset/open-dataset.ts";
import { put } from "../files.ts";
import { temporaryFolder } from "../support.ts";
import { answer, differenceFrom, filesOf, oddCases } from "./cases.ts";

const cases = oddCases("arrays", { open: z.string(), python: answer });

/** The cases that end in another way than in Python, and why. */
const differences: Readonly<Record<string, string>> = {
  // No network learns from them.
  "npy with infinity": "refused: sample 1 holds Infinity",
  "npy with NaN": "refused: sample 1 holds NaN",
  "npy beyond float32": "refused: sample 0 holds Infinity",
  // numpy reads what its header states and ignores the rest, which may be the half of another array.
  "npy with bytes after it": "refused: 4 bytes follow the 4x2x3 elements of 8 bytes = 192 bytes that the header states",
  "npy header with a key twice": "refused: the header is no dictionary of descr, fortran_order and shape, each once",
  // numpy knows the kind of a file by its first bytes, here it is known by its name.
  "npz with bytes before it": "read, though Python refuses it",
  "npz that is npy": "refused: it is not a ZIP archive, or it is truncated: its end is missing",
  // The words in a name say what an array is for; Python was asked for x, and these are called deep/x and ../../x.
  "npz with a folder": "read, though Python refuses it",
  "npz with a traversal": "read, though Python refuses it",
  // numpy.savez writes neither.
  "npz by bzip2": "refused: it is packed by method 12; only stored and deflated files are read",
  "npz by LZMA": "refused: it is packed by method 14; only stored and deflated files are read",
  "npz twice the same name": "refused: x.npy is in the archive twice",
};

test.each(cases)("$name", async ({ name, files, open, python }) => {
  const folder = await put(await temporaryFolder(), filesOf(files));
  const opened = openDataset(join(folder, open), { validationSplit: 0, layout: "asIs", normalization: "none" });
  const difference = await differenceFrom(python, opened);
  expect(difference).toEqual(differences[name]);
});
