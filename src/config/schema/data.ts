/** The part of a training configuration that says what to train on. */
import { z } from "zod";
import { arrayLayouts, datasetKinds, namedDatasets, taskNames } from "../../data/dataset/loaded-data.ts";
import { formerNames } from "../former-names.ts";
import { count } from "./common.ts";

/** The data sets that `data.name` may name; `fashion-mnist-part` comes with subbyte. */
export const dataNames = namedDatasets;

const side = z.int().min(1).max(4096);
const column = z.union([z.string().min(1), z.int()]);

/** The schema of `data`. */
export const dataSchema = z
  .strictObject({
    name: z.enum(dataNames).exactOptional(),
    /** A folder or file that holds the data, instead of a name. */
    folder: z.string().min(1).exactOptional(),
    /** Kind of the folder or file; detected by default. The former name of `images` is accepted. */
    kind: z.preprocess((kind) => (kind === formerNames.images ? "images" : kind), z.enum(datasetKinds)).exactOptional(),
    /** Learning task; by default it follows from the labels. */
    task: z.enum(taskNames).exactOptional(),
    /** Images: side, or height and width, of the network's input. Default: their own size up to 128, else 64. */
    size: z.union([side, z.tuple([side, side])]).exactOptional(),
    /** Images: length that the shorter side is resized to before cropping. Default: 8/7 of the size from 64 up. */
    resize: side.exactOptional(),
    /** Images: 1 for grey, 3 for colour. Default: the channels of the files. */
    channels: z.union([z.literal(1), z.literal(3)]).exactOptional(),
    /** Images: grey values of 16 bits: `clip` makes those above 255 white, as Pillow does; `scale` keeps the high byte. */
    sixteenBit: z.enum(["clip", "scale"]).exactOptional(),
    /** Images: a folder for a cache file of decoded images, written once. */
    cache: z.string().min(1).exactOptional(),
    /** Arrays: meaning of their dimensions. */
    layout: z.enum(arrayLayouts).exactOptional(),
    /** Tables: name or number of the column to predict. Default: one named label, class, target or y, else the last. */
    target: column.exactOptional(),
    /** Tables: whether the first row holds the names of the columns; detected by default. */
    header: z.boolean().exactOptional(),
    /** Tables: columns to leave out. */
    ignore: z.array(column).exactOptional(),
    /** A class for each position: the class number that does not count. Default: -100 for tokens, 255 for segmentation. */
    ignoreIndex: z.int().exactOptional(),
    /** Boxes: pixels between the cells of each level of the model's output, rising. Default: 8, 16 and 32. */
    strides: z.array(count).min(1).exactOptional(),
    /** Recordings: how they become log-mel features; see docs/data.md. */
    audio: z
      .strictObject({
        sampleRate: count.exactOptional(),
        seconds: z.number().positive().max(3600).exactOptional(),
        window: z.int().min(2).max(65_536).exactOptional(),
        hop: count.exactOptional(),
        mels: z.int().min(1).max(1024).exactOptional(),
        lowest: z.number().min(0).exactOptional(),
        highest: z.number().positive().exactOptional(),
        floor: z.number().positive().exactOptional(),
      })
      .exactOptional(),
    /** Texts: the tokenizer.json of the model. */
    tokenizer: z.string().min(1).exactOptional(),
    /** Texts: tokens of a sample, to which texts are cut or padded. Default: as many as the model's file states. */
    length: count.exactOptional(),
    /** Masked tokens: the number of the mask token. Default: that of the tokenizer. */
    maskToken: z.int().min(0).exactOptional(),
    /** Masked tokens: share of the tokens to predict. Default: 0.15. */
    maskShare: z.number().positive().max(1).exactOptional(),
    /** Masked tokens: how many tokens there are to draw random ones from. Default: those of the tokenizer, or of the data. */
    vocabulary: count.exactOptional(),
    /** Masked tokens: numbers of tokens that are never masked. Default: those of the tokenizer. */
    specialTokens: z.array(z.int().min(0)).exactOptional(),
    /** Names of the classes, in the order of their numbers. */
    classes: z.array(z.string()).min(1).exactOptional(),
    /** Default: the usual values of a named data set, else measured from the training samples. */
    normalization: z
      .union([
        z.enum(["measure", "imagenet", "none"]),
        z.strictObject({ mean: z.array(z.number()).min(1), std: z.array(z.number().positive()).min(1) }),
      ])
      .exactOptional(),
    /** Share held out for validation where the data has no validation or test part. Default: 0.2. */
    validationSplit: z.number().min(0).lt(1).exactOptional(),
    /** Seed of that split and of the limits; not the run's seed, so that runs of several seeds can be compared. */
    splitSeed: z.int().min(0).exactOptional(),
    /** Memory limit for samples, in bytes; the others are read again when needed. Default: 1 GiB for each part. */
    memoryBytes: count.exactOptional(),
    /** Number of training samples to use, chosen at random by splitSeed; of Fashion-MNIST, stored in random order, the first. */
    trainLimit: count.exactOptional(),
    /** Number of test samples to use, chosen in the same way. */
    testLimit: count.exactOptional(),
    /** Images: pixels of padding for the random crop; 0 for no random crop. Default: 2; for a model's file 0. */
    crop: z.int().min(0).max(64).default(2),
    /** Images: whether to mirror them at random. Default: true; for a model's file false. */
    flip: z.boolean().default(true),
  })
  .refine((value) => value.name === undefined || value.folder === undefined, {
    error: "expected either name or folder, got both",
  })
  .transform(({ name, ...rest }) => {
    if (rest.folder === undefined) return { name: name ?? dataNames[0], ...rest };
    return rest;
  });
