/** The network of a training before any data has passed it. */

import { quantize } from "../../compile/passes/quantize.ts";
import { quantizationOf } from "../../config/quantization.ts";
import type { TrainingConfig } from "../../config/schema/schema.ts";
import type { DatasetSplits } from "../../data/dataset/dataset.ts";
import type { Network } from "../../ir/network.ts";
import { makeNetwork } from "../network.ts";
import { outputCountOfTeacher, teacherOf } from "../teacher/teacher.ts";

/**
 * Returns the network with its quantizers, whose activation ranges are not set yet. It takes no engine, so that what depends on
 * operators and bits alone can be checked before anything is compiled.
 *
 * @throws ConfigError and UnsupportedError as the training would.
 */
export async function uncalibratedNetwork(config: TrainingConfig, data: DatasetSplits): Promise<Network> {
  const teacher = data.train.target.kind === "none" ? await teacherOf(config, data) : undefined;
  const float = makeNetwork(config, data, teacher && outputCountOfTeacher(teacher));
  return config.quantization === null ? float : quantize(float, quantizationOf(config.quantization));
}
