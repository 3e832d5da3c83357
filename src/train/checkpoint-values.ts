/** The values of a checkpoint for a network, checked before any number is computed with them. */
import { type IllegalValue, illegalValue } from "../compile/legal-values.ts";
import { ConfigError, FileFormatError } from "../errors.ts";
import { isFiniteTensor, isSoundParameter } from "../ir/finite.ts";
import { type Network, withParameterValues } from "../ir/network.ts";
import type { Tensor } from "../ir/tensor.ts";
import { sameShape } from "../ir/types.ts";

/**
 * Returns a network with the values of a checkpoint.
 *
 * @param file Named in errors.
 * @throws ConfigError for a parameter that is missing or has another type or shape, FileFormatError for one that holds NaN,
 *   infinite numbers or values outside of its legal range.
 */
export function withStateOf(network: Network, state: ReadonlyMap<string, Tensor>, file: string): Network {
  const missing = network.parameters.filter(({ name }) => !state.has(name)).map(({ name }) => name);
  if (missing.length > 0) {
    throw new ConfigError(
      `the checkpoint has no ${missing[0]}${missing.length > 1 ? ` and ${missing.length - 1} more` : ""}`,
      {
        where: file,
        remedy:
          "Start from a checkpoint of the same model, width and stem. For a checkpoint of a model's file that was trained without " +
          "BatchNorm, as all were in earlier versions, set model.restoreBatchNorm: false.",
      },
    );
  }
  for (const { name, value } of network.parameters) {
    const given = state.get(name);
    if (given !== undefined) checkType(name, value, given, file);
  }
  const loaded = withParameterValues(network, state);
  const wrong = loaded.parameters.find((parameter) => !isSoundParameter(parameter, parameter.value));
  if (wrong !== undefined) throw notNumbers(wrong.name, file);
  const illegal = illegalValue(loaded);
  if (illegal !== undefined) throw outsideRange(illegal, file);
  return loaded;
}

/**
 * Checks the state that a training resumes from: the network's parameters, and that everything else is finite numbers.
 *
 * @throws ConfigError or FileFormatError as {@link withStateOf}.
 */
export function checkState(network: Network, state: ReadonlyMap<string, Tensor>, file: string): void {
  withStateOf(network, state, file);
  const parameters = new Set(network.parameters.map(({ name }) => name));
  for (const [name, tensor] of state) {
    if (!parameters.has(name) && !isFiniteTensor(tensor)) throw notNumbers(name, file);
  }
}

/** Returns the error for values that are not finite. */
export function notNumbers(name: string, where: string): FileFormatError {
  return new FileFormatError(`the parameter ${name} holds infinite numbers or NaN`, {
    where,
    remedy: "Its training diverged, or the file is damaged: export an earlier state.",
  });
}

function outsideRange({ parameter, value, range: { from, to } }: IllegalValue, where: string): FileFormatError {
  const range = to === undefined ? `at least ${showNumber(from)}` : `from ${showNumber(from)} to ${showNumber(to)}`;
  return new FileFormatError(`the parameter ${parameter} holds ${showNumber(value)}, but its values must be ${range}`, {
    where,
    remedy: "The file is damaged, or another program wrote it: take another copy, or correct the parameter there.",
  });
}

function showNumber(value: number): string {
  return String(Number(value.toPrecision(5)));
}

function checkType(name: string, wanted: Tensor, given: Tensor, file: string): void {
  if (given.dtype === wanted.dtype && sameShape(given.shape, wanted.shape)) return;
  const show = ({ dtype, shape }: Tensor) => `${dtype}[${shape}]`;
  throw new ConfigError(`${name} is ${show(given)} in the checkpoint, but ${show(wanted)} in the network`, {
    where: file,
    remedy: "Start from a checkpoint of the same model, width and stem.",
  });
}
