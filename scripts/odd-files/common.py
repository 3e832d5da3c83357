"""What the generators of odd files share: a case is some small files and what a Python reader makes of them."""
import base64
import gzip
import io
import json
import os
import tempfile

import numpy as np


def write(path, cases, readers):
    """cases: dicts with `name`, `files` ({path: bytes}) and what `read` gave; one case a line, so that changes can be read."""
    lines = []
    for case in cases:
        case["files"] = {name: packed(data) for name, data in case["files"].items()}
        lines.append(json.dumps(case))
    with open(path, "w") as out:
        out.write('{"readers": %s, "cases": [\n%s\n]}\n' % (json.dumps(readers), ",\n".join(lines)))


def packed(data):
    """Bytes as text; those that gzip makes much shorter are packed, and begin with a colon."""
    short = gzip.compress(data, mtime=0)
    return ":" + base64.b64encode(short).decode() if 2 * len(short) < len(data) else base64.b64encode(data).decode()


def answer(read):
    """What a reader gives as numbers, or that it refuses."""
    try:
        return {"values": read()}
    except Exception as error:  # Readers raise what they like.
        return {"error": type(error).__name__}


def flat(array):
    """Numbers as JSON has them: NaN and infinities as words."""
    array = np.asarray(array)
    if array.dtype == np.uint8 and array.size > 1000:
        return {"shape": list(array.shape), "bytes": packed(array.tobytes())}
    numbers = array.astype(np.float64).ravel().tolist()
    return {"shape": list(array.shape), "data": [n if np.isfinite(n) else str(n) for n in numbers]}


def in_folder(files, read):
    """Calls `read` with a folder that holds the files."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            os.makedirs(os.path.dirname(os.path.join(folder, name)) or ".", exist_ok=True)
            with open(os.path.join(folder, name), "wb") as out:
                out.write(data)
        return read(folder)


def saved(image, format, **options):
    """The bytes of a Pillow image."""
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()
