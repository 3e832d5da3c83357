/** Data sets from tables of features: one file that is split, or `train.csv` with `val.csv` or `test.csv`. */

import { join } from "node:path";
import { defined } from "../../../base/defined.ts";
import { FileFormatError } from "../../../errors.ts";
import { inMemoryDataset, type LabelType, type TargetArray } from "../../dataset/dataset.ts";
import type { LoadedData, Task } from "../../dataset/loaded-data.ts";
import { type PartName, partOfName } from "../../dataset/part-names.ts";
import type { LabelledDataset } from "../../dataset/subset.ts";
import { decideWordTargets } from "../../dataset/targets.ts";
import { shortList } from "../../images/list-folder.ts";
import { noNormalization } from "../../normalization/normalization.ts";
import { type CsvOptions, type CsvTable, readCsv } from "./csv.ts";

/** How tables become samples. */
export interface TableOptions extends CsvOptions {
  readonly task?: Task;
  readonly classes?: readonly string[];
}

/** Opens tables that lie in one folder. @throws FileFormatError. */
export async function openCsv(folder: string, files: readonly string[], options: TableOptions): Promise<LoadedData> {
  const { train, test } = chooseFiles(folder, files);
  const csv: CsvOptions = {
    ...options,
    ...(options.task === "none" ? { onlyNamedTarget: true } : {}),
  };
  const paths = [train, ...(test === undefined ? [] : [test])].map((file) => join(folder, file));
  const tables: { readonly where: string; readonly table: CsvTable }[] = [];
  for (const where of paths) tables.push({ where, table: await readCsv(where, csv) });
  const [first, second] = tables;
  if (first === undefined) throw new FileFormatError("there are no tables here", { where: folder });
  if (second !== undefined && second.table.featureNames.join("\n") !== first.table.featureNames.join("\n")) {
    throw new FileFormatError(`its columns are not those of ${first.where}`, {
      where: second.where,
      remedy: `Expected ${shortList(first.table.featureNames)}.`,
    });
  }
  const { targetName } = first.table;
  const decided =
    targetName === undefined || options.task === "none"
      ? undefined
      : decideWordTargets(
          tables.map(({ where, table }) => ({ where, words: table.targets, firstRow: table.headRows + 1 })),
          targetName,
          options.task ?? "auto",
          options.classes,
        );
  const build = (number: number): LabelledDataset | undefined => {
    const read = tables[number];
    if (read === undefined) return undefined;
    return tableDataset(read.where, read.table, decided?.target ?? { kind: "none" }, decided?.arrays[number]);
  };
  const [trainPart, testPart] = [build(0), build(1)];
  if (trainPart === undefined) throw new FileFormatError("there are no tables here", { where: folder });
  const notes = [...new Set(tables.flatMap(({ table }) => table.notes))];
  const size = `table of ${first.table.rows} rows and ${first.table.featureNames.length} features`;
  return {
    kind: "csv",
    train: trainPart,
    ...defined({ test: testPart }),
    notes: [size, decided?.note ?? leftOut(targetName), ...notes],
  };
}

function leftOut(name: string | undefined): string {
  return name === undefined ? "no column is predicted" : `column "${name}" is left out: no labels are learned from`;
}

function tableDataset(name: string, table: CsvTable, target: LabelType, targets?: TargetArray): LabelledDataset {
  const sampleShape = [table.featureNames.length];
  const dataset = inMemoryDataset({
    name,
    samples: table.features,
    sampleShape,
    targets: targets ?? new Float32Array(0),
    target,
    normalization: noNormalization(sampleShape, "float32"),
  });
  const named = { ...dataset, columns: table.featureNames };
  return { dataset: named, ...(targets instanceof Int32Array ? { labels: targets } : {}) };
}

function chooseFiles(folder: string, files: readonly string[]): { readonly train: string; readonly test?: string } {
  const [only] = files;
  if (only !== undefined && files.length === 1) return { train: only };
  const named = (part: PartName) => files.find((file) => partOfName(file.replace(/\.\w+$/, "")) === part);
  const train = named("train");
  const test = named("validation") ?? named("test");
  if (train !== undefined) return { train, ...defined({ test }) };
  throw new FileFormatError(`it is unclear which of these tables to train on: ${shortList(files)}`, {
    where: folder,
    remedy: "Name them train.csv and test.csv, or give the path of one file.",
  });
}
