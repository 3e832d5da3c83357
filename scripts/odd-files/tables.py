"""Tables that are legal and unusual, with the numbers that pandas.read_csv gives: tables.py OUT.json"""
import sys

import numpy as np
import pandas

from common import answer, flat, in_folder, write

rows = [[0.5, 1, 0], [1.5, -2, 1], [2.5, 3e2, 0], [3.25, 4, 1]]
text = lambda separator=",", end="\n", head=("a", "b", "y"): end.join(separator.join(map(str, row)) for row in [head, *rows]) + end
plain = text()
bare = "".join(",".join(map(str, row)) + "\n" for row in rows)
tables = {
    "plain": (plain, {}),
    "no line end at the end": (plain.rstrip("\n"), {}),
    "lines end with CRLF": (text(end="\r\n"), {}),
    "lines end with CR": (text(end="\r"), {}),
    "byte order mark": ("\ufeff" + plain, {}),
    "semicolons": (text(";"), {"sep": ";"}),
    "tabs": (text("\t"), {"sep": "\t"}),
    "bars": (text("|"), {"sep": "|"}),
    "no header": (bare, {"header": None}),
    "columns called 0, 1, 2": (pandas.DataFrame(rows).to_csv(index=False), {}),
    "columns called 0, 1, label": ("0,1,label\n" + bare, {}),
    "index of pandas": (pandas.DataFrame(rows, columns=list("aby")).to_csv(), {"index_col": 0}),
    "quoted cells": (plain.replace("0.5", '"0.5"'), {}),
    "quoted names": (plain.replace("a,b,y", '"a","b, c","y"'), {}),
    "quotes in quotes": (plain.replace("a,b", '"a ""x""",b'), {}),
    "a line end in a name": (plain.replace("a,b", '"a\nx",b'), {}),
    "blank lines": (plain.replace("\n", "\n\n"), {}),
    "lines of blanks": (plain.replace("0.5", "   \n0.5", 1), {"skip_blank_lines": True}),
    "blanks around numbers": (plain.replace("1.5,-2", " 1.5 , -2 "), {}),
    "plus signs": (plain.replace("1.5", "+1.5"), {}),
    "points without digits": (plain.replace("0.5", ".5").replace("3.25", "3."), {}),
    "exponents": (plain.replace("1.5", "15E-1"), {}),
    "long fractions": (plain.replace("1.5", "1.5000000000000000000000000001"), {}),
    "hexadecimal digits": (plain.replace("1.5", "0x10"), {}),
    "decimal commas": (plain.replace("1.5", '"1,5"'), {}),
    "thousands": (plain.replace("1.5", '"1,500"'), {}),
    "missing cells": (plain.replace("1.5", ""), {}),
    "NA": (plain.replace("1.5", "NA"), {}),
    "nan": (plain.replace("1.5", "nan"), {}),
    "inf": (plain.replace("1.5", "inf"), {}),
    "beyond float64": (plain.replace("1.5", "1e999"), {}),
    "True": (plain.replace("1.5", "True"), {}),
    "percent": (plain.replace("1.5", "1.5%"), {}),
    "dates": (plain.replace("1.5", "2026-01-01"), {}),
    "a comment": ("# made by hand\n" + plain, {}),
    "a row too long": (plain.replace("1.5", "1.5,9"), {}),
    "a row too short": (plain.replace("1.5,", ""), {}),
    "a separator at each end": (plain.replace("\n", ",\n"), {}),
    "an open quote": (plain.replace("1.5", '"1.5'), {}),
    "UTF-16": (plain.encode("utf-16"), {}),
    "Latin-1": (plain.replace("a,b", "\xe4,b").encode("latin1"), {}),
    "NUL": (plain.replace("1.5", "1\0"), {}),
    "one row": ("a,b,y\n1,2,3\n", {}),
    "header only": ("a,b,y\n", {}),
    "nothing": ("", {}),
}


def read(folder, options):
    frame = pandas.read_csv(f"{folder}/t.csv", **options)
    numbers = frame.to_numpy(dtype=float)
    if numbers.size == 0 or not np.isfinite(numbers).all():
        raise ValueError("values are missing")
    return flat(numbers)


cases = []
for name, (content, options) in tables.items():
    files = {"t.csv": content if isinstance(content, bytes) else content.encode("utf-8")}
    cases.append({"name": name, "files": files, "python": answer(lambda: in_folder(files, lambda f: read(f, options)))})
write(sys.argv[1], cases, {"pandas": pandas.__version__})
