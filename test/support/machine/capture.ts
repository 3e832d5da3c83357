/** Runs the command line inside of the test's process and keeps what it printed. */

import { vi } from "vitest";
import { run } from "../../../src/cli/program.ts";

/** What a command printed, and its exit code. */
export interface Captured {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** `capture("train", "--help")` */
export async function capture(...args: string[]): Promise<Captured> {
  const printed = { stdout: "", stderr: "" };
  const keep = (name: "stdout" | "stderr") =>
    vi.spyOn(process[name], "write").mockImplementation((text) => {
      printed[name] += String(text);
      return true;
    });
  const spies = [keep("stdout"), keep("stderr")];
  try {
    return { code: await run(args), ...printed };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
