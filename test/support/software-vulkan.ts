/** Vulkan without a GPU: SwiftShader, which Chromium brings. WebGPU under Node.js runs on it, slowly. */
import { existsSync } from "node:fs";

const places = [
  "/usr/lib/chromium/vk_swiftshader_icd.json",
  "/usr/lib64/chromium-browser/vk_swiftshader_icd.json",
  "/snap/chromium/current/usr/lib/chromium-browser/vk_swiftshader_icd.json",
  "/opt/google/chrome/vk_swiftshader_icd.json",
];

/** Its description, where the Vulkan loader is to find it; undefined where there is none. */
export const softwareVulkan: string | undefined = places.find((place) => existsSync(place));

export const noSoftwareVulkan = "needs the vk_swiftshader_icd.json of Chromium (Debian: apt install chromium)";

/** Makes WebGPU of this process, and of those that it starts, run on SwiftShader; call it before the first session. */
export function useSoftwareVulkan(): void {
  if (softwareVulkan !== undefined) process.env.VK_ICD_FILENAMES = softwareVulkan;
}
