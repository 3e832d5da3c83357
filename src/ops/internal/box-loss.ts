/**
 * The loss of a detector without anchors: focal loss of the scores (Lin et al., "Focal Loss for Dense Object Detection", arXiv 1708.02002,
 * α = 0.25, γ = 2), and for cells that have to find a box 1 − GIoU (Rezatofighi et al., arXiv 1902.09630) plus the mean absolute
 * error of the four distances, all divided by the number of these cells.
 */
import type { GraphBuilder, Value } from "../../ir/graph.ts";
import { int64Tensor } from "../../ir/tensor.ts";
import { sigmoid, softplus } from "../families/activations.ts";
import { cast } from "../families/cast.ts";
import { greaterOrEqual } from "../families/comparison.ts";
import { absolute, add, divide, maximum, minimum, multiply, negate, subtract } from "../families/elementwise.ts";
import { reduceMean, reduceSum } from "../families/reduce.ts";
import { oneHot } from "../families/shape/indexing.ts";
import { reshape, transpose } from "../families/shape/shape-ops.ts";
import { slice } from "../families/shape/slicing.ts";

/** Share of the focal loss that right classes have. */
const rightShare = 0.25;

/**
 * The loss of output[N, 4 + C, cells] with targets[N, cells, 5]: the class of each cell (-1 for none, -2 where it does not count), and the
 * distances to the left, top, right and bottom.
 */
export function boxLoss(b: GraphBuilder, output: Value, targets: Value): Value {
  const [batch = 1, channels = 5, cells = 1] = output.type.shape;
  const [rows, classes] = [batch * cells, channels - 4];
  const flat = reshape(b, transpose(b, output, [0, 2, 1]), [rows, channels]);
  const columns = (value: Value, from: number, to: number) =>
    slice(b, value, { starts: [from], ends: [to], axes: [1] });
  const wanted = reshape(b, targets, [rows, 5]);
  const label = columns(wanted, 0, 1);
  const isPositive = cast(b, greaterOrEqual(b, label, 0), "float32");
  const counts = cast(b, greaterOrEqual(b, label, -1), "float32");
  const total = (value: Value) => reduceSum(b, value, undefined, { keepDimensions: false });

  const number = maximum(b, cast(b, reshape(b, label, [rows]), "int64"), b.constant(int64Tensor([0], [])));
  const right = multiply(b, oneHot(b, number, classes), isPositive);
  // +x for a wrong class and −x for the right one: both then have to be small.
  const sign = subtract(b, 1, multiply(b, right, 2));
  const signed = multiply(b, columns(flat, 4, channels), sign);
  const missed = sigmoid(b, signed);
  const share = subtract(b, 1 - rightShare, multiply(b, right, 1 - 2 * rightShare));
  const focal = multiply(b, multiply(b, share, multiply(b, missed, missed)), softplus(b, signed));
  const scores = total(multiply(b, focal, counts));

  const [own, other] = [columns(flat, 0, 4), columns(wanted, 1, 5)];
  const distance = reduceMean(b, absolute(b, subtract(b, own, other)), [1]);
  const boxes = total(multiply(b, add(b, subtract(b, 1, generalizedOverlap(b, own, other)), distance), isPositive));
  return divide(b, add(b, scores, boxes), maximum(b, total(isPositive), 1));
}

/** The generalized IoU of boxes[R, 4] by their distances from the same cells, [R, 1]. The second boxes have an area. */
function generalizedOverlap(b: GraphBuilder, first: Value, second: Value): Value {
  const side = (value: Value, from: number) => slice(b, value, { starts: [from], ends: [from + 1], axes: [1] });
  const length = (value: Value, axis: number) => add(b, side(value, axis), side(value, axis + 2));
  const area = (value: Value) => multiply(b, maximum(b, length(value, 0), 0), maximum(b, length(value, 1), 0));
  const shared = area(minimum(b, first, second));
  const union = subtract(b, add(b, area(first), area(second)), shared);
  const hull = area(maximum(b, first, second));
  return subtract(b, divide(b, shared, union), add(b, 1, negate(b, divide(b, union, hull))));
}
