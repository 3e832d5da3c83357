/** What bench/proof.ts proves: networks, quantizers and bits, where each cell's run and proof lie, and whether it is done. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { VerificationResult } from "../src/convert/prove/verify.ts";

export interface Model {
  readonly name: string;
  readonly title: string;
  readonly settings: readonly string[];
  /** Names of its first and last layer. */
  readonly ends: readonly string[];
}

export const models: readonly Model[] = [
  { name: "resnet20", title: "ResNet-20", settings: [], ends: ["conv1", "fc"] },
  {
    name: "mobilenetv2",
    title: "MobileNetV2, width multiplier ¼",
    settings: ["--set", "model.width=8"],
    ends: ["features.0.0", "classifier.1"],
  },
];

/** A verification over fewer images does not count. */
export const testImages = 10_000;

export interface Cell {
  readonly model: Model;
  readonly preset: string;
  readonly bits: number;
  /** Codes for both branches of residual additions, and since when they have them. */
  readonly residual?: { readonly bits: number; readonly since: "training" | "conversion" };
  /** The run's name, and the folder of its proof. */
  readonly run: string;
  readonly folder: string;
  /** Images that the interpreter has to have run. */
  readonly interpreted: number;
  readonly learningRate: number;
}

export interface CellOptions {
  readonly out: string;
  readonly models: readonly string[];
  readonly presets: readonly string[];
  readonly widths: readonly number[];
  readonly interpreted: number;
  /** Names such as lsq-W4A4 of the cells in which the interpreter runs every image. */
  readonly whole: readonly string[];
}

/** Quantizer and bits with which residual additions are tried. */
const residualPreset = "lsq";
const residualWidth = 4;

/** At 0.01 this network's weights are NaN after three steps with 2-bit powers of two. */
function learningRateOf(model: Model, preset: string, bits: number): number {
  return model.name === "mobilenetv2" && preset === "apot" && bits === 2 ? 0.001 : 0.01;
}

/**
 * The grid, both networks at one width before the next, so that a bench that was stopped has something of each; then one
 * cell of each network with codes in its additions.
 */
export function cellsOf({ out, presets, widths, interpreted, whole, ...options }: CellOptions): Cell[] {
  const found = models.filter(({ name }) => options.models.includes(name));
  const cell = (model: Model, preset: string, bits: number, residual?: NonNullable<Cell["residual"]>): Cell => {
    const plain = `${preset}-W${bits}A${bits}`;
    const name = residual === undefined ? plain : `${plain}-residual${residual.bits}`;
    const run = `${model.name}-${residual?.since === "training" ? name : plain}`;
    return {
      model,
      preset,
      bits,
      run,
      folder: join(out, run, residual?.since === "conversion" ? `convert-residual${residual.bits}` : "convert"),
      learningRate: learningRateOf(model, preset, bits),
      interpreted: whole.includes(name) && residual?.since !== "conversion" ? testImages : interpreted,
      ...(residual === undefined ? {} : { residual }),
    };
  };
  const grid = widths.flatMap((bits) => found.flatMap((model) => presets.map((preset) => cell(model, preset, bits))));
  if (!presets.includes(residualPreset) || !widths.includes(residualWidth)) return grid;
  const ways = (["training", "conversion"] as const).flatMap((since) => [8, 4].map((bits) => ({ bits, since })));
  return [...grid, ...found.flatMap((model) => ways.map((way) => cell(model, residualPreset, residualWidth, way)))];
}

/** What was found in a cell, where all test images went through the ONNX file; undefined where they did not yet. */
export async function resultOf({ folder }: Cell): Promise<VerificationResult | undefined> {
  const file = join(folder, "verify.json");
  if (!existsSync(file)) return undefined;
  const result: VerificationResult = JSON.parse(await readFile(file, "utf8"));
  return programOf(result, "onnx int")?.samples === testImages ? result : undefined;
}

/** Whether a cell needs no run: the interpreter has seen enough images as well. */
export async function isDone(cell: Cell): Promise<boolean> {
  const result = await resultOf(cell);
  return result !== undefined && (programOf(result, "interpreter")?.samples ?? 0) >= cell.interpreted;
}

export function programOf(
  result: VerificationResult,
  name: "onnx int" | "interpreter",
): VerificationResult["programs"][number] | undefined {
  return result.programs.find(({ program }) => program === name);
}
