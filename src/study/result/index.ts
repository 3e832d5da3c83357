/**
 * The index: an SQLite file that holds what the trials' files say, for quick reading and for anyone who likes SQL.
 *
 * It is a cache. Each row remembers a fingerprint of its trial's files and is read from them again when they changed; a
 * file that is missing, damaged or of another version is made again, and where none can be written (a full disk, a
 * read-only folder) the index lives in memory.
 *
 * A checksum lies next to it, because SQLite has none: a changed digit would go into the result, and the library ends the
 * process where a text is no UTF-8. A file that does not match its checksum is never opened.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { basename } from "node:path";
import Database from "libsql";
import { z } from "zod";
import { writeFileAtomic } from "../../io/atomic-file.ts";
import { type StudyPaths, trialFolder } from "../plan/folder.ts";
import type { PlannedTrial, TrialRecord, TrialState, TrialTiming } from "../plan/record.ts";
import { readTrialState, trialFingerprint, trialPaths } from "../schedule/trial-files.ts";

/** Raise it with every change of the tables. */
const indexVersion = 3;

const tables = `
CREATE TABLE trials (
  id TEXT PRIMARY KEY, recipe TEXT NOT NULL, weight_bits INTEGER NOT NULL, activation_bits INTEGER NOT NULL,
  seed INTEGER NOT NULL, weight_levels INTEGER, activation_levels INTEGER, bit_operations REAL, bytes REAL,
  status TEXT NOT NULL, reason TEXT, accuracy REAL, best_accuracy REAL, loss REAL,
  seconds REAL, images_per_second REAL, peak_memory_bytes REAL,
  fingerprint TEXT NOT NULL, state TEXT NOT NULL
);
CREATE TABLE epochs (
  trial TEXT NOT NULL REFERENCES trials (id) ON DELETE CASCADE, epoch INTEGER NOT NULL,
  train_loss REAL, train_accuracy REAL, test_loss REAL, test_accuracy REAL, PRIMARY KEY (trial, epoch)
);
PRAGMA user_version = ${indexVersion};`;

type FileState = TrialState & { readonly timing: TrialTiming };

const rowSchema = z.object({ id: z.string(), fingerprint: z.string(), state: z.string() });
const versionSchema = z.array(z.object({ user_version: z.number() }));

/** The records of a study's trials, from the index where it is up to date and from the files where it is not. */
export async function readRecords(paths: StudyPaths, trials: readonly PlannedTrial[]): Promise<TrialRecord[]> {
  const index = StudyIndex.open(paths.index);
  const records = await index.sync(paths, trials).finally(() => index.close());
  if (index.isKept && !isSound(paths.index)) {
    // Where it cannot be written, the index is made again next time.
    await writeFileAtomic(sumOf(paths.index), sumText(paths.index)).catch(() => undefined);
  }
  return records;
}

/** The file with the checksum of an index, in the format of `sha256sum -c`. */
function sumOf(file: string): string {
  return `${file}.sha256`;
}

function sumText(file: string): string {
  const sum = createHash("sha256").update(readFileSync(file)).digest("hex");
  return `${sum}  ${basename(file)}\n`;
}

function isSound(file: string): boolean {
  try {
    return readFileSync(sumOf(file), "utf8") === sumText(file);
  } catch {
    return false;
  }
}

function removeIndex(file: string): void {
  for (const suffix of ["", "-wal", "-shm", "-journal", ".sha256"]) {
    try {
      rmSync(file + suffix, { force: true });
    } catch {
      // What cannot be removed is not opened: the index lives in memory.
    }
  }
}

/** The open index of a study. */
export class StudyIndex {
  readonly #database: Database.Database;
  /** Whether it is a file, and does not only live in memory. */
  readonly isKept: boolean;

  private constructor(database: Database.Database, isKept: boolean) {
    this.#database = database;
    this.isKept = isKept;
  }

  /** Opens an index, making it again where it cannot be read. */
  static open(file: string): StudyIndex {
    for (const attempt of ["as it is", "empty"]) {
      let database: Database.Database | undefined;
      try {
        if (attempt === "empty" || !isSound(file)) removeIndex(file);
        if (existsSync(file) && !isSound(file)) break;
        database = new Database(file, { timeout: 5000 });
        if (prepareTables(database)) return new StudyIndex(database, true);
      } catch {
        // Damaged, locked or not to be written: the next attempt, or memory, serves as well.
      }
      database?.close();
    }
    const memory = new Database(":memory:");
    memory.exec(tables);
    return new StudyIndex(memory, false);
  }

