/** Unusual tables: the numbers of pandas, or a difference with its reason (docs/data.md). */
import { join } from "node:path";
import { expect, test } from "vitest";
import { openDataset } from "../../../src/data/dataset/open-dataset.ts";
import { put } from "../files.ts";
import { temporaryFolder } from "../support.ts";
import { answer, differenceFrom, filesOf, oddCases } from "./cases.ts";

const cases = oddCases("tables", { python: answer });

/** The cases that end in another way than in pandas, and why. */
const differences: Readonly<Record<string, string>> = {};

test.each(cases)("$name", async ({ name, files, python }) => {
  const folder = await put(await temporaryFolder(), filesOf(files));
  const opened = openDataset(join(folder, "t.csv"), { validationSplit: 0, target: null });
  expect(await differenceFrom(python, opened)).toEqual(differences[name]);
});
