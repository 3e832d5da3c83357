/** The type of a tensor: element type and shape. Shapes are static: the batch size is fixed when a graph is made. */

/** Element types that a graph can hold; the names are ONNX's, in lower case. */
export type DType =
  | "float32"
  | "float64"
  | "float16"
  | "bfloat16"
  | "int64"
  | "int32"
  | "int16"
  | "int8"
  | "uint64"
  | "uint32"
  | "uint16"
  | "uint8"
  | "bool"
  | "string"
  | "int4"
  | "uint4"
  | "int2"
  | "uint2"
  | "float8e4m3fn"
  | "float8e4m3fnuz"
  | "float8e5m2"
  | "float8e5m2fnuz"
  | "float8e8m0"
  | "float4e2m1";

/** Sizes of a tensor's axes; empty for a scalar. */
export type Shape = readonly number[];

/** Element type and shape. */
export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Whether two shapes are the same. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}

/** Strides in elements of a row-major tensor of this shape. */
export function rowMajorStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = (strides[i + 1] ?? 1) * (shape[i + 1] ?? 1);
  return strides;
}

/** For each flat index of a tensor whose axes were put into another order, that of the same element before. */
export function transposedIndex(shape: Shape, permutation: readonly number[]): (index: number) => number {
  const strides = rowMajorStrides(shape);
  const sizes = permutation.map((axis) => shape[axis] ?? 1);
  const steps = permutation.map((axis) => strides[axis] ?? 0);
  return (index) => {
    let rest = index;
    let source = 0;
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      const size = sizes[axis] ?? 1;
      source += (rest % size) * (steps[axis] ?? 0);
      rest = Math.floor(rest / size);
    }
    return source;
  };
}

/** `float32[8,3,32,32]`, as prints and errors show it. */
export function showType(type: TensorType): string {
  return `${type.dtype}[${type.shape.join(",")}]`;
}
