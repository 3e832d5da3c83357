/** Models as files, and models that are wrong: every refusal says what and where. */

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SubbyteError } from "../../src/errors.ts";
import { exportOnnx } from "../../src/importer/export.ts";
import { importOnnx } from "../../src/importer/import.ts";
import { inspectNetwork } from "../../src/importer/inspect.ts";
import { importOnnxFile } from "../../src/importer/node-files.ts";
import { makeTensor } from "../../src/ir/tensor.ts";
import { rawBytes } from "../../src/onnx/wire/proto.ts";
import { info, modelBytes } from "../support/graphs/onnx.ts";
import { distance, fileOutputs, outputsOf } from "../support/onnx/imported.ts";
import { type FileText, floats, ints, onnxModel, ramp } from "../support/onnx/model.ts";

const convolution: FileText = {
  inputs: { x: ["N", 3, 5, 5] },
  outputs: ["y"],
  nodes: [
    ["Conv", ["x", "w", "b"], ["h"], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }],
    ["Relu", ["h"], ["r"]],
    ["GlobalAveragePool", ["r"], ["p"]],
    ["Flatten", ["p"], ["f"]],
    ["Gemm", ["f", "v"], ["y"], { transB: 1 }],
  ],
  initializers: { w: ramp(4, 3, 3, 3), b: ramp(4), v: ramp(2, 4) },
};

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "subbyte-import-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe("external data", () => {
  const write = (location: string) => {
    const path = join(folder, "model.onnx");
    writeFileSync(path, onnxModel({ ...convolution, external: { w: location } }));
    return path;
  };

  it("next to the model is read", () => {
    writeFileSync(join(folder, "w.bin"), rawBytes(ramp(4, 3, 3, 3)));
    const network = importOnnxFile(write("w.bin"));
    expect(network.parameters.find(({ name }) => name === "w")?.value.data).toEqual(ramp(4, 3, 3, 3).data);
  });

  it.each(["../w.bin", "/etc/passwd", "sub/../../w.bin", "c:\\w.bin"])("at %s is not read", (location) => {
    expect(() => importOnnxFile(write(location))).toThrow("which is not in the model's folder");
  });

  it("behind a link that leads out of the folder is not read", () => {
    symlinkSync("/etc/hostname", join(folder, "link.bin"));
    expect(() => importOnnxFile(write("link.bin"))).toThrow("is a link to a file outside of the model's folder");
  });

  it("that is no plain file is not waited for", () => {
    mkdirSync(join(folder, "weights"));
    const remedy = "It is not a regular file: replace it with the data.";
    expect(() => importOnnxFile(write("weights"))).toThrow(expect.objectContaining({ remedy }));
  });

  it("does not make an empty file a model", () => {
    const path = join(folder, "empty.onnx");
    writeFileSync(path, "");
    expect(() => importOnnxFile(path)).toThrow("the file is empty");
  });

  it("that is missing or too short is named", () => {
    expect(() => importOnnxFile(write("none.bin"))).toThrow("the file with the tensor's data is missing");
    writeFileSync(join(folder, "short.bin"), new Uint8Array(8));
    expect(() => importOnnxFile(write("short.bin"))).toThrow("needs 432 bytes of data, the file has 8");
  });

  it("of bytes in memory has to be given", () => {
    expect(() => importOnnx(onnxModel({ ...convolution, external: { w: "w.bin" } }))).toThrow("lies in another file");
  });
});

describe("a folder in place of a model", () => {
  it("is called one, whatever its permissions are", () => {
    const remedy = "It is a folder: name the model's file in it.";
    expect(() => importOnnxFile(folder)).toThrow(expect.objectContaining({ remedy }));
  });
});

