/** Downloads against a server of the test's own: whole and right, or nothing and the reason for every URL. */
import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test } from "vitest";
import { InputOutputError, InterruptedError } from "../../src/errors.ts";
import { writeFileWithFolder } from "../../src/io/atomic-file.ts";
import { type DownloadProgress, downloadVerified } from "../../src/io/download.ts";
import { errorOf, temporaryFolder } from "../data/support.ts";

const contents = Buffer.alloc(200_000, "subbyte ");
const packed = gzipSync(contents);
const sha256 = createHash("sha256").update(contents).digest("hex");

/** The base URL of a server on a free local port, closed when the test ends. */
async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => closeServer(server));
  return `http://127.0.0.1:${portOf(server)}`;
}

/** A local URL at which nobody listens. */
async function closedPort(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const port = portOf(server);
  await closeServer(server);
  return `http://127.0.0.1:${port}`;
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return address.port;
}

function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

async function request(urls: readonly string[], more: Partial<Parameters<typeof downloadVerified>[0]> = {}) {
  const folder = await temporaryFolder();
  const path = join(folder, "file.gz");
  return {
    folder,
    path,
    download: () =>
      downloadVerified({ urls, path, sha256, expectedBytes: packed.length, remedy: "Do it by hand.", ...more }),
  };
}

describe("downloadVerified", () => {
  test("writes the file as it was sent and tells how far it is", async () => {
    const url = `${await serve((_, response) => response.end(packed))}/file.gz`;
    const seen: DownloadProgress[] = [];
    const { folder, path, download } = await request([url], { onProgress: (progress) => seen.push(progress) });
    await download();
    expect(await readdir(folder)).toEqual(["file.gz"]);
    expect(new Uint8Array(await readFile(path))).toEqual(new Uint8Array(packed));
    expect(seen.at(-1)).toEqual({ url, receivedBytes: packed.length, totalBytes: packed.length });
  });

  test("tries the next URL when one fails", async () => {
    const good = await serve((_, response) => response.end(packed));
    const bad = await serve((_, response) => response.writeHead(404).end());
    const { path, download } = await request([await closedPort(), bad, good]);
    await download();
    expect(new Uint8Array(await readFile(path))).toEqual(new Uint8Array(packed));
  });

  test("names every URL with its reason, and what to do", async () => {
    const closed = await closedPort();
    const missing = await serve((_, response) => response.writeHead(404).end("no"));
    const { folder, path, download } = await request([closed, missing]);
    const error = await errorOf(download);
    expect(error).toBeInstanceOf(InputOutputError);
    expect(error.describe()).toBe(
      `${path}: the file could not be downloaded:\n  ${closed}: the connection was refused (ECONNREFUSED)\n` +
        `  ${missing}: the server answered 404 Not Found\n  Do it by hand.`,
    );
    expect(await readdir(folder)).toEqual([]);
  });

  test.each<[string, RequestListener, RegExp]>([
    [
      "other contents",
      (_, response) => response.end(gzipSync("other")),
      /checksum is wrong: SHA-256 .* expected [0-9a-f]{64}/,
    ],
    ["a web page instead", (_, response) => response.end("<html>log in</html>"), /the checksum is wrong/],
    ["damaged gzip", (_, response) => response.end(packed.subarray(0, -9)), /gzip data is damaged/],
    ["far too much", (_, response) => response.end(Buffer.alloc(3 * packed.length)), /more than \d+ bytes were sent/],
    [
      "a connection cut in the middle",
      (_, response) => {
        response.writeHead(200, { "content-length": packed.length });
        response.write(packed.subarray(0, 100), () => response.destroy());
      },
      /the connection was cut|terminated/,
    ],
    [
      "silence in the middle",
      (_, response) => {
        response.writeHead(200, { "content-length": packed.length });
        response.write(packed.subarray(0, 100));
      },
      /nothing was received for 0.2 s/,
    ],
    ["silence from the start", () => {}, /nothing was received for 0.2 s/],
  ])("refuses %s and leaves the old file alone", async (_, answer, reason) => {
    const { folder, path, download } = await request([await serve(answer)], { stallTimeout: 200 });
    await writeFile(path, "old");
    const error = await errorOf(download);
    expect(error).toBeInstanceOf(InputOutputError);
    expect(error.message).toMatch(reason);
    expect(await readdir(folder)).toEqual(["file.gz"]);
    expect(await readFile(path, "utf8")).toBe("old");
  });

  test.each(["before", "during"])("stops on an abort %s the download", async (when) => {
    const controller = new AbortController();
    const url = await serve((_, response) => response.write(packed.subarray(0, 100)));
    const { folder, download } = await request([url, url], {
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    if (when === "before") controller.abort();
    expect(await errorOf(download)).toBeInstanceOf(InterruptedError);
    expect(await readdir(folder)).toEqual([]);
  });

  test("a path that cannot be written is an error that names the file", async () => {
    const url = await serve((_, response) => response.end(packed));
    const { path } = await request([url]);
    await writeFile(path, "a file, not a folder");
    const inside = join(path, "file.gz");
    const error = await errorOf(() =>
      downloadVerified({ urls: [url], path: inside, sha256, expectedBytes: packed.length, remedy: "" }),
    );
    expect(error).toBeInstanceOf(InputOutputError);
    expect(error.where).toBe(inside);
    expect(error.message).toMatch(/cannot write/);
  });
});

describe("writeFileWithFolder", () => {
  test("replaces a file and leaves nothing else", async () => {
    const folder = await temporaryFolder();
    const path = join(folder, "deep", "file.txt");
    await writeFileWithFolder(path, "one");
    await Promise.all([writeFileWithFolder(path, "two"), writeFileWithFolder(path, "two")]);
    expect(await readFile(path, "utf8")).toBe("two");
    expect(await readdir(join(folder, "deep"))).toEqual(["file.txt"]);
  });

  test("leaves nothing behind when the name is taken by a folder", async () => {
    const folder = await temporaryFolder();
    await writeFileWithFolder(join(folder, "taken", "file"), "x");
    const error = await errorOf(() => writeFileWithFolder(join(folder, "taken"), "y"));
    expect(error).toBeInstanceOf(InputOutputError);
    expect(await readdir(folder)).toEqual(["taken"]);
  });
});
