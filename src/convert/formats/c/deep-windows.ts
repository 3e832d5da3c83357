/** Windows over three axes in C: the loops over their elements. A tensor of three spatial axes is [k, i, j], the last two being counted together. */
import type { IntegerTensor, WindowGeometry } from "../../integer-network.ts";

/** The text around the elements of a window. */
export interface DeepWindow {
  readonly window: WindowGeometry;
  readonly input: IntegerTensor;
  readonly output: IntegerTensor;
  /** The C expression of the input's channel. */
  readonly channel: string;
  /** What happens at each element, whether it lies on padding or not. */
  readonly step?: string;
  /** What is done with `q`, the stored code of an element that does not lie on padding. */
  readonly body: string;
}

/** Writes the loops over a window of three axes. */
export function deepWindowLoop({ window, input, output, channel, step = "", body }: DeepWindow): string {
  const [, , ...sizes] = input.shape;
  const width = output.shape[4] ?? 1;
  const places = ["i", `(j / ${width})`, `(j % ${width})`];
  const names = ["depth", "row", "column"];
  const taps = ["a", "b", "d"];
  const of = (list: readonly number[], axis: number, missing: number): number => list[axis] ?? missing;
  const loops = taps.map((tap, axis) => `for (int ${tap} = 0; ${tap} < ${of(window.kernel, axis, 1)}; ${tap}++`);
  const lines = names.map(
    (name, axis) =>
      `const int ${name} = ${places[axis]} * ${of(window.strides, axis, 1)} - ${of(window.pads, axis, 0)} + ${taps[axis]} * ${of(window.dilations, axis, 1)};`,
  );
  const outside = names.map((name, axis) => `${name} < 0 || ${name} >= ${of(sizes, axis, 1)}`).join(" || ");
  const place = names.reduce((all, name, axis) => `(${all}) * ${of(sizes, axis, 1)} + ${name}`, channel);
  return `  ${loops[0]})
    ${loops[1]})
      ${loops[2]}${step === "" ? "" : `, ${step}`}) {
        ${lines.join("\n        ")}
        if (${outside}) continue;
        const int32_t q = (int32_t)x[${place}];
        ${body}
      }
`;
}
