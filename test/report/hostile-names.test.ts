/** Names from outside in the report: every figure stays XML, and the page has the elements that it has with plain names. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { figureWidths, standalone } from "../../src/report/charts/draw.ts";
import { layersChart } from "../../src/report/charts/layers.ts";
import { learningCurves } from "../../src/report/charts/run.ts";
import { html, type Page, renderPage, table } from "../../src/report/pages/page.ts";
import { hostileName, hostilePieces } from "../support/hostile-text.ts";
import { elementsOf } from "../support/well-formed.ts";

const formats = { bits: 4, levels: 16 };

/** The figures that show names: one of layers, one of runs. */
function figures(names: readonly string[]): string[] {
  const layers = names.map((name, i) => ({
    ...{ name, operator: name, macs: 100 * (i + 1), weights: 10, bytes: 10, bitOperations: 1600 },
    ...{ weight: formats, activation: formats },
  }));
  const curves = names.map((label) => ({
    label,
    color: "#000",
    points: [
      { x: 1, y: 0.5 },
      { x: 2, y: 0.6 },
    ],
    stopped: false,
  }));
  return [
    layersChart(layers, figureWidths.wide),
    learningCurves(
      curves,
      curves.map(({ label, color }) => ({ label, color })),
      { float: 0.5 },
      350,
      names.join(""),
    ),
  ].map(standalone);
}

const elements = (text: string) => [...text.matchAll(/<[a-zA-Z/!?][^\s>/]*/g)].map(([start]) => start);
/** Attributes of elements that would run code, outside of quoted values. */
function handlers(text: string): readonly string[] {
  const body = text.slice(text.indexOf("<body>"), text.indexOf('<script type="application/json"'));
  return [...body.replaceAll(/"[^"]*"/g, '""').matchAll(/<\w[^>]*>/g)].flatMap(
    ([tag]) => tag.match(/\son\w+=/gi) ?? [],
  );
}

function page(name: string): string {
  const content: Page = {
    title: name,
    lead: html`${name}`,
    footer: name,
    data: { [`k${name}`]: name, list: [name] },
    sections: [
      {
        id: "a",
        title: name,
        body: html`<p title="${name}">${name}</p>${table(
          [name, name],
          [
            [name, 1],
            [html`<b>${name}</b>`, name],
          ],
        )}`,
      },
    ],
  };
  return renderPage(content);
}

describe("hostile names in the report", () => {
  it("leave every figure well-formed", () => {
    fc.assert(
      fc.property(fc.uniqueArray(hostileName, { minLength: 2, maxLength: 3 }), (names) => {
        for (const figure of figures(names)) expect(elementsOf(figure)[0]).toBe("svg");
      }),
      { numRuns: 60 },
    );
    for (const piece of hostilePieces) for (const figure of figures([piece, `${piece}b`])) elementsOf(figure);
  });

  it("add no element, no attribute and no end of the embedded data to a page", () => {
    const plain = elements(page("x"));
    fc.assert(
      fc.property(hostileName, (name) => {
        const text = page(name);
        expect(elements(text)).toEqual(plain);
        expect(handlers(text)).toEqual([]);
        const json = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(text)?.[1] ?? "";
        const stored: unknown = JSON.parse(json);
        expect(stored).toEqual({ [`k${name}`]: name, list: [name] });
      }),
    );
  });
});
