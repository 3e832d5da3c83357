/**
 * From an ONNX file to a network that can be trained, quantized and written again.
 *
 * The file is read for any batch size where that is possible (see batch/size.ts), brought to the operators of today
 * (upgrades.ts), computed where everything is known (ops/evaluate.ts), and its arithmetic recognised (patterns/).
 */

import { withoutQuantizers } from "../compile/passes/without-quantizers.ts";
import { isQuantized, type QuantizerSite, quantizerSite } from "../compile/sites.ts";
import { SubbyteError } from "../errors.ts";
import type { DataBytes } from "../ir/data-bytes.ts";
import { consumers, type Graph } from "../ir/graph.ts";
import { type Network, type Parameter, withOrigins } from "../ir/network.ts";
import { batchSymbol, isSymbolic } from "../ir/size.ts";
import { type OnnxFile, readOnnxFile } from "../onnx/read/file.ts";
import type { ExternalData } from "../onnx/wire/tensor.ts";
import { BatchDependence } from "../ops/rewrite/context.ts";
import { type Slot, type SlotType, typeOf } from "../ops/rewrite/slots.ts";
import { dropoutNote } from "../ops/rewrite/upgrades.ts";
import { isFakeQuantize } from "../quantizers/fake-quantize.ts";
import { type EmittedSite, Emitter } from "./emitter.ts";
import { finishNetwork } from "./finish.ts";
import { FoldBudget } from "./fold-budget.ts";
import { type InputTypeOptions, inputTypes, type StatedBatch, statedBatch } from "./input-types.ts";
import { channelsFirstInput } from "./rewrite/channels-first.ts";
import { refuseDataControlFlow } from "./rewrite/control-flow.ts";
import { withoutDropout } from "./rewrite/dropout.ts";
import { tieInstanceStatistics } from "./rewrite/instance-statistics.ts";
import { type RestoredBatchNorm, restoreBatchNorms } from "./rewrite/restore-batch-norm.ts";
import { repeatedWeightNotes } from "./shared/repeated-weights.ts";
import { refuseUnknownOperators } from "./unknown-operators.ts";
import { dropUnusedInputs, unusedInputsNote } from "./unused-inputs.ts";
import { walkGraph } from "./walk.ts";

/** Options of the import of an ONNX file. */
export interface ImportOptions extends InputTypeOptions {
  /** Batch size of the graph that is returned; jobs bind their own. Default 1. */
  readonly batch?: number;
  /** Keeps a batch size that the file states, instead of reading the network for any. Default false. */
  readonly keepBatch?: boolean;
  /** Puts a BatchNormalization after the convolutions that an exporter may have folded one into. Default false. */
  readonly restoreBatchNorm?: boolean;
  /** Removes the quantizers that the file carries. Default false. */
  readonly stripQuantizers?: boolean;
  /** Gives the bytes of a data file next to the model. */
  readonly externalData?: ExternalData;
  /** The name of the file in errors. */
  readonly source?: string;
  /** The bytes are given away: weights stay in them, which takes half the memory. Default false: they are copied. */
  readonly inPlace?: boolean;
}

/** Facts about a network that came from a file. */
export interface ImportReport {
  readonly producer: string;
  /** The version of the standard operators that the file was written with. */
  readonly opset: number;
  /** The batch sizes that the network can be bound to. */
  readonly batch: "any" | number;
  /** Sentences on what was changed or left out. */
  readonly notes: readonly string[];
  /** Parameters that cannot be trained because of an operator after them, with the reason. */
  readonly held: ReadonlyMap<string, string>;
  /** The BatchNormalizations that were put back; absent where none was. */
  readonly restored?: readonly RestoredBatchNorm[];
}

/** A network from an ONNX file, with a report of what was done to it. */
export interface ImportedNetwork extends Network {
  readonly imported: ImportReport;
  /** Present when the file carries quantizers. */
  readonly sites?: readonly QuantizerSite[];
}

/**
 * Reads an ONNX model of the opsets in `readOpsets`.
 *
 * @param bytes The model in memory, or what gives parts of one: then its large tensors are read one at a time.
 * @throws FileFormatError for bytes that are not ONNX, GraphError for a graph that contradicts itself,
 *   UnsupportedError for what subbyte cannot hold, ConfigError for options that do not fit the model.
 * @example
 * const imported = importOnnx(exportOnnx(network));
 * console.log(imported.parameters.length === network.parameters.length); // true
 */
