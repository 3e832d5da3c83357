/** Every format that is fuzzed. */

import type { FuzzFormat } from "../format.ts";
import { onnxFormats } from "./onnx.ts";
import { runFormats } from "./runs.ts";
import { textFormats } from "./texts.ts";

export const formats: readonly FuzzFormat[] = [...onnxFormats, ...textFormats, ...runFormats];
