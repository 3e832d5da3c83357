/** Finds annotation files of COCO's format and the folders of their images. */
import { extname, join } from "node:path";
import { ConfigError } from "../../../errors.ts";
import { isOnlyPartName, type PartName, partOfName } from "../../dataset/part-names.ts";
import { listFolder, shortList } from "../../images/list-folder.ts";

/** One part: its annotations, and the folders that its images may lie in. */
export interface AnnotatedPart {
  readonly part: PartName;
  readonly file: string;
  readonly folders: readonly string[];
}

const annotationFolder = "annotations";
const annotationFiles: readonly string[] = ["annotations.json", "_annotations.coco.json"];
const imageFolder = "images";

/**
 * Returns the annotated parts of a folder, the training part first; empty where it has none. Layouts: `annotations.json` next to the images
 * or `images/`, or so in a folder for each part, or `annotations/instances_train2017.json` with `train2017/` or `images/train2017/`.
 *
 * @throws ConfigError where several files are for one part.
 */
export async function findAnnotations(folder: string): Promise<readonly AnnotatedPart[]> {
  const { folders, files } = await listFolder(folder);
  const own = files.find((name) => annotationFiles.includes(name));
  if (own !== undefined) {
    return [{ part: "train", file: join(folder, own), folders: [folder, join(folder, imageFolder)] }];
  }
  const found: AnnotatedPart[] = [];
  for (const name of folders.filter(isOnlyPartName)) {
    const inner = join(folder, name);
    const file = (await listFolder(inner)).files.find((one) => annotationFiles.includes(one));
    if (file !== undefined) {
      found.push({
        part: partOfName(name) ?? "train",
        file: join(inner, file),
        folders: [inner, join(inner, imageFolder)],
      });
    }
  }
  if (found.length > 0) return chosen(folder, found);
  if (!folders.includes(annotationFolder)) return [];
  const listed = (await listFolder(join(folder, annotationFolder))).files.filter((name) => extname(name) === ".json");
  const inImages = folders.includes(imageFolder) ? (await listFolder(join(folder, imageFolder))).folders : [];
  for (const name of listed) {
    const part = partOfName(name.slice(0, -".json".length)) ?? (listed.length === 1 ? "train" : undefined);
    if (part === undefined) continue;
    const ofPart = (names: readonly string[]) => names.filter((one) => partOfName(one) === part);
    found.push({
      part,
      file: join(folder, annotationFolder, name),
      folders: [
        ...ofPart(folders).map((one) => join(folder, one)),
        ...ofPart(inImages).map((one) => join(folder, imageFolder, one)),
        join(folder, imageFolder),
        folder,
      ],
    });
  }
  // COCO's other files have key points and captions.
  const boxes = found.filter(({ file }) => file.includes("instances"));
  return chosen(folder, boxes.length > 0 ? boxes : found);
}

function chosen(folder: string, found: readonly AnnotatedPart[]): readonly AnnotatedPart[] {
  const of = (part: PartName) => found.filter((one) => one.part === part);
  const held = of("validation").length > 0 ? of("validation") : of("test");
  const twice = [of("train"), held].find(({ length }) => length > 1);
  if (twice !== undefined) {
    throw new ConfigError(
      `several files have the annotations of one part: ${shortList(twice.map(({ file }) => file))}`,
      {
        where: folder,
        remedy: "Leave one of them, or call the one for boxes instances_train.json.",
      },
    );
  }
  return [...of("train"), ...held];
}
