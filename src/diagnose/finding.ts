/** The type of a family of causes, and the functions from measurements to confidence. */
import { defined } from "../base/defined.ts";
import type { Evidence, Finding } from "../runs/finding.ts";
import type { DiagnosisInput } from "./input.ts";

/** A finding with one of the causes `Name`; a file may hold causes of other versions. */
export interface CauseFinding<Name extends string = string> extends Finding {
  readonly cause: Name;
  /** Causes whose measurements follow from this finding alone, besides those that follow from its cause: see {@link CauseFamily.explains}. */
  readonly explains?: readonly string[];
}

/** Causes that are found from the same measurements. One file of causes/ holds one, and diagnose.ts lists it. */
export interface CauseFamily<Name extends string = string> {
  /** The causes, with the row of the table in docs/diagnosis.md. */
  readonly rows: Readonly<Record<Name, number>>;
  /**
   * Other causes whose measurements follow from a cause: scales that an update threw to nothing make ranges that look
   * stretched by outliers. They lose confidence where this one is found.
   */
  readonly explains?: Readonly<Partial<Record<Name, readonly string[]>>>;
  /**
   * Causes whose evidence needs no end of a run: what the configuration proves, what the data shows, and damage that training does
   * not repair. From {@link certainEarly} on they are reported while the run trains.
   */
  readonly early?: readonly Name[];
  /**
   * Causes that act where a training begins: a training that continues from the run's last weights does not show what their
   * remedies do.
   */
  readonly actsAtStart?: readonly Name[];
  /** The findings that the measurements support, in any order and with any confidence. */
  find(input: DiagnosisInput): readonly CauseFinding<Name>[];
}

/** The confidence from which on a finding is reported while a run trains. */
export const certainEarly = 0.8;

/** Findings with a lower score are not worth a line. */
export const leastScore = 0.2;

/**
 * A measurement with its threshold; whether it supports follows from the two.
 *
 * @param direction "above": it supports the cause from the threshold on; "below": up to it.
 */
export function evidence(
  measurement: string,
  value: number,
  threshold: number,
  direction: "above" | "below",
  layer?: string,
): Evidence {
  const supports = direction === "above" ? value >= threshold : value <= threshold;
  return { measurement, value, threshold, supports, ...defined({ layer }) };
}

/** 0 at `from`, 1 at `to` (which may lie below it), linear between; 0 for a number that was not measured. */
export function ramp(value: number, from: number, to: number): number {
  if (Number.isNaN(value)) return 0;
  return Math.min(1, Math.max(0, (value - from) / (to - from)));
}

/** The same on a logarithmic scale. */
export function logRamp(value: number, from: number, to: number): number {
  return value > 0 ? ramp(Math.log(value), Math.log(from), Math.log(to)) : 0;
}
