/** Annotations in COCO's format: https://cocodataset.org/#format-data, of which boxes, images and categories are read. */
import { z } from "zod";
import { FileFormatError } from "../../../errors.ts";
import { readTextLimited } from "../../../io/read-limited.ts";
import type { LabelledBox } from "../../tasks/boxes.ts";

/** An image with its boxes, in pixels of the image. */
export interface AnnotatedImage {
  readonly file: string;
  readonly width: number;
  readonly height: number;
  readonly boxes: readonly LabelledBox[];
}

/** The contents of an annotation file. */
export interface Annotations {
  /** Names in the order of the categories' numbers. */
  readonly classes: readonly string[];
  readonly images: readonly AnnotatedImage[];
  /** Boxes that ended up to a pixel outside of their image, and were cut. */
  readonly cut: number;
}

const largestFile = 2 ** 29;
/** Pixels that a box may stand out of its image: annotation programs round. */
const mostOutside = 1;

const size = z
  .int()
  .min(1)
  .max(2 ** 20);
const category = z.object({ id: z.int(), name: z.string().min(1) });
const imageEntry = z.object({ id: z.int(), file_name: z.string().min(1), width: size, height: size });
const annotation = z.object({
  id: z.union([z.int(), z.string()]).optional(),
  image_id: z.int(),
  category_id: z.int(),
  bbox: z.tuple([z.number(), z.number(), z.number(), z.number()]),
  iscrowd: z.union([z.literal(0), z.literal(1), z.boolean()]).default(0),
});
const lists = z.object({
  categories: z.array(z.unknown()),
  images: z.array(z.unknown()),
  annotations: z.array(z.unknown()),
});

/**
 * Reads annotations.
 *
 * @param known The classes in the order of their numbers, where they are given.
 * @throws FileFormatError naming the file, the annotation and its line.
 */
export async function readAnnotations(path: string, known?: readonly string[]): Promise<Annotations> {
  const text = await readTextLimited(path, largestFile);
  const { categories, images, annotations } = parse(text, path);
  const at = (list: string, index: number) => `${path}, line ${lineOf(text, list, index)}`;
  const entries = <T>(list: string, values: readonly unknown[], schema: z.ZodType<T>, what: string): T[] =>
    values.map((value, index) => {
      const result = schema.safeParse(value);
      if (result.success) return result.data;
      const [issue] = result.error.issues;
      throw new FileFormatError(
        `${what} ${nameOf(value, index)} is broken: ${issue?.path.join(".") || "it"}: ${issue?.message ?? "unknown"}`,
        { where: at(list, index), remedy: "Correct the annotations: see docs/data.md for what is read." },
      );
    });
  const classOf = numbered(entries("categories", categories, category, "category"), known, at);
  const found = entries("images", images, imageEntry, "image");
  const byId = new Map<number, { readonly image: (typeof found)[number]; readonly boxes: LabelledBox[] }>();
  for (const [index, image] of found.entries()) {
    if (byId.has(image.id))
      throw new FileFormatError(`the image ${image.id} comes twice`, { where: at("images", index) });
    byId.set(image.id, { image, boxes: [] });
  }
  let cut = 0;
  for (const [index, value] of entries("annotations", annotations, annotation, "annotation").entries()) {
    const name = `annotation ${value.id ?? `number ${index + 1}`}`;
    const refuse = (message: string, remedy: string) =>
      new FileFormatError(`${name} ${message}`, { where: at("annotations", index), remedy });
    const owner = byId.get(value.image_id);
    if (owner === undefined)
      throw refuse(`is for the image ${value.image_id}, which there is not`, "Correct or remove it.");
    const label = classOf.numbers.get(value.category_id);
    if (label === undefined) {
      throw refuse(
        `has the category ${value.category_id}, which there is not`,
        `The categories are ${[...classOf.numbers.keys()].join(", ")}.`,
      );
    }
    const [left, top, width, height] = value.bbox;
    if (!(width > 0 && height > 0)) {
      throw refuse(
        `has a box of ${width}x${height} pixels`,
        "Correct or remove it: a box is [left, top, width, height].",
      );
    }
    const { image } = owner;
    const [right, bottom] = [left + width, top + height];
    if (Math.max(-left, -top, right - image.width, bottom - image.height) > mostOutside) {
      throw refuse(
        `has the box [${value.bbox.join(", ")}], which lies outside of its image ${image.file_name} of ${image.width}x${image.height} (width x height)`,
        "Correct or remove it: a box is [left, top, width, height], in pixels.",
      );
    }
    const corners = [
      Math.max(0, left),
      Math.max(0, top),
      Math.min(image.width, right),
      Math.min(image.height, bottom),
    ] as const;
    if (corners.some((corner, i) => corner !== [left, top, right, bottom][i])) cut++;
    if (corners[2] <= corners[0] || corners[3] <= corners[1]) {
      throw refuse("has a box without area within its image", "Correct or remove it.");
    }
    owner.boxes.push({ corners: [...corners], label, isCrowd: value.iscrowd === true || value.iscrowd === 1 });
  }
  return {
    classes: classOf.names,
    images: [...byId.values()].map(({ image: { file_name: file, width, height }, boxes }) => ({
      file,
      width,
      height,
      boxes,
    })),
    cut,
  };
}