export function importOnnx(bytes: DataBytes, options: ImportOptions = {}): ImportedNetwork {
  const source = options.source ?? "ONNX model";
  const { file, unused } = dropUnusedInputs(
    readOnnxFile(bytes, {
      source,
      inPlace: options.inPlace === true,
      ...(options.externalData === undefined ? {} : { externalData: options.externalData }),
    }),
  );
  refuseDataControlFlow(file, source);
  refuseUnknownOperators(withoutDropout(file.graph).graph, source);
  const stated = statedBatch(file);
  const any = readForAnyBatch(file, stated, options, source);
  const read = any.network ?? readFor(file, stated, options, source, any.obstacle);
  const notes = [
    ...read.imported.notes,
    ...(unused.length === 0 ? [] : [unusedInputsNote(unused)]),
    ...contradictions(file, read),
    ...repeatedWeightNotes(read.parameters),
  ];
  const tied = tieInstanceStatistics(read);
  const base = options.stripQuantizers === true ? withoutQuantizers(tied) : tied;
  const network = { ...base, imported: { ...read.imported, notes } };
  // What quantizers of the file stand behind was calibrated without a normalization there.
  if (options.restoreBatchNorm !== true || isQuantized(network)) return network;
  const { network: whole, restored } = restoreBatchNorms(network);
  return restored.length === 0 ? network : { ...whole, imported: { ...network.imported, restored } };
}

/** Notes on outputs whose stated shapes differ from those of their nodes; the batch is ignored. */
function contradictions({ outputShapes }: OnnxFile, { graph }: Network): string[] {
  return graph.outputs.flatMap(({ name, value }) => {
    const stated = outputShapes.get(name);
    const { shape } = value.type;
    const differs =
      stated !== undefined &&
      (stated.length !== shape.length || stated.some((size, i) => i > 0 && size !== undefined && size !== shape[i]));
    if (!differs) return [];
    const show = (sizes: readonly (number | undefined)[]) => `[${sizes.map((size) => size ?? "?").join(",")}]`;
    return [`The file states ${show(stated)} for "${name}", but its nodes give ${show(shape)}.`];
  });
}

interface AnyBatch {
  /** Absent where the network supports only one batch size. */
  readonly network?: ImportedNetwork;
  /** Why it does. */
  readonly obstacle?: SubbyteError;
}

function readForAnyBatch(
  file: OnnxFile,
  stated: StatedBatch | undefined,
  options: ImportOptions,
  source: string,
): AnyBatch {
  if (stated === undefined || (stated.kind === "fixed" && (options.keepBatch === true || stated.size < 1))) return {};
  const types = inputTypes(file, options, source, batchSymbol, true);
  const binding = stated.kind === "fixed" ? { size: stated.size, stated: stated.size } : { size: 1 };
  try {
    const emitter = new Emitter(file.graph.name, { ...binding, size: options.batch ?? binding.size }, foldBudget(file));
    const { network, isFree } = build(file, emitter, { types, place: placeOf(options) }, "any");
    if (!isFree) return {};
    const { graph, parameters, held } = finishNetwork(network);
    return { network: { ...network, graph, parameters, imported: { ...network.imported, held } } };
  } catch (error) {
    // The error that counts is the one that the batch size of the file gives.
    if (error instanceof SubbyteError) return { obstacle: error };
    throw error;
  }
}

function readFor(
  file: OnnxFile,
  stated: StatedBatch | undefined,
  options: ImportOptions,
  source: string,
  obstacle: SubbyteError | undefined,
): ImportedNetwork {
  const size = stated?.kind === "fixed" ? stated.size : (options.batch ?? 1);
  const types = inputTypes(file, options, source, size, false);
  const { network } = build(
    file,
    new Emitter(file.graph.name, undefined, foldBudget(file)),
    { types, place: placeOf(options) },
    size,
  );
  const { graph, parameters, held } = finishNetwork(network);
  const notes = [...network.imported.notes];
  if (stated !== undefined && options.keepBatch !== true) {
    const reason =
      obstacle instanceof BatchDependence
        ? `${obstacle.where ?? source}: ${obstacle.message}`
        : "its shapes contain the batch size";
    notes.push(`The network supports only batches of ${size}: ${reason}.`);
  }
  const only = stated === undefined ? {} : { onlyBatch: size };
  return { ...network, graph, parameters, ...only, imported: { ...network.imported, held, notes } };
}

