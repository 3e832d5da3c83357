/** A small part of the fuzzing of every reader (npm run test:fuzz), and that the watcher sees what it has to see. @slow */

import { expect, it } from "vitest";
import { formats } from "./formats/index.ts";
import { plantedFormats } from "./formats/planted.ts";
import { fuzz } from "./watch.ts";

it("hostile inputs of every format end as a success or as an error of ours", async () => {
  const names = formats.map(({ name }) => name);
  // A folder of a study takes a hundred times as long to copy and read as a file.
  const folders = formats.flatMap(({ name, prepare }) => (prepare === undefined ? [] : [name]));
  const files = names.filter((name) => !folders.includes(name));
  const results = [
    ...(await fuzz({ formats: files, seed: 1, count: 30 })),
    ...(await fuzz({ formats: folders, seed: 1, count: 6 })),
  ];
  expect(results).toHaveLength(30 * files.length + 6 * folders.length);
  const isHarmless = ({ kind, outside, control }: (typeof results)[number]) =>
    (kind === "success" || kind === "refused") && outside.length === 0 && !control;
  expect(results.filter((result) => !isHarmless(result))).toEqual([]);
  // Both ways out have to be taken, or the damage is too mild or too coarse to test anything.
  const refusing = names.filter((name) => results.some(({ format, kind }) => format === name && kind === "refused"));
  expect(refusing).toEqual(names);
  expect(results.filter(({ kind }) => kind === "success").length).toBeGreaterThan(names.length);
}, 300_000);

it("the watcher sees a hang, memory, a defect and files outside of the folder, and reads the next input", async () => {
  const names = plantedFormats.map(({ name }) => name);
  const results = await fuzz({ formats: names, seed: 1, count: 3 }, { seconds: 5, bytes: 7e8 });
  const fine = names.map(() => "success");
  const second = ["hang", "memory", "defect", "refused", "success"];
  expect(results.map(({ kind }) => kind)).toEqual([...fine, ...second, ...fine]);
  // What the command line prints of names in an error is escaped.
  expect(results.filter(({ control }) => control)).toEqual([]);
  const outside = results.flatMap((result) => result.outside);
  expect(outside).toEqual(
    expect.arrayContaining([
      "readFileSync /etc/hostname",
      expect.stringMatching(/^writeFile .*outside$/),
      expect.stringMatching(/^rm .*outside$/),
    ]),
  );
});
