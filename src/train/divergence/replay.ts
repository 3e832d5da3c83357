/**
 * What a training that diverged does to say where: it goes back to its last sound state and repeats the steps since,
 * which give the same numbers, up to the one that went wrong. A training that goes well only pays for the copies.
 */
import { type DivergenceOrigin, NotANumberError } from "../../errors.ts";
import type { Network } from "../../ir/network.ts";
import type { Tensor } from "../../ir/tensor.ts";
import type { Target } from "../../ops/definition.ts";
import type { Engine } from "../../runtime/engine.ts";
import { StateBuffers } from "../../runtime/state.ts";
import { firstNonFinite, type SuspectPass, unsoundState } from "./first-non-finite.ts";

/** Steps between two copies of the state: few enough to repeat, and enough that the copies cost almost nothing. */
export const soundStateInterval = 64;

/** A state without NaN, on the host. */
export interface SoundState {
  /** Steps done by then. */
  readonly step: number;
  readonly state: ReadonlyMap<string, Tensor>;
}

/** The steps to repeat after a failure. */
export interface Replay {
  readonly from: SoundState;
  /** Steps done when something was not finite. */
  readonly until: number;
  readonly network: Network;
  /** Repeats a step on a state. @throws NotANumberError as the engine does. */
  readonly repeat: (step: number, state: StateBuffers) => Promise<{ readonly loss: number }>;
  /** The pass of the step that was repeated last. */
  readonly pass: (state: ReadonlyMap<string, Tensor>) => SuspectPass;
  readonly engine: Engine;
  readonly target: Target;
}

/** The step, counted from 1, after which something was not finite for the first time, and where that arose. */
export interface ReplayResult {
  readonly step: number;
  readonly origin: DivergenceOrigin | undefined;
  /** Whether parameters had been changed by then: by earlier steps, or by this one. */
  readonly hasMoved: boolean;
}

/** Undefined where nothing was found, which other engines than the CPU may do. */
export async function replay(run: Replay): Promise<ReplayResult | undefined> {
  const { from, until, network, engine, target } = run;
  const state = new StateBuffers(from.state);
  for (let step = from.step; step < until; step++) {
    const before = state.snapshot();
    const loss = await lossOf(() => run.repeat(step, state));
    await state.toHost();
    const unsound = Number.isFinite(loss) ? unsoundState(network, state.snapshot()) : undefined;
    if (Number.isFinite(loss) && unsound === undefined) continue;
    await state.leaveDevice();
    const inPass = await firstNonFinite(run.pass(before), engine, target);
    const isUpdate = inPass === undefined && unsound !== undefined;
    return { step: step + 1, origin: inPass ?? unsound, hasMoved: step > 0 || isUpdate };
  }
  await state.leaveDevice();
  return undefined;
}

async function lossOf(step: () => Promise<{ readonly loss: number }>): Promise<number> {
  try {
    return (await step()).loss;
  } catch (error) {
    if (error instanceof NotANumberError) return Number.NaN;
    throw error;
  }
}
