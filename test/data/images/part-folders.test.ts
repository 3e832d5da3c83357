/** Folders of parts by any usual name, and classes that are called like parts. */
import { beforeAll, describe, expect, test } from "vitest";
import { openDataset } from "../../../src/data/dataset/open-dataset.ts";
import { isOnlyPartName, partOfName } from "../../../src/data/dataset/part-names.ts";
import { image, put } from "../files.ts";
import { errorOf, temporaryFolder } from "../support.ts";

let png: Buffer;
beforeAll(async () => {
  png = await image(4, 4, [1, 2, 3]);
});

/** Opens folders with two images each. */
async function open(...folders: readonly string[]) {
  const files = folders.flatMap((name) => [1, 2].map((i) => [`${name}/${i}.png`, png] as const));
  const folder = await put(await temporaryFolder(), Object.fromEntries(files));
  const { train, test, notes } = await openDataset(folder, { validationSplit: 0 });
  const classes = train.target.kind === "classes" ? train.target.classes : [];
  return { classes, counts: [train.count, test.count], notes: notes.join("\n") };
}

test("names imply parts", () => {
  const cases: Record<string, string | undefined> = {
    train: "train",
    Training_Set: "train",
    trainImages: "train",
    train2017: "train",
    "images train": "train",
    trainset: "train",
    seg_train: "train",
    "val.images": "validation",
    valid: "validation",
    test_set: "test",
    TestImages: "test",
    constrain: undefined,
    trains: undefined,
    contest: undefined,
    train_test: undefined,
    cats: undefined,
  };
  for (const [name, part] of Object.entries(cases)) expect([name, partOfName(name)]).toEqual([name, part]);
  expect(["train", "Training Set", "train_station"].map(isOnlyPartName)).toEqual([true, true, false]);
});

describe("parts", () => {
  test.each([
    ["train", "val"],
    ["train", "test"],
    ["training_set", "test_set"],
    ["train_set", "val_set"],
    ["images_train", "images_valid"],
    ["Train", "Validation"],
    ["TrainImages", "TestImages"],
    ["cats_dogs_train", "cats_dogs_test"],
    ["unpacked/train", "unpacked/test"],
  ])("%s and %s", async (first, second) => {
    const { classes, counts } = await open(`${first}/cat`, `${first}/dog`, `${second}/cat`, `${second}/dog`);
    expect([classes, counts]).toEqual([
      ["cat", "dog"],
      [4, 4],
    ]);
  });

  test("validation before test, the other one and further folders in a note", async () => {
    const { counts, notes } = await open("train/a", "train/b", "val/a", "test/a", "test/b", "extra/a");
    expect(counts).toEqual([4, 2]);
    expect(notes).toContain("the parts are train/, val/; not used: extra/, test/");
  });

  test("one part alone, and a test part without labels", async () => {
    expect((await open("test/a", "test/b")).classes).toEqual(["a", "b"]);
    const { counts, notes } = await open("train/a", "train/b", "test");
    expect(counts).toEqual([4, 4]);
    expect(notes).toContain("test/ has no class folders, so no labels: it is not used");
  });

  test("two candidates, or none to train on, are refused", async () => {
    expect((await errorOf(() => open("cats_train/a", "dogs_train/a", "test/a"))).message).toMatch(
      /several folders look like the training part: cats_train\/, dogs_train\//,
    );
    expect((await errorOf(() => open("val/a", "test/a"))).message).toMatch(/no training part next to val\/, test\//);
  });
});

describe("classes", () => {
  test.each([
    [["bus", "car", "train"], "train/ is taken for a class next to bus/, car/"],
    [["bus", "car", "test"], "test/ is taken for a class next to bus/, car/"],
    [["bus", "test_site", "train_station"], "train_station/, test_site/ are taken for classes next to bus/"],
    [["test_site", "train_station"], "call one train/ if they are parts"],
  ])("%s", async (folders, note) => {
    const { classes, notes } = await open(...folders);
    expect(classes).toEqual(folders);
    expect(notes).toContain(note);
  });

  test("one level too high, or parts inside of classes: in a note", async () => {
    const domains = await open("amazon/bike", "amazon/mug", "webcam/bike", "webcam/mug");
    expect(domains.notes).toMatch(/holds bike\/, mug\/, which look like the classes; then give the path of one/);
    const inside = await open("cat/train", "cat/val", "dog/train", "dog/val");
    expect(inside.notes).toMatch(/holds train\/, val\/, which look like parts: their images are taken together/);
  });

  test("the only folder is read instead of being the only class", async () => {
    const { classes, notes } = await open("PetImages/Cat", "PetImages/Dog");
    expect(classes).toEqual(["Cat", "Dog"]);
    expect(notes).toContain("PetImages/ is the only folder in ");
  });
});
