/**
 * Runs before the packages that subbyte depends on are set up. onnxruntime-node's own script would download CUDA libraries of
 * several hundred megabytes from nuget.org, and the whole installation fails where only the npm registry is reachable. It
 * downloads only files that do not exist, so that empty files in their places keep it from the network. The CPU and WebGPU
 * providers do not need them. With ONNXRUNTIME_NODE_INSTALL set, or where the project itself depends on
 * onnxruntime-node, nothing is done: `ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node` fetches the libraries.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const { env, platform, arch } = process;

/** Whether somebody has decided already. */
function isDecided() {
  const flags = ["ONNXRUNTIME_NODE_INSTALL", "ONNXRUNTIME_NODE_INSTALL_CUDA"];
  if (flags.some((flag) => env[flag] || env[`npm_config_${flag.toLowerCase()}`])) return true;
  const project = join(env.npm_config_local_prefix ?? ".", "package.json");
  const { dependencies = {}, devDependencies = {} } = JSON.parse(readFileSync(project, "utf8"));
  return "onnxruntime-node" in { ...dependencies, ...devDependencies };
}

/** Creates the files that the script would download. It names them itself. */
function createPlaceholders() {
  const require = createRequire(import.meta.url);
  const root = dirname(require.resolve("onnxruntime-node/package.json"));
  const { requirements, manifests } = require("onnxruntime-node/script/install-metadata.js");
  const folder = join(root, "bin", "napi-v6", platform, arch);
  for (const name of requirements[`${platform}/${arch}`] ?? []) {
    for (const file of Object.keys(manifests[`${platform}/${arch}:${name}`] ?? {})) {
      const path = join(folder, file);
      if (!existsSync(path)) writeFileSync(path, "");
    }
  }
}

try {
  if (!isDecided()) createPlaceholders();
} catch {
  // Another version or another package manager: its script then does what it does without subbyte.
}
