/** Texts from outside in the configurations, logs and JSON that subbyte writes: each is read back as it was. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonText } from "../../src/cli/output.ts";
import { configToYaml, resolveTrainingConfig } from "../../src/config/config.ts";
import { resolveStudyConfig, studyToYaml } from "../../src/study/plan/config.ts";
import { hostileName, hostilePieces } from "../support/hostile-text.ts";

const utf8 = (text: string) => Buffer.from(text, "utf8").toString("utf8");

/** Paths have no NUL and are not empty; UTF-8, as which files are written, has no lone surrogates. */
const path = fc
  .oneof(hostileName, fc.constantFrom(...hostilePieces))
  .map((text) => utf8(text.replaceAll("\0", "")))
  .filter((text) => text !== "");

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const commands = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

describe("hostile texts come back from", () => {
  it("the configuration of a run", () => {
    fc.assert(
      fc.property(path, path, (folder, from) => {
        const text = JSON.stringify({ model: { name: "mlp" }, data: { folder }, from });
        const config = resolveTrainingConfig({ name: "run", text });
        const again = resolveTrainingConfig({ name: "again", text: utf8(configToYaml(config)) });
        expect(again).toEqual(config);
        expect(again).toMatchObject({ data: { folder }, from });
      }),
      { numRuns: 120 },
    );
  });

  it("the configuration of a study", () => {
    fc.assert(
      fc.property(path, path, (folder, from) => {
        const config = resolveStudyConfig({ name: "s", text: JSON.stringify({ data: { folder }, float: { from } }) });
        const again = resolveStudyConfig({ name: "again", text: utf8(studyToYaml(config)) });
        expect(again).toEqual(config);
        expect(again).toMatchObject({ data: { folder }, float: { from } });
      }),
      { numRuns: 120 },
    );
  });

  it("JSON on a terminal, which gets no command", () => {
    fc.assert(
      fc.property(hostileName, (name) => {
        const text = jsonText({ [`k${name}`]: [name] });
        expect(text).not.toMatch(commands);
        expect(JSON.parse(text)).toEqual({ [`k${name}`]: [name] });
      }),
    );
  });
});
