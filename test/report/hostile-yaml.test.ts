/** Names from outside in the YAML that is there to be copied: what `mix` writes, and the snippets of the report. */

import fc from "fast-check";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { configToYaml, resolveTrainingConfig } from "../../src/config/config.ts";
import { findingsHtml } from "../../src/report/pages/findings.ts";
import { copyable, renderPage } from "../../src/report/pages/page.ts";
import { repeatCommand } from "../../src/runs/remedy-command.ts";
import { withLayerBits } from "../../src/study/mixed/config.ts";
import { hostileName, hostilePieces } from "../support/hostile-text.ts";

/** As names come out of a file: UTF-8, without NUL, which models and paths cannot have. */
const name = fc
  .oneof(hostileName, fc.constantFrom(...hostilePieces))
  .map((text) => Buffer.from(text.replaceAll("\0", ""), "utf8").toString("utf8"))
  .filter((text) => text !== "");

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'", "#x27": "'" };

/** What a browser copies of a page's first snippet: entities decoded, and the line ends of HTML. */
function copied(body: Parameters<typeof copyable>[0] | ReturnType<typeof copyable>): string {
  const content = typeof body === "string" ? copyable(body) : body;
  const page = renderPage({
    title: "t",
    lead: content,
    footer: "",
    data: {},
    sections: [],
  });
  const text = /<pre>([\s\S]*?)<\/pre>/.exec(page)?.[1] ?? "";
  expect(text).not.toMatch(/[\r<]/);
  return text.replaceAll(/&([#\w]+);/g, (whole, entity: string) => entities[entity] ?? whole);
}

it("the configuration of a mix is read back, from its file and from a page", () => {
  fc.assert(
    fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 3 }), name, name, (layers, file, folder) => {
      const config = resolveTrainingConfig({ name: "r", text: JSON.stringify({ model: { file }, data: { folder } }) });
      const bits = new Map(layers.map((layer, i) => [layer, { weightBits: i + 2, activationBits: 8 - i }]));
      const mixed = { ...config, quantization: withLayerBits(config.quantization ?? {}, bits) };
      const text = JSON.stringify(mixed);
      const resolved = resolveTrainingConfig({ name: "mixed", text });
      const yaml = configToYaml(resolved);
      for (const again of [Buffer.from(yaml).toString("utf8"), copied(yaml)]) {
        const read = resolveTrainingConfig({ name: "again", text: again });
        expect(read).toEqual(resolved);
        expect(read.model).toMatchObject({ file });
        expect(read.data).toMatchObject({ folder });
        expect(read.quantization?.overrides?.map(({ layer }) => layer)).toEqual(layers);
      }
    }),
    { numRuns: Number(process.env.HOSTILE_NAMES ?? 80) },
  );
});

it("the changes of a fix are read back from the page", () => {
  fc.assert(
    fc.property(name, name, (layer, path) => {
      const changes = { "quantization.weightBits": 8, from: path, [layer]: path };
      const finding = {
        cause: "reduced-range" as const,
        ...{ title: layer, layers: [layer], evidence: [], confidence: 0.5, remedy: { title: layer, changes } },
      };
      expect(parse(copied(findingsHtml([finding])))).toEqual(changes);
      const command = repeatCommand({ folder: `runs/${path}` }, changes, "fixed");
      if (command !== undefined) expect(copied(findingsHtml([{ ...finding, command }]))).toBe(command);
    }),
    { numRuns: Number(process.env.HOSTILE_NAMES ?? 80) },
  );
});
