/** Vulkan without a GPU: SwiftShader, which Chromium brings. WebGPU under Node.js runs on it, slowly. */
import { existsSync } from "node:fs";

const descriptions = [
  "/usr/lib/chromium/vk_swiftshader_icd.json",
  "/usr/lib64/chromium-browser/vk_swiftshader_icd.json",
  "/snap/chromium/current/usr/lib/chromium-browser/vk_swiftshader_icd.json",
  "/opt/google/chrome/vk_swiftshader_icd.json",
];

/** Without the system's Vulkan loader the description is never read. */
const loaders = [
  "/usr/lib/x86_64-linux-gnu/libvulkan.so.1",
  "/usr/lib/aarch64-linux-gnu/libvulkan.so.1",
  "/usr/lib64/libvulkan.so.1",
];

/** Its description, where the Vulkan loader is to find it; undefined where one of both is missing. */
export const softwareVulkan: string | undefined = loaders.some((file) => existsSync(file))
  ? descriptions.find((file) => existsSync(file))
  : undefined;

export const noSoftwareVulkan =
  "needs the Vulkan loader and the vk_swiftshader_icd.json of Chromium (Debian: apt install chromium libvulkan1)";

/** Makes WebGPU of this process, and of those that it starts, run on SwiftShader; call it before the first session. */
export function useSoftwareVulkan(): void {
  if (softwareVulkan !== undefined) process.env.VK_ICD_FILENAMES = softwareVulkan;
}
