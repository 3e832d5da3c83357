/** The names of the built-in networks, apart from what builds them: a help that lists them loads no operator. */

/** The built-in networks. */
export const builtInModels = [
  "resnet8",
  "resnet20",
  "resnet18",
  "mobilenetv2",
  "vgg11",
  "vit",
  "lenet",
  "mlp",
] as const;

/** The name of a built-in network. */
export type ModelName = (typeof builtInModels)[number];

/** The names of the built-in networks. */
export const modelNames: readonly ModelName[] = builtInModels;

/** Returns whether a text is the name of a built-in network. */
export function isModelName(text: string): text is ModelName {
  return builtInModels.some((name) => name === text);
}
