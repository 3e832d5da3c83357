/** Where the images and the masks of each part lie, and which mask belongs to which image. */
import { extname, join } from "node:path";
import { defined } from "../../../base/defined.ts";
import { FileFormatError } from "../../../errors.ts";
import { isImage, listFolder, shortList } from "../../images/list-folder.ts";
import { findPartFolders } from "../../images/part-folders.ts";

/** The names of the two folders. */
export const [imageFolder, maskFolder] = ["images", "masks"] as const;

/** The images of one part with their masks, in the order of their names. */
export interface MaskedPart {
  readonly folder: string;
  /** Paths below the folder. */
  readonly images: readonly string[];
  readonly masks: readonly string[];
}

/** Both parts. */
export interface MaskedParts {
  readonly train: MaskedPart;
  readonly test?: MaskedPart;
  readonly notes: readonly string[];
}

/** Whether folders of these names are images with masks. */
export function areMaskFolders(folders: readonly string[]): boolean {
  return folders.includes(imageFolder) && folders.includes(maskFolder);
}

/**
 * Finds `images/` and `masks/` with the same files, or the parts in them (`images/train`, `masks/train`), or both in each part
 * (`train/images`, `train/masks`).
 *
 * @throws FileFormatError for an image without a mask, or two images of one name.
 */
export async function findMasks(folder: string): Promise<MaskedParts> {
  const { folders } = await listFolder(folder);
  const isOutside = areMaskFolders(folders);
  const layout = await findPartFolders(isOutside ? join(folder, imageFolder) : folder);
  const notes = [...layout.notes];
  const part = (name: string | undefined) => {
    const places = isOutside
      ? [join(imageFolder, name ?? ""), join(maskFolder, name ?? "")]
      : [join(name ?? "", imageFolder), join(name ?? "", maskFolder)];
    return pairs(isOutside ? folder : layout.root, places[0] ?? "", places[1] ?? "", notes);
  };
  const train = await part(layout.train);
  return { train, ...defined({ test: layout.test === undefined ? undefined : await part(layout.test) }), notes };
}

async function pairs(folder: string, images: string, masks: string, notes: string[]): Promise<MaskedPart> {
  const files = (await listFolder(join(folder, images))).files.filter(isImage);
  const own = (await listFolder(join(folder, masks))).files;
  if (files.length === 0)
    throw new FileFormatError("there are no images in this folder", { where: join(folder, images) });
  const byStem = new Map(
    own.filter((name) => extname(name).toLowerCase() === ".png").map((name) => [stemOf(name), name]),
  );
  const used = new Map<string, string>();
  const found = files.map((name) => {
    const stem = stemOf(name);
    const mask = byStem.get(stem);
    const other = used.get(stem);
    if (other !== undefined) {
      throw new FileFormatError(`${other} and ${name} have one name, and so one mask`, {
        where: join(folder, images),
        remedy: "Rename or remove one of them.",
      });
    }
    used.set(stem, name);
    if (mask !== undefined) return join(masks, mask);
    throw new FileFormatError(`there is no mask ${stem}.png for this image`, {
      where: join(folder, images, name),
      remedy: `Put it in ${join(folder, masks)}, or remove the image.`,
    });
  });
  const others = own.filter((name) => !found.includes(join(masks, name)));
  if (others.length > 0)
    notes.push(`${others.length} in ${join(folder, masks)} belong to no image: ${shortList(others, 3)}`);
  return { folder, images: files.map((name) => join(images, name)), masks: found };
}

function stemOf(name: string): string {
  return name.slice(0, name.length - extname(name).length);
}
