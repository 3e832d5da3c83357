"""Tables that are legal and unusual, with the numbers that pandas.read_csv gives: tables.py OUT.json"""
import bz2
import gzip
import io
import lzma
import sys
import zipfile

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


gz = lambda content, **options: gzip.compress(content.encode(), mtime=0, **options)
frame = pandas.DataFrame(rows, columns=["a", "b", "y"])
zipped = io.BytesIO()
with zipfile.ZipFile(zipped, "w") as archive:
    archive.writestr(zipfile.ZipInfo("t.csv"), plain)
# Files of other names: the name, and how pandas reads it.
files = {
    "TSV": ("t.tsv", text("\t"), {"sep": "\t"}),
    "TSV with a byte order mark": ("t.tsv", "\ufeff" + text("\t"), {"sep": "\t"}),
    "TSV in UTF-16": ("t.tsv", text("\t").encode("utf-16"), {"sep": "\t"}),
    "TSV with commas": ("t.tsv", plain, {}),
    "UTF-16 in big endian": ("t.csv", plain.encode("utf-16-be"), {}),
    "UTF-16 in little endian without a mark": ("t.csv", plain.encode("utf-16-le"), {}),
    "UTF-32": ("t.csv", plain.encode("utf-32"), {}),
    "byte order mark and quotes": ("t.csv", "\ufeff" + plain.replace("a,b,y", '"a","b","y"'), {}),
    "byte order mark and semicolons": ("t.csv", "\ufeff" + text(";"), {"sep": ";"}),
    "byte order mark and no header": ("t.csv", "\ufeff" + bare, {"header": None}),
    "two byte order marks": ("t.csv", "\ufeff\ufeff" + plain, {}),
    "letters beyond ASCII": ("t.csv", plain.replace("a,b", "größe,猫"), {}),
    "in capitals": ("T.CSV", plain, {}),
    "gz": ("t.csv.gz", gz(plain), {}),
    "gz in capitals": ("T.CSV.GZ", gz(plain), {"compression": "gzip"}),
    "gz of two members": ("t.csv.gz", gz(plain[:9]) + gz(plain[9:]), {}),
    "gz with a byte order mark": ("t.csv.gz", gz("\ufeff" + plain), {}),
    "gz that is text": ("t.csv.gz", plain, {}),
    "gz cut": ("t.csv.gz", gz(plain)[:-9], {}),
    "gz with a wrong checksum": ("t.csv.gz", gz(plain)[:-8] + bytes(8), {}),
    "gz of nothing": ("t.csv.gz", gz(""), {}),
    "gz without its ending": ("t.csv", gz(plain), {}),
    "TSV by gz": ("t.tsv.gz", gz(text("\t")), {"sep": "\t"}),
    "bz2": ("t.csv.bz2", bz2.compress(plain.encode()), {}),
    "xz": ("t.csv.xz", lzma.compress(plain.encode()), {}),
    "zip": ("t.csv.zip", zipped.getvalue(), {}),
    "JSON lines": ("t.jsonl", frame.to_json(orient="records", lines=True), lambda path: pandas.read_json(path, lines=True)),
    "JSON": ("t.json", frame.to_json(), pandas.read_json),
    "Parquet": ("t.parquet", b"PAR1" + bytes(40) + b"PAR1", {}),
    "Excel": ("t.xlsx", zipped.getvalue(), {}),
    "old Excel": ("t.xls", b"\xd0\xcf\x11\xe0" + bytes(40), {}),
}


def read(path, options):
    frame = pandas.read_csv(path, **options) if isinstance(options, dict) else options(path)
    numbers = frame.to_numpy(dtype=float)
    if numbers.size == 0 or not np.isfinite(numbers).all():
        raise ValueError("values are missing")
    return flat(numbers)


cases = []
for name, (path, content, options) in {**{name: ("t.csv", *case) for name, case in tables.items()}, **files}.items():
    data = {path: content if isinstance(content, bytes) else content.encode("utf-8")}
    cases.append({"name": name, "files": data, "open": path, "python": answer(lambda: in_folder(data, lambda f: read(f"{f}/{path}", options)))})
write(sys.argv[1], cases, {"pandas": pandas.__version__})
