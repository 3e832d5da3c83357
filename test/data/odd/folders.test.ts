/** Unusual folders of images: the classes of torchvision's ImageFolder, or a difference with its reason (docs/data.md). */
import { expect, test } from "vitest";
import { z } from "zod";
import { findImages } from "../../../src/data/images/files.ts";
import { SubbyteError } from "../../../src/errors.ts";
import { put } from "../files.ts";
import { temporaryFolder } from "../support.ts";
import { filesOf, oddCases } from "./cases.ts";

const found = z.object({ values: z.object({ classes: z.array(z.string()), labels: z.array(z.number()) }) });
const cases = oddCases("folders", { python: z.union([found, z.object({ error: z.string() })]) });

/** The cases that end in another way than in torchvision, and how. */
const differences: Readonly<Record<string, unknown>> = {
  // Images without labels are data too: for distillation.
  "no class folders": { classes: [], labels: [0, 0] },
  // Hidden names and leftovers of archive programs are no data.
  "a hidden folder": { classes: ["a", "b"], labels: [0, 1] },
  "a hidden file": { classes: ["a", "b"], labels: [0, 1] },
  "leftovers of an archive": { classes: ["a", "b"], labels: [0, 1] },
  // There, the caller gives the path of a part, or of the folder inside.
  "a folder around the classes": { classes: ["a", "b"], labels: [0, 1] },
  parts: { classes: ["a", "b"], labels: [0, 1] },
};

test.each(cases)("$name", async ({ name, files, python }) => {
  const folder = await put(await temporaryFolder(), filesOf(files));
  const outcome = await findImages(folder).then(
    ({ train }) => ({ classes: train.classes ?? [], labels: Array.from(train.labels) }),
    (error) => {
      if (error instanceof SubbyteError) return "refused";
      throw error;
    },
  );
  expect(outcome).toEqual(differences[name] ?? ("error" in python ? "refused" : python.values));
});
