import { CommanderError } from "commander";
import { describe, expect, it } from "vitest";
import { reportError } from "../../src/cli/report-error.ts";
import {
  ConfigError,
  exitCodes,
  FileFormatError,
  GraphError,
  InputOutputError,
  InterruptedError,
  RuntimeError,
  UnsupportedError,
} from "../../src/errors.ts";

function report(error: unknown, options: { debug?: boolean; isTTY?: boolean } = {}) {
  let text = "";
  const stream = { isTTY: options.isTTY ?? false, write: (piece: string) => (text += piece) };
  const code = reportError(error, { stream, debug: options.debug ?? false });
  return { code, text };
}

describe("the printer of errors", () => {
  it("prints where, what and what to do, without a stack", () => {
    const error = new ConfigError("unknown key bitz", { where: "a.yaml:3:1", remedy: "Did you mean bits?" });
    expect(report(error)).toEqual({ code: 2, text: "error: a.yaml:3:1: unknown key bitz\n  Did you mean bits?\n" });
  });

  it("gives each kind its documented exit code", () => {
    const kinds = [ConfigError, FileFormatError, InputOutputError, GraphError, RuntimeError, UnsupportedError];
    expect(kinds.map((Kind) => report(new Kind("x")).code)).toEqual([2, 1, 1, 1, 1, 3]);
    expect(report(new InterruptedError("x"))).toEqual({ code: exitCodes.interrupted, text: "stopped: x\n" });
  });

  it("prints the stack and the causes with --debug", () => {
    const { text } = report(new InputOutputError("cannot write", { cause: new Error("ENOSPC") }), { debug: true });
    expect(text).toContain("report-error.test.ts");
    expect(text).toContain("caused by Error: ENOSPC");
  });

  it("leaves commander's errors as commander printed them", () => {
    expect(report(new CommanderError(1, "commander.unknownOption", "x"))).toEqual({ code: 2, text: "" });
    expect(report(new CommanderError(0, "commander.helpDisplayed", "x"))).toEqual({ code: 0, text: "" });
  });

  it("calls everything else a bug, with its stack", () => {
    const { code, text } = report(new TypeError("undefined is not a function"));
    expect(code).toBe(1);
    expect(text).toContain("a bug in subbyte");
    expect(text).toContain("TypeError: undefined is not a function\n    at ");
    expect(report("a text").text).toContain("thrown: a text");
  });

  it("uses colours on a terminal only, and not against NO_COLOR", () => {
    const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
    try {
      delete process.env.NO_COLOR;
      delete process.env.FORCE_COLOR;
      process.env.TERM = "xterm";
      expect(report(new GraphError("x"), { isTTY: true }).text).toBe("\u001b[31merror: x\u001b[39m\n");
      expect(report(new GraphError("x")).text).toBe("error: x\n");
      process.env.NO_COLOR = "1";
      expect(report(new GraphError("x"), { isTTY: true }).text).toBe("error: x\n");
    } finally {
      for (const [name, value] of Object.entries({ NO_COLOR, FORCE_COLOR, TERM })) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    }
  });

  it("says of a bug which version on which system it is, and what to report", () => {
    const { code, text } = report(new TypeError("x is undefined"));
    expect(code).toBe(1);
    const { version, platform, arch } = process;
    expect(text).toMatch(/^error: internal error, a bug in subbyte \d+\.\d+\.\d+ \(Node\.js /);
    expect(text).toContain(
      `${version}, ${platform} ${arch}). Please report the command, what it was given, and these lines:\n`,
    );
    expect(text).toContain("TypeError: x is undefined\n    at ");
  });
});
