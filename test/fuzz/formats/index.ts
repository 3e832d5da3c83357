/** Every format that is fuzzed. */

import type { FuzzFormat } from "../format.ts";
import { dataFormats } from "./data.ts";
import { onnxFormats } from "./onnx.ts";
import { runFormats } from "./runs.ts";
import { studyFormats } from "./study.ts";
import { textFormats } from "./texts.ts";

export const formats: readonly FuzzFormat[] = [
  ...dataFormats,
  ...onnxFormats,
  ...textFormats,
  ...runFormats,
  ...studyFormats,
];
