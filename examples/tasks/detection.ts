/**
 * Boxes around discs and squares: images and annotations in COCO's format, and a detector of the stride 8 at 8 bits.
 *
 *     npx tsx examples/tasks/detection.ts
 */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { randomStream, resolveTrainingConfig, startRun } from "subbyte";

const random = randomStream(1, "boxes");
const [side, count, folder] = [32, 240, mkdtempSync(join(tmpdir(), "boxes-"))];
mkdirSync(join(folder, "data", "images"), { recursive: true });
const [images, annotations]: object[][] = [[], []];
for (let id = 1; id <= count; id++) {
  const [size, category] = [8 + random.integerBelow(9), 1 + random.integerBelow(2)];
  const [left, top] = [random.integerBelow(side - size), random.integerBelow(side - size)];
  const pixels = Uint8Array.from({ length: side * side }, (_, i) => {
    const [x, y] = [((i % side) + 0.5 - left) / size, (Math.floor(i / side) + 0.5 - top) / size];
    const isSquare = x > 0 && x < 1 && y > 0 && y < 1;
    const isThere = category === 1 ? Math.hypot(x - 0.5, y - 0.5) < 0.5 : isSquare;
    return (isThere ? 200 : 60) + random.integerBelow(20);
  });
  const file_name = `${id}.png`;
  const drawn = sharp(pixels, { raw: { width: side, height: side, channels: 1 } }).toColourspace("b-w");
  await drawn.toFile(join(folder, "data", "images", file_name));
  images?.push({ id, file_name, width: side, height: side });
  annotations?.push({ id, image_id: id, category_id: category, bbox: [left, top, size, size] });
}
const categories = ["disc", "square"].map((name, index) => ({ id: index + 1, name }));
writeFileSync(join(folder, "data", "annotations.json"), JSON.stringify({ images, annotations, categories }));
const text = JSON.stringify({
  model: { file: fileURLToPath(new URL("detector.onnx", import.meta.url)) },
  data: { folder: join(folder, "data"), strides: [8] },
  train: { epochs: 30, batchSize: 16, optimizer: { name: "adam", learningRate: 0.005 } },
  quantization: { preset: "lsq", weightBits: 8, activationBits: 8 },
});
export const { summary } = await startRun({ config: resolveTrainingConfig({ name: "example", text }), parent: folder });
console.log(`mAP@[.5:.95] ${(100 * summary.accuracy).toFixed(1)} %`);