/** Faults of models, and the errors that name them. */
const wrong: readonly (readonly [string, () => unknown, RegExp])[] = [
  ["a file that is not there", () => importOnnxFile(join(folder, "no.onnx")), /cannot be read/],
  ["half a file", () => importOnnx(onnxModel(convolution).subarray(0, 200)), /not a whole ONNX model/],
  [
    "a cycle",
    () =>
      importOnnx(
        onnxModel({
          ...convolution,
          nodes: [
            ["Add", ["x", "b2"], ["a2"]],
            ["Relu", ["a2"], ["b2"]],
            ["Relu", ["a2"], ["y"]],
          ],
        }),
      ),
    /these nodes form a cycle/,
  ],
  [
    "a dangling input",
    () => importOnnx(onnxModel({ ...convolution, nodes: [["Relu", ["q"], ["y"]]] })),
    /no node produces the input "q"/,
  ],
  [
    "texts",
    () => importOnnx(onnxModel({ ...convolution, inputType: "string" })),
    /does not support inputs of type string/,
  ],
  [
    "shapes that contradict each other",
    () => importOnnx(onnxModel({ ...convolution, initializers: { ...convolution.initializers, w: ramp(4, 2, 3, 3) } })),
    /channels/,
  ],
  [
    "an open size",
    () => importOnnx(onnxModel({ ...convolution, inputs: { x: ["N", 3, "h", 5] } })),
    /dimension 2 \("h"\) is open/,
  ],
  ["a shape for no input", () => importOnnx(onnxModel(convolution), { inputShapes: { z: [1] } }), /no input "z"/],
  [
    "another shape than the file's",
    () => importOnnx(onnxModel(convolution), { inputShapes: { x: [1, 4, 5, 5] } }),
    /does not fit/,
  ],
  [
    "an unknown operator",
    () => importOnnx(onnxModel({ ...convolution, nodes: [["Frobnicate", ["x"], ["y"]]] })),
    /does not know the operator Frobnicate/,
  ],
  [
    "a shape that depends on the data",
    () =>
      importOnnx(
        onnxModel({
          inputs: { x: [4] },
          inputType: "int64",
          outputs: ["y"],
          nodes: [["Reshape", ["w", "x"], ["y"]]],
          initializers: { w: ramp(4) },
        }),
      ),
    /computed from the data/,
  ],
  [
    "a reshape to more than there is",
    () =>
      importOnnx(
        onnxModel({
          ...convolution,
          nodes: [["Reshape", ["w", "to"], ["y"]]],
          initializers: { w: ramp(4), to: ints(1_000_000, 1_000_000) },
        }),
      ),
    /cannot take the shape/,
  ],
];

describe("a wrong model", () => {
  it.each(wrong)("with %s is refused by an error that says so and where", (_, read, words) => {
    expect(read).toThrow(words);
    try {
      read();
    } catch (error) {
      expect(error instanceof SubbyteError && error.where).toBeTruthy();
    }
  });
});

describe("export", () => {
  it("gives a model that computes the same for any batch, and can be read again", async () => {
    const network = importOnnx(onnxModel(convolution));
    const bytes = exportOnnx(network);
    const inputs = { x: [3, 3, 5, 5] };
    const [before, after] = [await fileOutputs(onnxModel(convolution), inputs), await fileOutputs(bytes, inputs)];
    expect(distance(before.y, after.y)).toBeLessThan(1e-5);
    const again = importOnnx(bytes);
    expect(again.imported.batch).toBe("any");
    expect(again.parameters.map(({ name, role }) => [name, role])).toEqual(
      network.parameters.map(({ name, role }) => [name, role]),
    );
  });

  it("takes the number of tokens from the input", async () => {
    const text: FileText = {
      inputs: { x: ["N", 2, 3] },
      outputs: ["y"],
      nodes: [
        ["Shape", ["x"], ["n"], { start: 0, end: 1 }],
        ["Concat", ["n", "ends"], ["target"], { axis: 0 }],
        ["Expand", ["token", "target"], ["tokens"]],
        ["Concat", ["tokens", "x"], ["y"], { axis: 1 }],
      ],
      initializers: { ends: ints(1, 3), token: ramp(1, 1, 3) },
    };
    const bytes = exportOnnx(importOnnx(onnxModel(text)));
    const inputs = { x: [4, 2, 3] };
    expect((await fileOutputs(bytes, inputs)).y).toEqual((await fileOutputs(onnxModel(text), inputs)).y);
  });
});

