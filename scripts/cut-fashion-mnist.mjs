/**
 * Cuts the part of Fashion-MNIST that comes with the package out of the full set: the first 12,000 training and the first
 * 2,000 test images. "The first" and not a balanced choice, so that anybody's PyTorch script gets the same data by `[:12000]`.
 *
 *   npm run build && node scripts/cut-fashion-mnist.mjs FOLDER_WITH_THE_FULL_SET
 *
 * The result is the same bytes on every machine; it is printed with its checksums and class counts for data/fashion-mnist/README.md.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { embeddedFashionMnistFolder, fashionMnistFiles } from "../dist/data/formats/fashion-mnist.js";
import { findIdxFile } from "../dist/data/formats/idx/dataset.js";
import { decodeIdx, readIdx, writeIdx } from "../dist/data/formats/idx/idx.js";
import { readMaybePacked } from "../dist/io/gzip.js";

const counts = { train: 12_000, t10k: 2_000 };
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

const source = process.argv[2];
if (source === undefined) {
  console.error("usage: node scripts/cut-fashion-mnist.mjs FOLDER_WITH_THE_FULL_SET");
  process.exit(2);
}

let total = 0;
for (const { name, sha256: expected } of fashionMnistFiles) {
  const path = await findIdxFile(source, name, "Give the folder of the full set.");
  const contents = await readMaybePacked(path);
  if (sha256(contents) !== expected) throw new Error(`${path} is not the published ${name}`);
  const { shape, data } = decodeIdx(contents, path);
  const count = name.startsWith("train") ? counts.train : counts.t10k;
  const sampleLength = data.length / shape[0];
  const target = join(embeddedFashionMnistFolder, `${name}.gz`);
  await writeIdx(target, { shape: [count, ...shape.slice(1)], data: data.subarray(0, count * sampleLength) });

  const packed = await readFile(target);
  total += packed.length;
  console.log(`| \`${name}.gz\` | ${packed.length.toLocaleString("en")} | \`${sha256(packed)}\` |`);
  if (shape.length === 1) {
    const labels = (await readIdx(target)).data;
    const perClass = Array.from({ length: 10 }, (_, label) => labels.filter((found) => found === label).length);
    console.log(`  labels 0..9: ${perClass.join(", ")}`);
  }
}
console.log(`${total.toLocaleString("en")} bytes in ${embeddedFashionMnistFolder}`);
