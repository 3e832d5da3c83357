/** The progress of `subbyte mix`: a first line at once, then now and then, with the time that is left. */
import { describe, expect, it } from "vitest";
import { MixStatus } from "../../../src/cli/commands/mix/progress.ts";
import { StatusLine } from "../../../src/cli/output.ts";

function statusOn(isTTY: boolean, verbose = false) {
  const written: string[] = [];
  const clock = { now: 0 };
  const status = new StatusLine({ isTTY, columns: 100, write: (text: string) => written.push(text) });
  return { clock, written, shown: new MixStatus({ silent: false, verbose, status, now: () => clock.now }) };
}

describe("the progress of a mix", () => {
  it.each([true, false])(
    "says at once what it does, and after some steps how long the rest takes (terminal: %j)",
    (isTTY) => {
      const { clock, written, shown } = statusOn(isTTY);
      shown.show({ done: 0, total: 50, doing: "searching ranges at 8 bits, tensor 1 of 4" });
      expect(written.join("")).toContain("searching ranges at 8 bits, tensor 1 of 4 (0 of 50 done, -- left)");
      for (let done = 1; done <= 20; done++) {
        clock.now += 2000;
        shown.show({ done, total: 50, doing: "measuring 8-bit weights" });
      }
      expect(written.at(-1)).toContain("measuring 8-bit weights (20 of 50 done, 1m00s left)");
      // A terminal's line is drawn again each time, a log gets a line in ten seconds.
      expect(written.length).toBe(isTTY ? 21 : 5);
    },
  );

  it("writes each step to a log that asks for it, and nothing when silent", () => {
    const { written, shown } = statusOn(false, true);
    for (let done = 0; done < 7; done++) shown.show({ done, total: 7, doing: "measuring" });
    expect(written).toHaveLength(7);
    const silent = new MixStatus({
      silent: true,
      verbose: true,
      status: new StatusLine({ write: (text: string) => written.push(text) }),
    });
    silent.message("loading");
    silent.show({ done: 0, total: 1, doing: "measuring" });
    expect(written).toHaveLength(7);
  });
});
