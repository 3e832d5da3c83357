/** The names of the built-in networks for help texts, which must not load the networks themselves. */
export const networkNames = "resnet8, resnet20, resnet18, mobilenetv2, vgg11, vit, lenet, mlp";
