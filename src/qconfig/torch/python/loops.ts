/** Loops and `match`: run as often as is known, and once or not at all where it is not. */
import { type TorchValue, truthOf, unknownValue } from "../values.ts";
import { compared } from "./builtins.ts";
import { iterationOf } from "./evaluate.ts";
import { loopOutcome } from "./flow.ts";
import type { At } from "./source.ts";
import { type BodyOutcome, joinOutcomes, ranOn, type State } from "./state.ts";
import { type Body, type Expression, type Statement, wholeOf } from "./syntax.ts";

/** What a loop runs with, in the scopes of its statement. */
export interface LoopMachine {
  readonly state: State;
  body(body: Body): BodyOutcome;
  value(expression: Expression): TorchValue;
  assign(target: Expression, value: TorchValue, at: At): void;
}

const longestLoop = 512;

/** Runs iterations until one ends the loop; after one that may end it, the rest runs in one of two branches. */
function iterate(
  machine: LoopMachine,
  at: At,
  step: (count: number) => BodyOutcome | undefined,
  after: () => BodyOutcome,
): BodyOutcome {
  const run = (count: number): BodyOutcome => {
    const outcome = step(count);
    if (outcome === undefined) return after();
    const { next, continue: again, break: stopped, ...left } = outcome;
    const isStopped = stopped !== undefined;
    const mayEnd = isStopped || Object.keys(left).length > 0;
    if (next === undefined && again === undefined) return isStopped ? { ...left, next: true } : left;
    if (!mayEnd) return run(count + 1);
    const rest = machine.state.fork(
      at,
      () => run(count + 1),
      () => (isStopped ? ranOn : {}),
    );
    return joinOutcomes(at, left, rest);
  };
  return run(0);
}

/** Runs `for`. */
export function runFor(statement: Extract<Statement, { kind: "for" }>, machine: LoopMachine): BodyOutcome {
  const { target, body, otherwise, at } = statement;
  const iterable = machine.value(statement.iterable);
  const items = iterationOf(iterable);
  if (items !== undefined && items.length <= longestLoop) {
    const step = (count: number) => {
      const item = items[count];
      if (item === undefined) return undefined;
      machine.assign(target, item, at);
      return machine.body(body);
    };
    return iterate(machine, wholeOf(statement.iterable), step, () => machine.body(otherwise));
  }
  const isModule = iterable.kind === "unknown" && iterable.isEachModule === true;
  const name = iterable.kind === "unknown" ? iterable.name : "what it goes over";
  const more = isModule ? ({ isEachModule: true } as const) : { isVariable: true };
  const item = unknownValue(target.at.text, target.at, `${name} is not evaluated`, more);
  return machine.state.fork(
    wholeOf(statement.iterable),
    () => {
      machine.assign(target, item, at);
      return loopOutcome(machine.body(body));
    },
    () => machine.body(otherwise),
    true,
  );
}

/** Runs `while`. A condition that stays true for long is taken for one that the script never leaves. */
export function runWhile(statement: Extract<Statement, { kind: "while" }>, machine: LoopMachine): BodyOutcome {
  const { test, body, otherwise } = statement;
  const once = () =>
    machine.state.fork(
      wholeOf(test),
      () => loopOutcome(machine.body(body)),
      () => ranOn,
      true,
    );
  const step = (count: number): BodyOutcome | undefined => {
    const truth = truthOf(machine.value(test));
    if (truth === undefined) {
      const { next: _next, ...left } = once();
      return { ...left, break: true };
    }
    return truth && count < longestLoop ? machine.body(body) : undefined;
  };
  return iterate(machine, wholeOf(test), step, () => machine.body(otherwise));
}

/** Runs `match`. */
export function runMatch(statement: Extract<Statement, { kind: "match" }>, machine: LoopMachine): BodyOutcome {
  const subject = machine.value(statement.subject);
  const run = (index: number): BodyOutcome => {
    const found = statement.cases[index];
    if (found === undefined) return ranOn;
    const { pattern, body } = found;
    const truth =
      pattern === "any"
        ? true
        : pattern === "undecided"
          ? undefined
          : compared("==", subject, machine.value(pattern.literal));
    if (truth === true) return machine.body(body);
    if (truth === false) return run(index + 1);
    return machine.state.fork(
      wholeOf(statement.subject),
      () => machine.body(body),
      () => run(index + 1),
    );
  };
  return run(0);
}