  /** Brings the index up to date with the files and returns what it holds, in the plan's order. */
  async sync(paths: StudyPaths, trials: readonly PlannedTrial[]): Promise<TrialRecord[]> {
    const known = this.#known();
    const records: TrialRecord[] = [];
    const changed: { readonly record: TrialRecord; readonly fingerprint: string; readonly state: FileState }[] = [];
    for (const trial of trials) {
      const files = trialPaths(trialFolder(paths, trial));
      const fingerprint = await trialFingerprint(files);
      const before = known.get(trial.id);
      const isKnown = before !== undefined && before.fingerprint === fingerprint;
      const state = isKnown ? before.state : await readTrialState(files);
      const record = recordOf(trial, state);
      records.push(record);
      if (!isKnown) changed.push({ record, fingerprint, state });
    }
    const wanted = new Set(trials.map(({ id }) => id));
    const gone = [...known.keys()].filter((id) => !wanted.has(id));
    try {
      this.#write(changed, gone);
    } catch {
      // The files are the truth, and the records were read from them.
    }
    return records;
  }

  close(): void {
    this.#database.close();
  }

  #known(): Map<string, { readonly fingerprint: string; readonly state: FileState }> {
    const rows = this.#database.prepare("SELECT id, fingerprint, state FROM trials").all();
    return new Map(
      z
        .array(rowSchema)
        .parse(rows)
        .map(({ id, fingerprint, state }) => {
          const content: FileState = JSON.parse(state);
          return [id, { fingerprint, state: content }];
        }),
    );
  }

  #write(
    changed: readonly { readonly record: TrialRecord; readonly fingerprint: string; readonly state: FileState }[],
    gone: readonly string[],
  ): void {
    const database = this.#database;
    const remove = database.prepare("DELETE FROM trials WHERE id = ?");
    const removeEpochs = database.prepare("DELETE FROM epochs WHERE trial = ?");
    const insert = database.prepare(`INSERT INTO trials VALUES (${Array(19).fill("?").join(", ")})`);
    const insertEpoch = database.prepare("INSERT INTO epochs VALUES (?, ?, ?, ?, ?, ?)");
    const all = database.transaction(() => {
      for (const id of [...gone, ...changed.map(({ record }) => record.id)]) {
        removeEpochs.run(id);
        remove.run(id);
      }
      for (const { record, fingerprint, state } of changed) {
        insert.run(...rowOf(record), fingerprint, JSON.stringify(state));
        for (const { epoch, trainLoss, trainAccuracy, testLoss, testAccuracy } of record.epochs) {
          insertEpoch.run(record.id, epoch, trainLoss, trainAccuracy, testLoss, testAccuracy);
        }
      }
    });
    if (changed.length + gone.length > 0) all();
  }
}

/** Makes the tables of an empty file. False when the file is another version's. */
function prepareTables(database: Database.Database): boolean {
  const [version] = versionSchema.parse(database.prepare("PRAGMA user_version").all());
  if (version?.user_version === indexVersion) return true;
  const existing = database.prepare("SELECT name FROM sqlite_master").all();
  if (version?.user_version !== 0 || existing.length > 0) return false;
  database.exec(tables);
  return true;
}

function recordOf(trial: PlannedTrial, state: FileState): TrialRecord {
  if (trial.impossible === null) return { ...trial, ...state };
  return { ...trial, ...state, status: "impossible", reason: trial.impossible };
}

function rowOf(record: TrialRecord): (string | number | null)[] {
  const { id, recipe, weightBits, activationBits, seed, levels, cost, timing } = record;
  return [
    ...[id, recipe, weightBits, activationBits, seed, levels.weights, levels.activations],
    ...[cost?.bitOperations ?? null, cost?.bytes ?? null],
    ...[record.status, record.reason, record.accuracy, record.bestAccuracy, record.loss],
    ...[timing.seconds, timing.imagesPerSecond, timing.peakMemoryBytes],
  ];
}
