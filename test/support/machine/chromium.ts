/** A headless Chromium of this machine with a page of ours, served from memory. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { type Browser, chromium, type Page } from "playwright-core";

const places = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** The browser's program; undefined where there is none. */
export const chromiumPath: string | undefined = places.find((place) => existsSync(place));

export const noChromium = "needs Chromium (Debian: apt install chromium)";

export interface OpenPage {
  readonly page: Page;
  /** What the page logged as errors. */
  readonly errors: readonly string[];
  close(): Promise<void>;
}

/** Bundles a script and opens a page that runs it. WebGPU is there, on SwiftShader; `/ort/` has ONNX Runtime's files. */
export async function openPage(script: string): Promise<OpenPage> {
  const bundle = await build({ entryPoints: [script], bundle: true, format: "esm", write: false, logLevel: "silent" });
  const server = createServer(serve(bundle.outputFiles[0]?.contents ?? new Uint8Array()));
  const port = await listen(server);
  const browser = await launch();
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.goto(`http://127.0.0.1:${port}/`);
  return {
    page,
    errors,
    close: async () => {
      await browser.close();
      server.close();
    },
  };
}

function launch(): Promise<Browser> {
  return chromium.launch({
    ...(chromiumPath === undefined ? {} : { executablePath: chromiumPath }),
    // The sandbox does not start for root, as in containers.
    args: ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"],
  });
}

function serve(script: Uint8Array): Parameters<typeof createServer>[1] {
  const runtime = dirname(createRequire(import.meta.url).resolve("onnxruntime-web/webgpu"));
  return async (request, response) => {
    const path = request.url ?? "/";
    const send = (type: string, body: string | Uint8Array) =>
      response.writeHead(200, { "content-type": type }).end(body);
    if (path === "/") return send("text/html", `<!doctype html><script type="module" src="/page.js"></script>`);
    if (path === "/page.js") return send("text/javascript", script);
    const name = /^\/ort\/([\w.-]+)$/.exec(path)?.[1];
    const file = name === undefined ? undefined : await readFile(join(runtime, name)).catch(() => undefined);
    if (file === undefined) return response.writeHead(404).end();
    return send(path.endsWith(".wasm") ? "application/wasm" : "text/javascript", file);
  };
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (typeof address === "object" && address !== null) resolve(address.port);
      else reject(new Error("the server has no port"));
    });
  });
}