describe("restoreBatchNorm", () => {
  it("puts a normalization after a convolution and changes nothing in evaluation", async () => {
    const plain = importOnnx(onnxModel(convolution));
    const restored = importOnnx(onnxModel(convolution), { restoreBatchNorm: true });
    expect(restored.graph.nodes.map(({ op }) => op)).toContain("BatchNormalization");
    expect(restored.parameters.find(({ name }) => name === "b")?.role).toBe("normalization-bias");
    expect(distance((await outputsOf(restored, 2)).y, (await outputsOf(plain, 2)).y)).toBeLessThan(1e-5);
  });
});

describe("inspectNetwork", () => {
  it("counts multiplications, bit operations and bytes for one sample", () => {
    const report = inspectNetwork(importOnnx(onnxModel(convolution), { batch: 7 }), {
      weightBits: 4,
      activationBits: 3,
    });
    expect(
      report.layers.map(({ op, multiplications, bitOperations, parameterBytes, quantizable }) => [
        op,
        multiplications,
        bitOperations,
        parameterBytes,
        quantizable,
      ]),
    ).toEqual([
      ["Conv", 4 * 25 * 27, 4 * 25 * 27 * 12, 54 + 16, true],
      ["Gemm", 8, 96, 4, true],
    ]);
    expect(report.totals).toMatchObject({ parameters: 120, trainable: 120, floatBytes: 480, parameterBytes: 74 });
    expect(report.obstacles).toEqual([]);
  });

  it("names what cannot be trained", () => {
    const nodes: FileText["nodes"] = [
      ["Conv", ["x", "w", "b"], ["h"], { kernel_shape: [3, 3] }],
      ["LRN", ["h"], ["y"], { size: 3 }],
    ];
    const report = inspectNetwork(importOnnx(onnxModel({ ...convolution, nodes })));
    expect(report.obstacles).toMatchObject([{ op: "LRN" }]);
    expect(Object.keys(report.held)).toEqual(["w", "b"]);
  });
});

it("reads weights in the form of Constant nodes", () => {
  const nodes: FileText["nodes"] = [
    ["Constant", [], ["w"], { value: ramp(4, 3, 3, 3) }],
    ["Constant", [], ["b"], { value: makeTensor("float32", [4], Float32Array.of(1, 2, 3, 4)) }],
    ["Conv", ["x", "w", "b"], ["y"], { kernel_shape: [3, 3] }],
  ];
  const network = importOnnx(onnxModel({ ...convolution, nodes, initializers: { unused: floats([1], [0]) } }));
  expect(network.parameters.map(({ name, role }) => [name, role])).toEqual([
    ["w", "weight"],
    ["b", "bias"],
  ]);
});

describe("an output whose shape the file states", () => {
  const notesFor = (stated: Parameters<typeof info>[1]) =>
    importOnnx(
      modelBytes({
        input: [info("x", ["N", 4])],
        output: [info("y", stated)],
        node: [{ opType: "MatMul", input: ["x", "w"], output: ["y"] }],
        initializer: [{ name: "w", dims: [4n, 3n], dataType: 1, rawData: rawBytes(ramp(4, 3)) }],
      }),
    ).imported.notes;

  it("is reported where its nodes give another", () => {
    expect(notesFor(["N", 7])).toEqual(['The file states [?,7] for "y", but its nodes give [1,3].']);
    expect(notesFor([3])).toEqual(['The file states [3] for "y", but its nodes give [1,3].']);
  });

  it("may leave sizes open, and state another batch", () => {
    for (const stated of [
      ["N", 3],
      [8, 3],
      [undefined, undefined],
      ["N", -1],
    ])
      expect(notesFor(stated)).toEqual([]);
  });
});
