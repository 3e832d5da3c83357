/** The text of a diagnosis: what was found, or what was checked where nothing was. */
import { describe, expect, it } from "vitest";
import { findingsText } from "../../../src/cli/view/findings-text.ts";
import { causes } from "../../../src/diagnose/diagnose.ts";
import { record, records } from "../../diagnose/synthetic.ts";

describe("a run without findings", () => {
  it("says so, and what was checked", () => {
    expect(findingsText([], { verbose: false, records: records() })).toEqual([
      "No problems found.",
      `Nothing was found that calls for a change of the configuration: ${Object.keys(causes).length} causes were checked in 4 measurements of 1 weight and 1 quantizer, from step 0 to 960.`,
    ]);
  });

  it("names the one step that was measured, and quantizers only where there are some", () => {
    const [, checked] = findingsText([], { verbose: false, records: [record(96, { sites: [] })] });
    expect(checked).toMatch(/: the causes that one measurement shows were checked in that of 1 weight at step 96\.$/);
  });

  it("claims nothing where nothing was measured", () => {
    expect(findingsText([], { verbose: true, records: [] })).toEqual(["Nothing was measured yet."]);
  });
});
