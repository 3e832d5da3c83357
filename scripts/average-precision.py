#!/usr/bin/env python3
"""Writes random boxes with the average precision that pycocotools computes for them.

  python3 scripts/average-precision.py test/train/metrics/boxes/coco.json 12 20261129

Needs pycocotools 2.0.11 and numpy. test/train/metrics/boxes/average-precision.test.ts compares; SUBBYTE_BOXES names a larger file.
"""

import contextlib
import io
import json
import random
import sys

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def box(rng, side=100):
    x, y = rng.uniform(0, side - 4), rng.uniform(0, side - 4)
    return [round(v, 2) for v in (x, y, rng.uniform(2, side - x), rng.uniform(2, side - y))]


def near(rng, b):
    amount = rng.choice([0, 0.02, 0.1, 0.3])
    return [round(v * (1 + rng.uniform(-amount, amount)) + 0.01, 2) for v in b]


def case(rng):
    images, classes = rng.randint(1, 8), rng.randint(1, 4)
    crowds = rng.choice([0, 0, 0.15])
    truths, found = [], []
    for image in range(1, images + 1):
        for _ in range(rng.randint(0, 7)):
            b, label = box(rng), rng.randint(1, classes)
            truths.append(dict(image_id=image, category_id=label, bbox=b, iscrowd=int(rng.random() < crowds)))
            for _ in range(rng.choice([0, 1, 1, 1, 2])):
                found.append(dict(image_id=image, category_id=label if rng.random() < 0.9 else rng.randint(1, classes), bbox=near(rng, b)))
        for _ in range(rng.choice([0, 2, 5, 130])):
            found.append(dict(image_id=image, category_id=rng.randint(1, classes), bbox=box(rng)))
    for one in found:
        # Coarse scores give ties, whose order counts.
        one["score"] = round(rng.random(), rng.choice([1, 2, 6]))
    return images, classes, truths, found


def measured(images, classes, truths, found):
    annotations = [dict(t, id=i + 1, area=t["bbox"][2] * t["bbox"][3]) for i, t in enumerate(truths)]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = dict(images=[dict(id=i + 1) for i in range(images)], categories=[dict(id=c + 1, name=str(c)) for c in range(classes)], annotations=annotations)
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes([dict(f) for f in found]), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, 2]
    mean = lambda values: None if (values > -1).sum() == 0 else float(values[values > -1].mean())
    return dict(mean=mean(precision), at50=mean(precision[0]), classes=[mean(precision[:, :, c]) for c in range(classes)])


def main():
    path, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(seed)
    cases = []
    while len(cases) < count:
        images, classes, truths, found = case(rng)
        if not truths or not found:
            continue
        row = lambda one, last: [one["image_id"] - 1, one["category_id"] - 1, *one["bbox"], last]
        cases.append(dict(
            images=images, classes=classes, expected=measured(images, classes, truths, found),
            boxes=[row(t, t["iscrowd"]) for t in truths], found=[row(f, f["score"]) for f in found],
        ))
    with open(path, "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(one) for one in cases) + "\n]\n")


main()
