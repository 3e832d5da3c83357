/** The command that `npm run build` leaves. @slow */
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { repositoryRoot } from "../support/imports.ts";

describe("the built command", () => {
  // npx runs the file itself, and the compiler does not make it executable.
  it("may be executed", () => {
    expect(() => accessSync(join(repositoryRoot, manifest.bin.subbyte), constants.X_OK)).not.toThrow();
  });
});
