/**
 * A small vision transformer: Dosovitskiy et al., "An Image is Worth 16x16 Words" (arXiv 2010.11929), with the mean of the
 * tokens in place of a class token (Beyer et al., "Better plain ViT baselines for ImageNet-1k", arXiv 2205.01580).
 * Names of parameters are those of timm; fully connected layers start as torch.nn.Linear does.
 */
import { ConfigError } from "../errors.ts";
import type { Value } from "../ir/graph.ts";
import type { Network } from "../ir/network.ts";
import { gelu } from "../ops/families/activations.ts";
import { add, multiply } from "../ops/families/elementwise.ts";
import { matmul } from "../ops/families/matmul.ts";
import { reduceMean } from "../ops/families/reduce.ts";
import { reshape, split, squeeze, transpose } from "../ops/families/shape/shape-ops.ts";
import { softmax } from "../ops/families/softmax.ts";
import type { InitialRandom } from "./initial-random.ts";
import { NetworkBuilder, type NetworkSizes } from "./network-builder.ts";

/** Input and output sizes of a vision transformer, its depth and its width. */
export interface VisionTransformerOptions extends NetworkSizes {
  /** Features of a token; there is one head for 32 of them. */
  readonly width: number;
  readonly depth: number;
  /** Pixels along the side of the square that becomes a token. */
  readonly patch: number;
}

/** Features of a head of the attention. */
const headSize = 32;

/** @throws ConfigError where the image does not divide into patches, or the width into heads. */
export function visionTransformer(name: string, options: VisionTransformerOptions, random: InitialRandom): Network {
  const { sampleShape, width, patch, depth } = options;
  const [, imageHeight = 0, imageWidth = 0] = sampleShape;
  if (imageHeight % patch !== 0 || imageWidth % patch !== 0) {
    throw new ConfigError(
      `an image of ${imageHeight}x${imageWidth} does not divide into patches of ${patch}x${patch}`,
      {
        where: `model "${name}"`,
        remedy: `Use images whose sides are multiples of ${patch} (--set data.size=…).`,
      },
    );
  }
  const heads = Math.max(1, Math.floor(width / headSize));
  if (width % heads !== 0) {
    throw new ConfigError(`${width} features do not divide into ${heads} heads`, {
      where: `model "${name}"`,
      remedy: `Use a width that is a multiple of ${headSize}.`,
    });
  }
  const network = new NetworkBuilder(name, random);
  const { builder } = network;
  const images = network.input("images", sampleShape);
  const [rows, columns] = [imageHeight / patch, imageWidth / patch];
  const tokens = rows * columns;
  const patches = network.conv("patch_embed.proj", images, width, { kernel: patch, stride: patch, bias: true });
  const sequence = transpose(builder, reshape(builder, patches, [-1, width, tokens]), [0, 2, 1]);
  let x = add(builder, sequence, network.embedding("pos_embed", [1, tokens, width], 0.02));
  for (let block = 0; block < depth; block++) x = encoderBlock(network, `blocks.${block}`, x, heads);
  const pooled = reduceMean(builder, network.layerNorm("norm", x), [1], { keepDimensions: false });
  return network.finish(network.linear("head", pooled, options.classes));
}

/** Attention and a perceptron, each after a normalization, with a shortcut around it. */
function encoderBlock(network: NetworkBuilder, name: string, x: Value, heads: number): Value {
  const { builder } = network;
  const features = x.type.shape[2] ?? 0;
  const normalized = network.layerNorm(`${name}.norm1`, x);
  const attended = network.layer(`${name}.attn`, () => attention(network, `${name}.attn`, normalized, heads));
  const y = network.add(`${name}.add1`, x, attended);
  const wide = tokenwise(network, `${name}.mlp.fc1`, network.layerNorm(`${name}.norm2`, y), 4 * features);
  const active = network.layer(`${name}.mlp.act`, () => gelu(builder, wide));
  return network.add(`${name}.add2`, y, tokenwise(network, `${name}.mlp.fc2`, active, features));
}

/** Self-attention over x[N,T,F]: softmax(q·kᵀ/√d)·v for each head of d features. */
function attention(network: NetworkBuilder, name: string, x: Value, heads: number): Value {
  const { builder } = network;
  const [, tokens = 0, features = 0] = x.type.shape;
  const size = features / heads;
  const together = reshape(builder, tokenwise(network, `${name}.qkv`, x, 3 * features), [-1, tokens, 3, heads, size]);
  const parts = split(builder, transpose(builder, together, [2, 0, 3, 1, 4]), 0, [1, 1, 1]);
  const [q, k, v] = parts.map((part) => squeeze(builder, part, [0]));
  if (q === undefined || k === undefined || v === undefined) throw new Error("three parts of a split");
  const scores = matmul(builder, multiply(builder, q, size ** -0.5), transpose(builder, k, [0, 1, 3, 2]));
  const mixed = matmul(builder, softmax(builder, scores), v);
  const joined = reshape(builder, transpose(builder, mixed, [0, 2, 1, 3]), [-1, tokens, features]);
  return tokenwise(network, `${name}.proj`, joined, features);
}

/** A fully connected layer on each token of x[N,T,F]. */
function tokenwise(network: NetworkBuilder, name: string, x: Value, features: number): Value {
  const { builder } = network;
  const [, tokens = 0, inFeatures = 0] = x.type.shape;
  const rows = reshape(builder, x, [-1, inFeatures]);
  return reshape(builder, network.linear(name, rows, features), [-1, tokens, features]);
}
