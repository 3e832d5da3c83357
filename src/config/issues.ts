/** Turns what the schema found wrong into one ConfigError that says where, what was got, what was expected, and the remedy. */

import type { z } from "zod";
import { defined } from "../base/defined.ts";
import { didYouMean } from "../base/nearest-word.ts";
import { ConfigError } from "../errors.ts";
import { adviceForUnknownKey } from "./keys.ts";
import { bitRange } from "./schema/schema.ts";

/** Says where a key was written: `train.yaml:3:7`, or the flag that set it. */
export type Locate = (path: readonly PropertyKey[], part: "key" | "value") => string;

type Issue = z.core.$ZodIssue;

interface Finding {
  readonly where: string;
  readonly message: string;
  readonly remedy?: string;
}

function show(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "a list" : "a mapping";
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => {
    if (typeof value !== "object" || value === null) return undefined;
    return Object.entries(value).find(([name]) => name === String(key))?.[1];
  }, root);
}

const typeNames: Readonly<Record<string, string>> = {
  int: "a whole number",
  number: "a number",
  object: "a mapping of keys",
  array: "a list",
  boolean: "true or false",
  string: "a text",
};

function expectation(issue: Issue, isBits: boolean): string {
  if (isBits) return `expected a bit-width from ${bitRange.minimum} to ${bitRange.maximum}`;
  switch (issue.code) {
    case "invalid_type":
      return `expected ${typeNames[issue.expected] ?? issue.expected}`;
    case "too_small":
      if (issue.origin === "string" || issue.origin === "array") return "expected something, got nothing";
      return `expected ${issue.inclusive ? "at least" : "more than"} ${issue.minimum}`;
    case "too_big":
      return `expected ${issue.inclusive ? "at most" : "less than"} ${issue.maximum}`;
    case "invalid_value":
      return `expected one of ${issue.values.map(String).join(", ")}`;
    case "invalid_union": {
      if (issue.message !== "Invalid input") return issue.message;
      const branches = issue.errors.flatMap(([first]) => (first === undefined ? [] : [expectation(first, false)]));
      return `expected ${branches.map((text) => text.replace(/^expected (one of )?/, "")).join(" or ")}`;
    }
    default:
      return issue.message;
  }
}

function unknownKeyFinding(path: readonly PropertyKey[], key: string, locate: Locate): Finding {
  const parent = path.map(String).join(".");
  const full = parent === "" ? key : `${parent}.${key}`;
  return {
    where: locate([...path, key], "key"),
    message: `unknown key ${full}`,
    remedy: adviceForUnknownKey(parent, key),
  };
}

function valueFinding(issue: Issue, root: unknown, locate: Locate): Finding {
  const key = issue.path.map(String).join(".");
  const value = valueAt(root, issue.path);
  const isBits = /Bits$/.test(key) && issue.code !== "invalid_union" && issue.code !== "custom";
  const got = issue.code === "custom" ? "" : `, got ${show(value)}`;
  const isWord = issue.code === "invalid_value" && typeof value === "string";
  const message = `${key === "" ? "the configuration" : key}: ${expectation(issue, isBits)}${got}`;
  const remedy = isWord ? didYouMean(value, issue.values.map(String)) : undefined;
  return { where: locate(issue.path, "value"), message, ...defined({ remedy }) };
}

/** Returns the issues of a union from its closest branch, the one that fits the kind of the value. */
function expand(issue: Issue): readonly Issue[] {
  if (issue.code !== "invalid_union" || issue.message !== "Invalid input") return [issue];
  const closest = issue.errors.find((branch) =>
    branch.every(({ code, path }) => path.length > 0 || (code !== "invalid_type" && code !== "invalid_value")),
  );
  if (closest === undefined) return [issue];
  return closest.flatMap((inner) => expand({ ...inner, path: [...issue.path, ...inner.path] }));
}

/** One error for all issues; the first gives the place, the others follow it in the message. */
export function issuesToError(issues: readonly Issue[], root: unknown, locate: Locate): ConfigError {
  const findings = issues.flatMap(expand).flatMap((issue) => {
    if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKeyFinding(issue.path, key, locate));
    return [valueFinding(issue, root, locate)];
  });
  const [first, ...others] = findings;
  if (first === undefined) return new ConfigError("the configuration is not valid");
  const rest = others.map((finding) => {
    const line = `${finding.where}: ${finding.message}`;
    return finding.remedy === undefined ? line : `${line}\n  ${finding.remedy}`;
  });
  const remedy = [...(first.remedy === undefined ? [] : [first.remedy]), ...rest].join("\n");
  return new ConfigError(first.message, { where: first.where, ...(remedy === "" ? {} : { remedy }) });
}
