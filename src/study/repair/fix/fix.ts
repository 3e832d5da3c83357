/** fix.json: the fix searches of a study. */
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { formerNames } from "../../../config/former-names.ts";
import type { FixStep } from "../../../diagnose/remedy/search.ts";
import { FileFormatError } from "../../../errors.ts";
import { describeSystemError, systemErrorCode } from "../../../io/system-error.ts";
import { presentTrialId } from "../../plan/trial-names.ts";

const changes = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]));
const step = z.object({
  title: z.string(),
  changes,
  /** Accuracy without and with it, including all remedies kept before it. */
  before: z.number(),
  after: z.number().nullable(),
  kept: z.boolean(),
  /** Whether it was removed at the end, because the others suffice. */
  redundant: z.boolean(),
  /** The later remedy that subsumes it: with that one it changes nothing. */
  subsumedBy: z.string().nullable(),
  reason: z.string(),
}) satisfies z.ZodType<FixStep>;
const fixSchema = z.object({
  recipe: z.string(),
  weightBits: z.number(),
  activationBits: z.number(),
  /** The failing trial. */
  trial: z.string(),
  before: z.number(),
  after: z.number(),
  /** The accuracy to reach. */
  goal: z.number(),
  steps: z.array(step),
  /** Causes whose remedies all failed, and the factor of their confidence in the other trials. */
  failed: z.array(z.object({ cause: z.string(), factor: z.number().min(0).max(1) })).exactOptional(),
});
const fixFile = z.object({ schemaVersion: z.literal(3), fixes: z.array(fixSchema) });

/** The fix.json of earlier versions, converted to present names. */
const formerFile = z
  .object({
    schemaVersion: z.literal(2),
    [formerNames.fixes]: z.array(
      fixSchema.extend({
        steps: z.array(
          step
            .omit({ redundant: true, subsumedBy: true })
            .extend({
              [formerNames.redundant]: z.boolean(),
              [formerNames.subsumedBy]: z.string().nullable().default(null),
            })
            .transform(({ [formerNames.redundant]: redundant, [formerNames.subsumedBy]: subsumedBy, ...rest }) => ({
              ...rest,
              redundant,
              subsumedBy,
            })),
        ),
      }),
    ),
  })
  .transform(({ [formerNames.fixes]: fixes }) => ({
    fixes: fixes.map((fix) => ({ ...fix, trial: presentTrialId(fix.trial) })),
  }));

/** One fix search of fix.json. */
export type Fix = z.output<typeof fixSchema>;

/** Returns the text of fix.json. */
export function encodeFixes(fixes: readonly Fix[]): string {
  return `${JSON.stringify({ schemaVersion: 3, fixes }, undefined, 1)}\n`;
}

/**
 * Reads the fixes of a study, from the file of an earlier version where there is no other.
 *
 * @param file fix.json.
 * @throws FileFormatError when the file is damaged or another version's.
 */
export async function readFixes(file: string): Promise<readonly Fix[]> {
  return (await readFixFile(file)) ?? (await readFixFile(join(dirname(file), formerNames.fixFile))) ?? [];
}

async function readFixFile(file: string): Promise<readonly Fix[] | undefined> {
  const remedy = "Remove it: the fix search runs again.";
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    const { reason } = describeSystemError(error);
    throw new FileFormatError(`it cannot be read: ${reason}`, { where: file, remedy, cause: error });
  });
  if (text === undefined) return undefined;
  try {
    const content = z.union([fixFile, formerFile]).safeParse(JSON.parse(text));
    if (content.success) return content.data.fixes;
  } catch (cause) {
    throw new FileFormatError("it is not JSON", { where: file, remedy, cause });
  }
  throw new FileFormatError("it was written by another version of subbyte", { where: file, remedy });
}
