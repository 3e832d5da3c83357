/** The output formats of `convert`. Adding one is adding its file and a line here. */
import { ConfigError } from "../../errors.ts";
import { cFormat } from "./c/program.ts";
import type { FormatDefinition } from "./definition.ts";
import { intFormat } from "./int/int.ts";
import { qcdqFormat, qdqFormat } from "./qdq.ts";
import { qonnxFormat } from "./qonnx.ts";
import { stateDictFormat } from "./state-dict.ts";

/** Every format, in the order of the help. */
export const formats: readonly FormatDefinition[] = [
  intFormat,
  qdqFormat,
  qcdqFormat,
  qonnxFormat,
  cFormat,
  stateDictFormat,
];

/** Returns the format of this name. @throws ConfigError listing the names that exist. */
export function formatNamed(name: string): FormatDefinition {
  const format = formats.find((known) => known.name === name);
  if (format === undefined) {
    throw new ConfigError(`there is no format "${name}"`, {
      remedy: `Use one of: ${formats.map((known) => known.name).join(", ")}, float, weights.`,
    });
  }
  return format;
}
