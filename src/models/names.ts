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

/** The names of the built-in networks. */
export const modelNames: readonly string[] = builtInModels;
