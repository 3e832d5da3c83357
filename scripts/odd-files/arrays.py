"""Arrays and archives that are legal and unusual, or just not legal, with what numpy reads: arrays.py OUT.json"""
import io
import struct
import sys
import zipfile

import numpy as np

from common import answer, flat, in_folder, write

random = np.random.default_rng(3)
base = random.normal(0, 20, (4, 2, 3))


def npy(array, version=None):
    out = io.BytesIO()
    np.lib.format.write_array(out, array, version=version)
    return out.getvalue()


def by_hand(text, body, version=b"\1\0", pad=True):
    text = text.encode("latin1")
    if pad:
        text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H" if version[0] == 1 else "<I", len(text)) + text + body


head = lambda descr="|u1", order="False", shape="(4,)": "{'descr': '%s', 'fortran_order': %s, 'shape': %s}" % (descr, order, shape)
four = bytes([1, 2, 3, 4])
arrays = {
    **{f"npy {name}": npy(base.astype(name)) for name in
       ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "i1", "<i2", ">i2", "<i4", ">i4", "<i8", ">i8"]},
    **{f"npy {name}": npy(np.abs(base).astype(name)) for name in ["u1", "<u2", ">u2", "<u4", ">u4", "<u8", ">u8"]},
    "npy bool": npy(base > 0),
    "npy bool with other bytes": by_hand(head("|b1"), bytes([0, 1, 2, 255])),
    "npy Fortran": npy(np.asfortranarray(base)),
    "npy Fortran big endian": npy(np.asfortranarray(base.astype(">i2"))),
    "npy Fortran of one dimension": by_hand(head(order="True"), four),
    "npy transposed": npy(base.T),
    "npy strided": npy(base[:, ::2, ::-1]),
    "npy version 2": npy(base, (2, 0)),
    "npy version 3": npy(base, (3, 0)),
    "npy version 4": by_hand(head(), four, b"\4\0"),
    "npy complex": npy(base.astype(np.complex64)),
    "npy objects": npy(np.array([1, "a"], dtype=object)),
    "npy words": npy(np.array(["a", "bc"])),
    "npy records": npy(np.zeros(3, [("a", "<f4"), ("b", "<i2")])),
    "npy dates": npy(np.zeros(3, "datetime64[s]")),
    "npy of no dimension": npy(np.float32(3)),
    "npy empty": npy(np.zeros((0, 3))),
    "npy with a dimension of 0": npy(np.zeros((3, 0))),
    "npy of ones": npy(np.ones((3, 1, 1, 1))),
    "npy of six dimensions": npy(np.arange(64.0).reshape(2, 2, 2, 2, 2, 2)),
    "npy with infinity": npy(np.array([1, np.inf])),
    "npy with NaN": npy(np.array([1, np.nan])),
    "npy with a denormal": npy(np.array([1e-42, -0.0, 3e38])),
    "npy beyond float32": npy(np.array([1e300, 1.0])),
    "npy cut": npy(base)[:-3],
    "npy with bytes after it": npy(base) + b"tail",
    "npy header unpadded": by_hand(head(), four, pad=False),
    "npy header in another order": by_hand("{'shape': (4,), 'descr': '|u1', 'fortran_order': False}", four),
    "npy header in double quotes": by_hand(head().replace("'", '"'), four),
    "npy header with a key more": by_hand(head()[:-1] + ", 'x': 1}", four),
    "npy header with a key twice": by_hand(head()[:-1] + ", 'shape': (2,2)}", four),
    "npy header without a key": by_hand("{'descr': '|u1', 'shape': (4,)}", four),
    "npy header with long integers": by_hand(head(shape="(4L,)"), four),
    "npy header with code": by_hand(head(shape="(2*2,)"), four),
    "npy header with a list": by_hand(head(shape="[4]"), four),
    "npy header without the comma": by_hand(head(shape="(4)"), four),
    "npy native byte order": by_hand(head("=u2", shape="(2,)"), four),
    "npy without byte order": by_hand(head("u2", shape="(2,)"), four),
}


def archive(files, method=zipfile.ZIP_STORED, tail=b"", start=b"", **options):
    out = io.BytesIO(start)
    out.seek(len(start))
    with zipfile.ZipFile(out, "a" if start else "w", method) as target:
        for name, data in files:
            with target.open(zipfile.ZipInfo(name) if method == zipfile.ZIP_STORED else name, "w", **options) as one:
                one.write(data)
        target.comment = tail
    return out.getvalue()


x = npy(base)
saved = lambda save: (lambda out: (save(out, x=base), out.getvalue())[1])(io.BytesIO())
archives = {
    "npz stored": saved(np.savez),
    "npz deflated": saved(np.savez_compressed),
    "npz with a comment": archive([("x.npy", x)], tail=b"a comment"),
    "npz with a long comment": archive([("x.npy", x)], tail=b"c" * 65535),
    "npz with bytes before it": archive([("x.npy", x)], start=b"#!/bin/sh\n"),
    "npz with bytes after it": archive([("x.npy", x)]) + b"tail",
    "npz with ZIP64 fields": archive([("x.npy", x)], force_zip64=True),
    "npz with other files": archive([("readme.txt", b"hello"), ("x.npy", x)]),
    "npz with a folder": archive([("deep/x.npy", x)]),
    "npz with a traversal": archive([("../../x.npy", x)]),
    "npz by bzip2": archive([("x.npy", x)], zipfile.ZIP_BZIP2),
    "npz by LZMA": archive([("x.npy", x)], zipfile.ZIP_LZMA),
    "npz cut": archive([("x.npy", x)])[:-30],
    "npz twice the same name": archive([("x.npy", npy(base + 1)), ("x.npy", x)]),
    "npz of nothing": archive([]),
    "npz that is npy": x,
}


def load(folder, name):
    found = np.load(f"{folder}/{name}")
    array = found if isinstance(found, np.ndarray) else found["x"]
    if array.dtype.kind not in "biuf" or array.ndim == 0 or array.size == 0:
        raise TypeError("no samples")
    return flat(array)


cases = []
for name, data in arrays.items():
    files = {"x.npy": data}
    cases.append({"name": name, "files": files, "open": "x.npy", "python": answer(lambda: in_folder(files, lambda f: load(f, "x.npy")))})
for name, data in archives.items():
    files = {"d.npz": data}
    cases.append({"name": name, "files": files, "open": "d.npz", "python": answer(lambda: in_folder(files, lambda f: load(f, "d.npz")))})
write(sys.argv[1], cases, {"numpy": np.__version__})
