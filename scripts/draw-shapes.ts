/**
 * Draws circles, squares, triangles and crosses as images of 24 x 24, in class folders: data for examples/shapes/shapes.onnx.
 *
 *     npx tsx scripts/draw-shapes.ts FOLDER [images of a class] [seed]
 *
 * FOLDER/train and FOLDER/test hold one folder for each class; a quarter of the images is for testing. Places, sizes, angles and
 * colours are functions of the seed.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Resvg } from "@resvg/resvg-js";
import { type RandomStream, randomStream } from "../src/base/random.ts";

const side = 24;
const shapes: Readonly<Record<string, string>> = {
  circle: '<circle r="5"/>',
  square: '<rect x="-4.5" y="-4.5" width="9" height="9"/>',
  triangle: '<path d="M0 -6 L5.5 4 L-5.5 4 Z"/>',
  cross: '<path d="M-1.6 -5.5h3.2v3.9h3.9v3.2h-3.9v3.9h-3.2v-3.9h-3.9v-3.2h3.9z"/>',
};

/** A colour whose channels lie in a range of bytes. */
function color(random: RandomStream, low: number, high: number): string {
  const channel = () => Math.floor(low + random.uniform() * (high - low));
  return `rgb(${channel()},${channel()},${channel()})`;
}

function draw(shape: string, random: RandomStream): Uint8Array {
  const between = (low: number, high: number) => low + random.uniform() * (high - low);
  const isLight = random.uniform() < 0.5;
  const [back, front] = isLight
    ? [color(random, 130, 250), color(random, 0, 110)]
    : [color(random, 0, 110), color(random, 130, 250)];
  const noise = Array.from({ length: 40 }, () => {
    const [x, y] = [Math.floor(between(0, side)), Math.floor(between(0, side))];
    return `<rect x="${x}" y="${y}" width="1" height="1" fill="${color(random, 0, 255)}"/>`;
  });
  const place = `translate(${between(8, 16)} ${between(8, 16)}) rotate(${between(-30, 30)}) scale(${between(0.75, 1.25)})`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${side}" height="${side}"><rect width="100%" height="100%" fill="${back}"/><g transform="${place}" fill="${front}">${shape}</g>${noise.join("")}</svg>`;
  return new Resvg(svg).render().asPng();
}

const [folder = "shapes", count = "80", seed = "1"] = process.argv.slice(2);
for (const [name, shape] of Object.entries(shapes)) {
  const random = randomStream(Number(seed), name);
  for (let index = 0; index < Number(count); index++) {
    const target = join(folder, index % 4 === 3 ? "test" : "train", name);
    mkdirSync(target, { recursive: true });
    writeFileSync(join(target, `${String(index).padStart(4, "0")}.png`), draw(shape, random));
  }
}
