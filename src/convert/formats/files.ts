/** The output formats of `convert`. Adding one is adding its file and a line here. */

import type { QuantizedNetwork } from "../../compile/sites.ts";
import { ConfigError } from "../../errors.ts";
import type { IntegerNetwork } from "../integer-network.ts";
import { cFormat } from "./c/program.ts";
import type { ConvertedFile, FileOptions, FormatDefinition } from "./definition.ts";
import { intFormat } from "./int/int.ts";
import { qcdqFormat, qdqFormat } from "./qdq.ts";
import { qonnxFormat } from "./qonnx.ts";
import { stateDictFormat } from "./state-dict.ts";

const byName = {
  int: intFormat,
  qdq: qdqFormat,
  qcdq: qcdqFormat,
  qonnx: qonnxFormat,
  c: cFormat,
  state_dict: stateDictFormat,
} satisfies Readonly<Record<string, FormatDefinition>>;

/** The name of a format of integers. */
export type IntegerFormat = keyof typeof byName;

/** Every format, in the order of the help. */
export const formats: readonly FormatDefinition[] = Object.values(byName);

/** Options of {@link writeInteger}. */
export interface WriteIntegerOptions extends Partial<FileOptions> {
  /** The network that was converted; `state_dict` stores its parameters that are not quantized, too. */
  readonly source?: QuantizedNetwork;
}

/**
 * Returns the files of an integer network in a format: their names and contents. Nothing is written.
 *
 * @throws ConfigError for a format that does not exist, and for `state_dict` without the network that was converted.
 *
 * @example
 * const integers = convert(await calibrate(quantized, data.train, Int32Array.of(0, 1, 2, 3), engine), { data });
 * for (const { name, parts } of writeInteger(integers, "c")) console.log(name, Buffer.concat(parts).length);
 * const [file] = writeInteger(integers, "int", { batchSize: 8 });
 * console.log(file?.name); // model.int.onnx
 */
export function writeInteger(
  network: IntegerNetwork,
  format: IntegerFormat,
  { source, batchSize = 1, arithmetic = "float", packed = true }: WriteIntegerOptions = {},
): readonly ConvertedFile[] {
  return formatNamed(format).files(network, { batchSize, arithmetic, packed }, source);
}

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
