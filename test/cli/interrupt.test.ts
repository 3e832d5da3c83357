import { describe, expect, it, vi } from "vitest";
import { interruptible } from "../../src/cli/interrupt.ts";
import { InterruptedError } from "../../src/errors.ts";

describe("Ctrl-C", () => {
  it("aborts the job's signal once, says what happens, and leaves no handler behind", async () => {
    const before = process.listenerCount("SIGINT");
    const notices: string[] = [];
    const result = await interruptible(
      async (signal) => {
        expect(signal.aborted).toBe(false);
        process.emit("SIGINT");
        return signal.aborted;
      },
      (text) => notices.push(text),
    );
    expect(result).toBe(true);
    expect(notices).toEqual(["stopping after this step; press Ctrl-C again to stop at once"]);
    expect(process.listenerCount("SIGINT")).toBe(before);
  });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("saves on %s and ends with %i", async (name, code) => {
    const stopped = interruptible(
      async (signal) => {
        process.emit(name);
        expect(signal.aborted).toBe(true);
        throw new InterruptedError("stopped after step 3", { where: "runs/a", remedy: "Resume it." });
      },
      () => undefined,
    );
    await expect(stopped).rejects.toMatchObject({ exitCode: code, where: "runs/a", remedy: "Resume it." });
    expect(process.listenerCount(name)).toBe(0);
  });

  it("twice ends the process with 130", async () => {
    const exit = vi.spyOn(process, "exit").mockImplementation((code) => {
      throw new Error(`exit ${code}`);
    });
    try {
      const job = interruptible(
        async () => {
          process.emit("SIGINT");
          process.emit("SIGINT");
        },
        () => undefined,
      );
      await expect(job).rejects.toThrow("exit 130");
    } finally {
      exit.mockRestore();
    }
  });
});
