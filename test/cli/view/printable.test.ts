import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { reportError } from "../../../src/cli/report-error.ts";
import { printable } from "../../../src/cli/view/printable.ts";
import { FileFormatError } from "../../../src/errors.ts";
import { escapeText } from "../../../src/report/charts/svg-document.ts";

const text = fc.string({
  unit: fc.oneof(fc.constantFrom("\u001b", "\r", "\u0000", "\u009b", "\u202e", "\n", "\t"), fc.string()),
});

describe("text from outside", () => {
  it("gives a terminal no commands in an error", () => {
    fc.assert(
      fc.property(text, (name) => {
        let shown = "";
        const stream = { write: (part: string) => (shown += part) };
        reportError(new FileFormatError(`node "${name}" is unknown`, { where: name }), { stream });
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
        expect(shown).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/);
      }),
    );
    expect(printable("conv\u001b]0;x\u0007\r\u202e 層 é\n\tb")).toBe("conv\\x1b]0;x\\x07\\r\\u{202e} 層 é\n\\tb");
  });

  it("holds nothing that XML forbids in a figure", () => {
    fc.assert(
      fc.property(text, (name) => {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
        expect(escapeText(name)).not.toMatch(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/);
      }),
    );
    expect(escapeText("a\u001b<\ud800é😀")).toBe("a\ufffd&lt;\ufffdé😀");
  });
});
