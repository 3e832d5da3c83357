/**
 * Renders lines of text as images of 192 x 48, half of them upside down: data without labels for a text-line classifier.
 *
 *     npx tsx scripts/render-text-lines.ts FOLDER [count] [seed]
 *
 * Words, fonts, sizes, colours, slant and noise are functions of the seed; fonts are those of the machine.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Resvg } from "@resvg/resvg-js";
import { type RandomStream, randomStream } from "../src/base/random.ts";
import { writeFileAtomic } from "../src/io/atomic-file.ts";

const width = 192;
const height = 48;
const consonants = "bcdfghjklmnpqrstvwxyz";
const vowels = "aeiou";
const families = ["sans-serif", "serif", "monospace"];

function pick<Item>(random: RandomStream, items: ArrayLike<Item>): Item {
  const item = items[random.integerBelow(items.length)];
  if (item === undefined) throw new Error("there is nothing to pick from");
  return item;
}

function word(random: RandomStream): string {
  if (random.uniform() < 0.2) return String(random.integerBelow(10 ** (1 + random.integerBelow(5))));
  const syllables = Array.from({ length: 1 + random.integerBelow(3) }, () => {
    const end = random.uniform() < 0.3 ? pick(random, consonants) : "";
    return pick(random, consonants) + pick(random, vowels) + end;
  });
  const text = syllables.join("");
  const style = random.uniform();
  if (style < 0.15) return text.toUpperCase();
  return style < 0.45 ? text[0]?.toUpperCase() + text.slice(1) : text;
}

function gray(random: RandomStream, from: number, to: number): string {
  const channels = Array.from({ length: 3 }, () => Math.round(random.uniform(from, to)));
  return `rgb(${channels.join(",")})`;
}

/** One line as SVG. */
function line(random: RandomStream): string {
  const text = Array.from({ length: 1 + random.integerBelow(4) }, () => word(random)).join(" ");
  const size = random.uniform(20, 36);
  const isDark = random.uniform() < 0.25;
  const [ink, paper] = isDark
    ? [gray(random, 170, 255), gray(random, 0, 90)]
    : [gray(random, 0, 110), gray(random, 170, 255)];
  const turn = (random.uniform() < 0.5 ? 180 : 0) + random.uniform(-2, 2);
  const family = pick(random, families);
  const weight = random.uniform() < 0.3 ? "bold" : "normal";
  const slant = random.uniform() < 0.15 ? "italic" : "normal";
  const dots = Array.from({ length: random.integerBelow(30) }, () => {
    const [x, y, r] = [random.uniform(0, width), random.uniform(0, height), random.uniform(0.2, 0.8)];
    return `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${r.toFixed(2)}" fill="${ink}"/>`;
  });
  const x = random.uniform(2, 14).toFixed(1);
  const y = (height / 2 + size * random.uniform(0.25, 0.45)).toFixed(1);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">
<rect width="100%" height="100%" fill="${paper}"/>${dots.join("")}
<text transform="rotate(${turn.toFixed(2)} ${width / 2} ${height / 2})" x="${x}" y="${y}" font-family="${family}"
 font-size="${size.toFixed(1)}" font-weight="${weight}" font-style="${slant}" fill="${ink}">${text}</text></svg>`;
}

async function main(): Promise<void> {
  const [folder, count = "1000", seed = "0"] = process.argv.slice(2);
  if (folder === undefined) throw new Error("which folder are the images for?");
  mkdirSync(folder, { recursive: true });
  const digits = String(Number(count) - 1).length;
  for (let i = 0; i < Number(count); i++) {
    const rendered = new Resvg(line(randomStream(Number(seed), "text line", i)), { font: { loadSystemFonts: true } });
    const name = `${String(i).padStart(digits, "0")}.png`;
    await writeFileAtomic(join(folder, name), rendered.render().asPng());
  }
  process.stdout.write(`${count} lines of text in ${folder}\n`);
}

await main();