function parse(text: string, path: string): z.infer<typeof lists> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new FileFormatError(`it is no JSON: ${cause instanceof Error ? cause.message : "unknown"}`, {
      where: path,
      cause,
    });
  }
  const result = lists.safeParse(parsed);
  if (result.success) return result.data;
  throw new FileFormatError("it does not have the lists images, annotations and categories", {
    where: path,
    remedy: "Give annotations of objects in COCO's format.",
  });
}

function nameOf(value: unknown, index: number): string {
  const id = typeof value === "object" && value !== null && "id" in value ? value.id : undefined;
  return typeof id === "number" || typeof id === "string" ? `${id}` : `number ${index + 1}`;
}

/** The class numbers of categories. */
function numbered(
  categories: readonly z.infer<typeof category>[],
  known: readonly string[] | undefined,
  at: (list: string, index: number) => string,
): { readonly names: readonly string[]; readonly numbers: ReadonlyMap<number, number> } {
  const [ids, names] = [new Set<number>(), new Set<string>()];
  for (const [index, { id, name }] of categories.entries()) {
    const where = at("categories", index);
    if (ids.has(id)) throw new FileFormatError(`the category ${id} comes twice`, { where });
    if (names.has(name)) throw new FileFormatError(`the category ${name} comes twice`, { where });
    if (known !== undefined && !known.includes(name)) {
      throw new FileFormatError(`the category ${name} is not one of the classes ${known.join(", ")}`, {
        where,
        remedy: "The classes are those of the training part, or of data.classes.",
      });
    }
    ids.add(id);
    names.add(name);
  }
  const ordered = [...categories].sort((a, b) => a.id - b.id);
  const all = known ?? ordered.map(({ name }) => name);
  return { names: all, numbers: new Map(ordered.map(({ id, name }) => [id, all.indexOf(name)])) };
}

/** Returns the line that an entry of a list of the outermost object begins in, counted from 1. */
export function lineOf(text: string, list: string, index: number): number {
  let [depth, line, entry] = [0, 1, -1];
  let key = "";
  let isIn = false;
  for (let i = 0; i < text.length; i++) {
    const letter = text[i];
    if (letter === "\n") line++;
    if (letter === '"') {
      const start = i + 1;
      for (i = start; i < text.length && text[i] !== '"'; i++) if (text[i] === "\\") i++;
      if (depth === 1) key = text.slice(start, i);
    }
    if (letter === "[" || letter === "{") {
      depth++;
      if (letter === "[" && depth === 2) isIn = key === list;
      if (depth === 3 && isIn && ++entry === index) return line;
    }
    if (letter === "]" || letter === "}") depth--;
    if (depth === 1) isIn = false;
  }
  return line;
}
