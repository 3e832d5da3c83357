/** `subbyte explain`: the thread's Python pasted in, presets, files, and what is refused. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { capture } from "../../support/machine/capture.ts";

const python = `# the thread
activation = tq.FakeQuantize.with_args(observer=tq.MovingAverageMinMaxObserver.with_args(
    quant_min=0, quant_max=2 ** bits - 1, dtype=torch.quint8, qscheme=torch.per_tensor_affine,
    reduce_range=True))
weight = tq.FakeQuantize.with_args(observer=tq.MovingAveragePerChannelMinMaxObserver.with_args(
    quant_min=-(2 ** bits) // 2, quant_max=(2 ** bits) // 2 - 1, dtype=torch.qint8,
    qscheme=torch.per_channel_symmetric, reduce_range=False, ch_axis=0))
model.qconfig = tq.QConfig(activation=activation, weight=weight)
`;

let folder = "";
let file = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "subbyte-explain-"));
  file = join(folder, "thread.py");
  await writeFile(file, python);
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

describe("subbyte explain", () => {
  it("says first that the thread's 4 bits are 3, and the line to change", async () => {
    const { code, stdout, stderr } = await capture("explain", file, "resnet8", "--define", "bits=4");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.split("\n").slice(0, 3)).toEqual([
      "Activations: 4 bits requested, 3 in effect (8 levels instead of 16, codes 0..7).",
      `  change ${file}:4:5: reduce_range=True  →  reduce_range=False`,
      "The 4 bits of the weights are in effect: 16 levels, codes -8..7.",
    ]);
    await expect(stdout.replaceAll(folder, "FOLDER")).toMatchFileSnapshot("../snapshots/explain-thread.txt");
  });

  it("begins with the bits that were asked for where the first and the last layer have others", async () => {
    const { stdout } = await capture("explain", "lsq", "mlp", "--weight-bits", "2", "--activation-bits", "2");
    const lines = stdout.split("\n");
    expect(lines[0]).toMatch(/^The 2 bits of the activations are in effect/);
    expect(lines[1]).toBe("  Others: 2 with 8 bits, of 3.");
    expect(lines[2]).toMatch(/^The 2 bits of the weights are in effect/);
  });

  it("prints JSON, with other placement", async () => {
    const { code, stdout } = await capture(
      "explain",
      "thread",
      "lenet",
      "--activation-bits",
      "3",
      "--placement",
      "fused",
      "--json",
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      schemaVersion: 1,
      config: "preset thread, W4A3",
      network: "lenet",
      placement: "fused",
      observedOn: null,
      activations: { bitsAsked: 3, levels: 4 },
      findings: [{ code: "reduce-range", change: { from: "quantization.reduceRange: true" } }, {}, {}, {}],
    });
  });

  it("reads a training configuration, and names the line in it", async () => {
    const yaml = join(folder, "qat.yaml");
    await writeFile(yaml, "model: { name: lenet }\nquantization:\n  preset: thread\n  reduceRange: true\n");
    const { stdout } = await capture("explain", yaml);
    expect(stdout).toContain(`change ${yaml}:4: quantization.reduceRange: true  →  quantization.reduceRange: false`);
  });

  it("looks at data when it is asked to", async () => {
    const { code, stdout } = await capture("explain", "thread", "lenet", "--data", "fashion-mnist-part", "--verbose");
    expect(code).toBe(0);
    expect(stdout).toContain("random initial weights");
    expect(stdout).toMatch(
      /│ relu1\.output +│ uniform per tensor +│ +4 │ 8 of 16 │ +0\.\.7 │ 0 … [\d.]+ +│ 0 … [\d.]+ +│ +\d │/,
    );
  });

  it.each([
    [["lsqq"], "Did you mean lsq?"],
    [["nothing-like-it"], "The presets are thread, minmax, lsq"],
    [["lsq", "resnet9"], "Did you mean resnet8?"],
    [["lsq", "--define", "bits=4"], "a preset has no variables"],
    [["lsq", "--weight-bits", "17"], "Expected a whole number from 1 to 16."],
    [["thread", "--activation-bits", "1"], 'tensor "images": the codes 0..0 leave 1 level'],
    [["FILE"], "--define bits=4"],
    [["FILE", "--define", "bits"], "expected name=value"],
    [["FILE", "--define", "bits=4", "--define", "wb=4"], "nothing in"],
    [["FILE", "--weight-bits", "4"], "has its own bit widths"],
  ])("refuses %j", async (args, words) => {
    const { code, stdout, stderr } = await capture("explain", ...args.map((arg) => (arg === "FILE" ? file : arg)));
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(words);
  });
});
