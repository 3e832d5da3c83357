/** Outputs that stay where the engine wrote them: counts the memory of the process. @alone */
import { describe, expect, it } from "vitest";
import { newBuilder } from "../../src/compile/registry.ts";
import { RuntimeError } from "../../src/errors.ts";
import { filled, float32Data, makeTensor } from "../../src/ir/tensor.ts";
import { writeOnnx } from "../../src/onnx/write/write.ts";
import { add } from "../../src/ops/families/elementwise.ts";
import { nodeEngine } from "../../src/runtime/node/node.ts";

const count = 5_000_000;
const bytes = 4 * count;

function doubling(): Uint8Array {
  const builder = newBuilder("doubling");
  const x = builder.input("x", { dtype: "float32", shape: [count] });
  builder.output("y", add(builder, x, x));
  return writeOnnx(builder.finish());
}

const createSession = (skipOutputCopy: boolean) =>
  nodeEngine({ threads: 1 }).createSession(doubling(), { disableGraphRewrites: true, skipOutputCopy });

/** The most bytes of arrays that were seen after a run besides the buffers that it was given. */
async function arraysLeftBy(skipOutputCopy: boolean): Promise<number> {
  const session = await createSession(skipOutputCopy);
  const feeds = { x: filled([count], 1) };
  const y = filled([count], 0);
  const before = process.memoryUsage().arrayBuffers;
  let left = 0;
  for (const value of [1, 2, 3]) {
    float32Data(feeds.x).fill(value);
    await session.run(feeds, { y });
    left = Math.max(left, process.memoryUsage().arrayBuffers - before);
    expect(float32Data(y)[count - 1]).toBe(2 * value);
  }
  await session.release();
  return left;
}

describe("outputs that are not copied", () => {
  it("are in their buffers, and nowhere else", async () => {
    expect(await arraysLeftBy(true)).toBeLessThan(bytes / 10);
  });

  it("would be copied by the engine otherwise", async () => {
    expect(await arraysLeftBy(false)).toBeGreaterThan(0.9 * bytes);
  });

  it("leave the names of the graph's own outputs", async () => {
    const session = await createSession(true);
    expect(session.outputNames).toEqual(["y"]);
    await session.release();
  });

  it("do not hide a run that fails", async () => {
    const session = await createSession(true);
    const short = makeTensor("float32", [2], Float32Array.of(1, 2));
    await expect(session.run({ x: short }, { y: filled([count], 0) })).rejects.toThrow(RuntimeError);
    await session.release();
  });
});
