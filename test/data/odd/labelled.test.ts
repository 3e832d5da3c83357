/** Unusual IDX, CIFAR and NPZ files with labels: the samples and labels of torchvision and numpy, or a difference with its reason. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { openDataset } from "../../../src/data/dataset/open-dataset.ts";
import { put } from "../files.ts";
import { temporaryFolder } from "../support.ts";
import { answer, differenceFrom, filesOf, oddCases } from "./cases.ts";

const cases = oddCases("labelled", { open: z.string(), python: answer, labels: answer.optional() });

/** The cases that end in another way than in Python, and why. */
const differences: Readonly<Record<string, string>> = {
  // Python ignores zeros after gzip, as tapes had them; here they may be the rest of a damaged file.
  "idx by gzip with zeros after it": "refused: 5 bytes follow the gzip data",
  // QMNIST has labels of int32, in eight columns; torchvision's MNIST knows bytes only.
  "idx labels of int32": "read, though Python refuses it",
  // torchvision does not compare the two files.
  "idx one label more": "refused: 5 labels do not fit the 4 images in FOLDER/train-images-idx3-ubyte",
  "idx one label fewer": "refused: 3 labels do not fit the 4 images in FOLDER/train-images-idx3-ubyte",
  // There are no classes below 0.
  "idx negative labels": "refused: label -1 of image 2 is not one of the 2 classes (0..1)",
  "npz labels of -1 and 1": "refused: sample 0 has the label -1, which is not a whole number from 0 to 99999",
  // In numpy the user says which of the two.
  "npz data and images": "refused: data and images both seem to be the samples",
};

test.each(cases)("$name", async ({ name, files, open, python, labels }) => {
  const folder = await put(await temporaryFolder(), filesOf(files));
  const opened = openDataset(join(folder, open), { validationSplit: 0, normalization: "none" });
  const difference = await differenceFrom(python, opened, labels);
  expect(difference?.replaceAll(folder, "FOLDER")).toEqual(differences[name]);
});
