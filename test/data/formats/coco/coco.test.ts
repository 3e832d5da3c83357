/** Images with boxes: layouts, stretching, and what is refused, with the annotation and its line. */
import { describe, expect, test } from "vitest";
import { allocateBatch, type Dataset } from "../../../../src/data/dataset/dataset.ts";
import { type OpenOptions, openDataset } from "../../../../src/data/dataset/open-dataset.ts";
import { boxesIn } from "../../../../src/data/tasks/boxes.ts";
import { image, put } from "../../files.ts";
import { errorOf, temporaryFolder } from "../../support.ts";

type Files = Readonly<Record<string, Uint8Array | string>>;

async function open(files: Files, options: OpenOptions = {}) {
  return openDataset(await put(await temporaryFolder(), files), { validationSplit: 0, strides: [8], ...options });
}

async function refused(files: Files, options: OpenOptions = {}) {
  const error = await errorOf(() => open(files, options));
  return `${error.message}\n${error.where ?? ""}`;
}

async function boxesOf(dataset: Dataset) {
  const { target } = dataset;
  if (target.kind !== "boxes") throw new Error(target.kind);
  const batch = allocateBatch(dataset, dataset.count);
  const all = Int32Array.from({ length: dataset.count }, (_, i) => i);
  await dataset.prefetch?.(all);
  dataset.readBatch(all, batch);
  return Array.from(all, (sample) => boxesIn(batch.targets, sample, target));
}

const box = { id: 7, image_id: 3, category_id: 9, bbox: [4, 2, 10, 8] };
const document = (change: object = {}, annotations: readonly object[] = [box]) =>
  JSON.stringify(
    {
      info: { note: 'a "[" in a text' },
      images: [
        { id: 3, file_name: "a.png", width: 40, height: 20 },
        { id: 4, file_name: "b.png", width: 40, height: 20 },
      ],
      annotations,
      categories: [
        { id: 9, name: "dog" },
        { id: 2, name: "cat" },
      ],
      ...change,
    },
    undefined,
    1,
  );
const drawn = await image(40, 20, 50);
const images = { "images/a.png": drawn, "images/b.png": drawn };

describe("images with boxes", () => {
  test("are stretched with their boxes; classes are in the order of the categories' numbers", async () => {
    const { train, kind, notes } = await open({ ...images, "annotations.json": document() }, { size: 80 });
    expect(kind).toBe("coco");
    expect(train.target).toMatchObject({ kind: "boxes", classes: ["cat", "dog"], height: 80, width: 80, mostBoxes: 1 });
    const boxes = await boxesOf(train);
    expect(boxes).toEqual([[{ label: 1, corners: [8, 8, 28, 40], isCrowd: false }], []]);
    expect(notes.join("\n")).toMatch(/stretched to 80x80/);
  });

  test.each([
    ["a file in each part", ["train/_annotations.coco.json", "train/"], ["valid/_annotations.coco.json", "valid/"]],
    [
      "a folder of annotations",
      ["annotations/instances_train2017.json", "train2017/"],
      ["annotations/instances_val2017.json", "val2017/"],
    ],
    [
      "a folder of images",
      ["annotations/instances_train.json", "images/train/"],
      ["annotations/instances_val.json", "images/val/"],
    ],
  ])("come in parts: %s", async (_, [file = "", folder = ""], [held = "", other = ""]) => {
    const moved = document({}, [{ ...box, category_id: 2, iscrowd: 1 }]);
    const opened = await open({
      [file]: document(),
      [`${folder}a.png`]: drawn,
      [`${folder}b.png`]: drawn,
      [held]: moved,
      [`${other}a.png`]: drawn,
      [`${other}b.png`]: drawn,
    });
    expect((await boxesOf(opened.train))[0]?.[0]?.label).toBe(1);
    expect((await boxesOf(opened.test))[0]?.[0]).toMatchObject({ label: 0, isCrowd: true });
  });

  const line = (
    document({}, [box])
      .slice(0, document({}, [box]).indexOf('"id": 7'))
      .match(/\n/g) ?? []
  ).length;
  const wrong = (change: object) =>
    document({}, [
      { ...box, id: 5 },
      { ...box, ...change },
    ]);
  test.each([
    [
      "an unknown category",
      wrong({ category_id: 1 }),
      /annotation 7 has the category 1, which there is not.*annotations\.json, line \d+/s,
    ],
    ["an unknown image", wrong({ image_id: 1 }), /annotation 7 is for the image 1, which there is not/],
    [
      "a box outside",
      wrong({ bbox: [35, 2, 10, 8] }),
      /annotation 7 has the box \[35, 2, 10, 8\], which lies outside of its image a\.png of 40x20/,
    ],
    ["a box before the image", wrong({ bbox: [-3, 2, 10, 8] }), /annotation 7 .*outside/],
    ["a box without area", wrong({ bbox: [3, 2, 0, 8] }), /annotation 7 has a box of 0x8 pixels/],
    ["a box of three numbers", wrong({ bbox: [3, 2, 8] }), /annotation 7 is broken: bbox/],
    [
      "an image twice",
      document({
        images: [
          { id: 3, file_name: "a.png", width: 40, height: 20 },
          { id: 3, file_name: "b.png", width: 40, height: 20 },
        ],
      }),
      /image 3 comes twice/,
    ],
    [
      "a category twice",
      document({
        categories: [
          { id: 9, name: "dog" },
          { id: 9, name: "cat" },
        ],
      }),
      /category 9 comes twice/,
    ],
    [
      "another size",
      document({ images: [{ id: 3, file_name: "a.png", width: 20, height: 40 }] }),
      /40x20 pixels \(width x height\), .*states 20x40.*a\.png/s,
    ],
    [
      "a missing image",
      document({ images: [{ id: 3, file_name: "c.png", width: 40, height: 20 }] }),
      /there is no image c\.png/,
    ],
    [
      "a path that leads away",
      document({ images: [{ id: 3, file_name: "../c.png", width: 40, height: 20 }] }),
      /outside of the folder/,
    ],
    ["no list of annotations", "{}", /lists images, annotations and categories/],
    ["no JSON", "{", /no JSON/],
  ])("are refused: %s", async (_, text, message) => {
    expect(await refused({ ...images, "annotations.json": text })).toMatch(message);
  });

  test("are refused with the line of the annotation", async () => {
    const text = wrong({ category_id: 1 });
    const place = text.slice(0, text.indexOf('"id": 7')).split("\n").length - 1;
    expect(place).toBeGreaterThan(line);
    expect(await refused({ ...images, "annotations.json": text })).toMatch(new RegExp(`line ${place}$`));
  });

  test("a box a part of a pixel outside is cut, with a note", async () => {
    const { train, notes } = await open(
      { ...images, "annotations.json": document({}, [{ ...box, bbox: [30, -0.4, 10.3, 8] }]) },
      { size: [20, 40] },
    );
    expect((await boxesOf(train))[0]?.[0]?.corners).toEqual([30, 0, 40, Math.fround(7.6)]);
    expect(notes.join("\n")).toMatch(/1 boxes end up to a pixel outside/);
  });

  test("are refused with strides that do not rise, with resize, and for another task", async () => {
    const files = { ...images, "annotations.json": document() };
    expect(await refused(files, { strides: [16, 8] })).toMatch(/data\.strides/);
    expect(await refused(files, { resize: 50 })).toMatch(/data\.resize/);
    expect(await refused(files, { task: "classification" })).toMatch(/boxes to find/);
  });
});