function foldBudget({ graph }: OnnxFile): FoldBudget {
  return new FoldBudget(graph.constants.values());
}

/** Makes an input of the network; what the file's nodes read in its place. */
type PlaceInput = (emitter: Emitter, name: string, type: SlotType) => Slot;

function placeOf({ channelsFirst }: ImportOptions): PlaceInput {
  return channelsFirst === true ? channelsFirstInput : (emitter, name, type) => emitter.input(name, type);
}

function build(
  file: OnnxFile,
  emitter: Emitter,
  { types, place }: { readonly types: readonly SlotType[]; readonly place: PlaceInput },
  batch: "any" | number,
): { readonly network: ImportedNetwork; readonly isFree: boolean } {
  const inputs = new Map<string, Slot>();
  file.graph.inputs.forEach(({ name }, i) => {
    const type = types[i];
    if (type !== undefined) inputs.set(name, place(emitter, name, type));
  });
  const { graph, count } = withoutDropout(file.graph);
  if (count > 0) emitter.note(dropoutNote);
  const outputs = walkGraph(emitter, graph, inputs, file.opset);
  const named = file.graph.outputs.flatMap((name, i) => {
    const slot = outputs[i];
    return slot === undefined ? [] : [{ name, slot }];
  });
  for (const { name, slot } of withoutLabels(emitter, named)) emitter.builder.output(name, emitter.outputValue(slot));
  const parameters: readonly Parameter[] = emitter.parameters;
  const opset = file.opset.get("") ?? 0;
  const imported = { producer: file.producer, opset, batch, notes: emitter.notes, held: new Map<string, string>() };
  const read = { name: file.graph.name || "network", graph: emitter.builder.finish(), parameters, imported };
  const network = withQuantizersOfLayers(read);
  const sites = sitesInGraph(network.graph, emitter.sites);
  const isFree = outputs.some((slot) => typeOf(slot).shape.some(isSymbolic));
  return { network: sites.length === 0 ? network : { ...network, sites }, isFree };
}

interface NamedSlot {
  readonly name: string;
  readonly slot: Slot;
}

/** The outputs without those before the first one in float: a classifier of scikit-learn gives its label before its scores. */
function withoutLabels(emitter: Emitter, outputs: readonly NamedSlot[]): readonly NamedSlot[] {
  const first = outputs.findIndex(({ slot }) => typeOf(slot).dtype === "float32");
  const isLabel = ({ slot }: NamedSlot): boolean => ["int64", "string"].includes(typeOf(slot).dtype);
  if (first <= 0 || !outputs.slice(0, first).every(isLabel)) return outputs;
  const labels = outputs.slice(0, first).map(({ name }) => `"${name}"`);
  emitter.note(`${labels.join(", ")} holds integers, which nothing trains: it is left out of the outputs.`);
  return outputs.slice(first);
}

/** A quantizer belongs to the first layer that reads its output, whatever the file calls it. */
function withQuantizersOfLayers<Kind extends Network>(network: Kind): Kind {
  const consumersOf = consumers(network.graph);
  return withOrigins(network, (origin, node) => {
    const [output] = node.outputs;
    const [consumer] = output === undefined ? [] : (consumersOf.get(output) ?? []);
    return isFakeQuantize(node) && consumer !== undefined ? consumer.origin : origin;
  });
}

/** The quantizers that an output needs, each with the first layer that reads it. */
function sitesInGraph(graph: Graph, sites: readonly EmittedSite[]): QuantizerSite[] {
  const nodes = new Map(graph.nodes.filter(isFakeQuantize).map((node) => [node.name, node]));
  const consumersOf = consumers(graph);
  return sites.flatMap((site) => {
    const [output] = nodes.get(site.id)?.outputs ?? [];
    if (output === undefined) return [];
    const [consumer] = consumersOf.get(output) ?? [];
    return [quantizerSite({ ...site, layer: consumer?.name ?? site.tensor })];
  });
}
