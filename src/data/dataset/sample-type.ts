/** The elements of samples: bytes, floats, or whole numbers such as tokens. */

/** The element types of samples. */
export const sampleTypes = ["uint8", "float32", "int32"] as const;
/** The element type of samples. */
export type SampleType = (typeof sampleTypes)[number];

/** Raw samples, row-major and contiguous: [N, C, H, W] for images, [N, F] for features, [N, T] for tokens. */
export type SampleArray = Uint8Array | Float32Array | Int32Array;

/** Returns a zero-filled array for the elements of samples. */
export function allocateSamples(type: SampleType, length: number): SampleArray {
  if (type === "uint8") return new Uint8Array(length);
  return type === "int32" ? new Int32Array(length) : new Float32Array(length);
}

/** Returns the type of the samples that an array holds. */
export function typeOfSamples(samples: SampleArray): SampleType {
  if (samples instanceof Uint8Array) return "uint8";
  return samples instanceof Int32Array ? "int32" : "float32";
}
