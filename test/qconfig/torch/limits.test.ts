/** Python that would take the whole stack: refused with its place. */

import { expect, it } from "vitest";
import { ConfigError } from "../../../src/errors.ts";
import { parseTorchConfig } from "../../../src/qconfig/torch/text.ts";

const many = 4000;

it.each([
  ["brackets", `x = ${"(".repeat(many)}1${")".repeat(many)}`],
  ["calls", `x = ${"f(".repeat(many)}${")".repeat(many)}`],
  ["signs", `x = ${"-".repeat(many)}1`],
  ["powers", `x = 1${"**1".repeat(many)}`],
  ["sums", `x = 1${"+1".repeat(many)}`],
  ["attributes", `x = a${".a".repeat(many)}`],
  ["numbers", `x = min(${"1,".repeat(many)}1)`],
])("a statement of 4,000 %s is refused", (_, text) => {
  expect(() => parseTorchConfig({ name: "deep.py", text })).toThrow(ConfigError);
});
