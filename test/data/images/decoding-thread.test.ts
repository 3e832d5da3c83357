import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ImageDecoder } from "../../../src/data/images/decoder.ts";
import { decodeInThread } from "../../../src/data/images/decoding-thread.ts";

const count = 40;
const shape = [3, 16, 16];

describe("the decoding thread", () => {
  let folder = "";
  let paths: string[] = [];
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "subbyte-decoding-"));
    paths = Array.from({ length: count }, (_, i) => join(folder, `${i}.png`));
    for (const [i, path] of paths.entries()) {
      const pixels = Uint8Array.from({ length: 20 * 24 * 3 }, (_, j) => (i * 7 + j * j) % 256);
      await sharp(pixels, { raw: { width: 20, height: 24, channels: 3 } }).toFile(path);
    }
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("decodes as this thread would, and says what is broken", async () => {
    const decoder = await ImageDecoder.create();
    const broken = join(folder, "broken.png");
    await writeFile(broken, "no image");
    for (const path of [paths[0] ?? "", broken]) {
      expect(await decodeInThread(path, shape)).toEqual(await decoder.decode(path, shape));
    }
  });

  it("continues while this thread is blocked", async () => {
    await decodeInThread(paths[0] ?? "", shape);
    let ready = 0;
    const all = paths.map((path) => decodeInThread(path, shape).then(() => ready++));
    // The bundle goes out, then nothing else can run here.
    await Promise.resolve();
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2000);
    // Turns of the event loop, which take no time: only what is there already can come.
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(ready).toBe(count);
    await Promise.all(all);
  });
});
