"""Runs the scripts of write-torch-scripts.ts in torch 1.13, and compares codes, scale and zero point with what subbyte read.

    /usr/bin/python3 scripts/check_torch_scripts.py FOLDER

Prints one line for each difference, and the counts. Ends with code 1 where a number differs, or torch refuses what subbyte read.
"""
import collections
import contextlib
import io
import json
import os
import sys
import warnings

import torch

warnings.filterwarnings("ignore")
torch.set_num_threads(1)


def rows(kind):
    low, step = (-1.13, 0.0871) if kind == "weight" else (-0.31, 0.117)
    low, step = torch.tensor(low).item(), torch.tensor(step).item()
    return torch.tensor([[low + step * (row * 6 + i) for i in range(6)] for row in range(4)])


def measured(form, kind):
    if form is None or form is torch.nn.Identity:
        return None
    module = form()
    module(rows(kind))
    observer = module.activation_post_process
    return {
        "quantMin": int(observer.quant_min),
        "quantMax": int(observer.quant_max),
        "scale": float(module.scale.flatten()[0]),
        "zeroPoint": float(module.zero_point.flatten()[0]),
    }


def main(folder):
    counts, bad = collections.Counter(), 0
    with open(os.path.join(folder, "read.json")) as file:
        cases = json.load(file)
    for case in cases:
        with open(os.path.join(folder, case["file"])) as file:
            text = file.read()
        names = {"__name__": "__main__"}
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(text, case["file"], "exec"), names)
        qconfig = eval(case["probe"], names)
        for kind in ("activation", "weight"):
            ours = case[kind]
            try:
                torchs = measured(getattr(qconfig, kind), kind)
            except (AssertionError, RuntimeError, TypeError, NotImplementedError) as error:
                torchs = {"refused": str(error).split("\n")[0]}
            if ours is None or torchs is None:
                verdict = "same" if ours is torchs else "WRONG"
            elif "refused" in torchs:
                verdict = "both refuse" if "refused" in ours else "WRONG: torch refuses"
            elif "refused" in ours:
                verdict = "subbyte refuses: " + "".join(c for c in ours["refused"] if not c.isdigit())[:60]
            else:
                same = all(torchs[key] == ours[key] for key in ours)
                verdict = "same" if same else "WRONG"
            counts[verdict] += 1
            if verdict.startswith("WRONG"):
                bad += 1
                print(case["file"], kind, verdict, "torch:", torchs, "subbyte:", ours)
    for verdict, number in sorted(counts.items()):
        print(f"{number:6} {verdict}")
    sys.exit(1 if bad else 0)


main(sys.argv[1])
