"""Bitmaps and netpbm's images that are legal and unusual, or just not legal, with the pixels that torchvision's ImageFolder gives:
plain-images.py OUT.json"""
import struct
import sys

import numpy as np
import PIL
from PIL import Image

from common import answer, flat, in_folder, saved, write

random = np.random.default_rng(11)
noise = random.integers(0, 256, (5, 7, 3), dtype=np.uint8)
grey = noise[..., 0]
height, width = grey.shape
colours = random.integers(0, 256, (256, 3), dtype=np.uint8)
ramp = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, 1)


def rows(pixels, bits):
    """Rows of whole words of 32 bits, the first row last."""
    packed = []
    for row in pixels[::-1]:
        if bits <= 8:
            data = np.packbits(np.unpackbits(row.astype("u1")[:, None], axis=1)[:, 8 - bits:]).tobytes()
        else:
            data = b"".join(int(pixel).to_bytes(bits // 8, "little") for pixel in row)
        packed.append(data + bytes(-len(data) % 4))
    return b"".join(packed)


def bmp(data, bits, palette=None, compression=0, size=(width, height), colour_count=None, masks=b"", header=40, start=None, core=False):
    if core:
        head = struct.pack("<IHHHH", 12, *size, 1, bits)
        table = b"" if palette is None else b"".join(bytes(colour[::-1]) for colour in palette)
    else:
        count = colour_count if colour_count is not None else (0 if palette is None else len(palette))
        head = struct.pack("<IiiHHIIiiII", header, *size, 1, bits, compression, len(data), 2835, 2835, count, 0)
        head = (head + masks).ljust(header, b"\0") if header > 40 else head + masks
        table = b"" if palette is None else b"".join(bytes([*colour[::-1], 0]) for colour in palette)
    offset = 14 + len(head) + len(table) if start is None else start
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(table) + len(data), 0, 0, offset) + head + table + data


words = lambda *numbers: struct.pack("<%dI" % len(numbers), *numbers)
packed = lambda layout: sum((noise[..., c].astype(np.uint64) >> (8 - n)) << at for c, (n, at) in enumerate(layout))
five = packed([(5, 10), (5, 5), (5, 0)])
six = packed([(5, 11), (6, 5), (5, 0)])
four = packed([(4, 8), (4, 4), (4, 0)])
ten = packed([(8, 20), (8, 10), (8, 0)])
rgb = packed([(8, 16), (8, 8), (8, 0)])
alpha = rgb | (grey.astype(np.uint64) << 24)
rgba = packed([(8, 0), (8, 8), (8, 16)]) | (np.uint64(200) << 24)
abgr = packed([(8, 24), (8, 16), (8, 8)])
low = grey % 16
runs8 = b"".join(bytes([3, row[0], 4, row[1], 0, 0]) for row in grey[::-1]) + b"\0\1"
lines8 = b"".join(bytes([3, row[0], 0, 4, *row[3:7], 0, 0]) for row in grey[::-1]) + b"\0\1"
odd8 = b"".join(bytes([2, row[0], 0, 5, *row[2:7], 0, 0, 0]) for row in grey[::-1]) + b"\0\1"


def lines4(start):
    """Pixels without a run end at even places of the file."""
    out = b""
    for row in low[::-1]:
        out += bytes([3, row[0] * 16 + row[1], 0, 4, row[3] * 16 + row[4], row[5] * 16 + row[6]])
        out += bytes((start + len(out)) % 2) + b"\0\0"
    return out + b"\0\1"


jump8 = bytes([7, 9, 0, 2, 2, 1, 5, 8, 0, 0, 0, 2, 0, 2, 7, 6, 0, 1])
p8, p4, p1 = colours, colours[:16], colours[:2]

bitmaps = {
    "1 bit": bmp(rows(grey > 127, 1), 1, [(0, 0, 0), (255, 255, 255)]),
    "1 bit, white first": bmp(rows(grey > 127, 1), 1, [(255, 255, 255), (0, 0, 0)]),
    "1 bit in two colours": bmp(rows(grey > 127, 1), 1, p1),
    "1 bit of one colour": bmp(rows(grey > 127, 1), 1, p1[:1]),
    "1 bit of black only": bmp(rows(grey > 127, 1), 1, [(0, 0, 0)]),
    "4 bits": bmp(rows(low, 4), 4, p4),
    "4 bits of five colours": bmp(rows(low % 5, 4), 4, p4[:5]),
    "4 bits of greys": bmp(rows(low, 4), 4, ramp[::17]),
    "4 bits of the darkest greys": bmp(rows(low, 4), 4, ramp[:16]),
    "4 bits of black and white": bmp(rows(low % 2, 4), 4, ramp[::255]),
    "8 bits": bmp(rows(grey, 8), 8, p8),
    "8 bits of greys": bmp(rows(grey, 8), 8, ramp),
    "8 bits of greys backwards": bmp(rows(grey, 8), 8, ramp[::-1]),
    "8 bits of ten colours": bmp(rows(grey % 10, 8), 8, p8[:10]),
    "8 bits of black and white": bmp(rows(grey % 2, 8), 8, ramp[::255]),
    "8 bits with numbers beyond the palette": bmp(rows(grey, 8), 8, p8[:100]),
    "8 bits with numbers beyond the greys": bmp(rows(grey, 8), 8, ramp[:100]),
    "8 bits and a palette of 300 colours": bmp(rows(grey, 8), 8, [*p8, *p8[:44]]),
    "16 bits": bmp(rows(five, 16), 16),
    "16 bits as 555 by masks": bmp(rows(five, 16), 16, compression=3, masks=words(0x7C00, 0x3E0, 0x1F)),
    "16 bits as 565": bmp(rows(six, 16), 16, compression=3, masks=words(0xF800, 0x7E0, 0x1F)),
    "16 bits as 444": bmp(rows(four, 16), 16, compression=3, masks=words(0xF00, 0xF0, 0xF)),
    "24 bits": bmp(rows(rgb, 24), 24),
    "24 bits by masks": bmp(rows(rgb, 24), 24, compression=3, masks=words(0xFF0000, 0xFF00, 0xFF)),
    "32 bits": bmp(rows(alpha, 32), 32),
    "32 bits by masks": bmp(rows(rgb, 32), 32, compression=3, masks=words(0xFF0000, 0xFF00, 0xFF)),
    "32 bits, blue highest": bmp(rows(rgba, 32), 32, compression=3, masks=words(0xFF, 0xFF00, 0xFF0000)),
    "32 bits with alpha, V4": bmp(rows(rgba, 32), 32, compression=3, header=108, masks=words(0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
    "32 bits with alpha, V5": bmp(rows(alpha, 32), 32, compression=3, header=124, masks=words(0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
    "32 bits with alpha lowest": bmp(rows(abgr, 32), 32, compression=3, header=56, masks=words(0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
    "32 bits with masks of zero": bmp(rows(alpha, 32), 32, compression=3, masks=words(0, 0, 0)),
    "32 bits as 10-10-10": bmp(rows(ten, 32), 32, compression=3, masks=words(0x3FF00000, 0xFFC00, 0x3FF)),
    "32 bits with masks with gaps": bmp(rows(rgb, 32), 32, compression=3, masks=words(0xFF0000, 0xFF00, 0xF5)),
    "V2 header": bmp(rows(six, 16), 16, compression=3, header=52, masks=words(0xF800, 0x7E0, 0x1F)),
    "V4 header": bmp(rows(rgb, 24), 24, header=108),
    "V5 header": bmp(rows(rgb, 24), 24, header=124),
    "V5 header and a palette": bmp(rows(grey, 8), 8, p8, header=124),
    "OS/2 1 header, 24 bits": bmp(rows(rgb, 24), 24, core=True),
    "OS/2 1 header, 8 bits": bmp(rows(grey, 8), 8, p8, core=True),
    "OS/2 1 header, 1 bit": bmp(rows(grey > 127, 1), 1, p1, core=True),
    "OS/2 2 header": bmp(rows(rgb, 24), 24, header=64),
    "header of 16 bytes": bmp(rows(rgb, 24), 24)[:14] + words(16) + bmp(rows(rgb, 24), 24)[18:],
    "top-down": bmp(rows(rgb, 24), 24, size=(width, -height)),
    "top-down, 8 bits": bmp(rows(grey, 8), 8, p8, size=(width, -height)),
    "runs of 8 bits": bmp(runs8, 8, p8, 1),
    "runs of 8 bits with lines": bmp(lines8, 8, p8, 1),
    "runs of 8 bits with odd lengths": bmp(odd8, 8, p8, 1),
    "runs of 8 bits with a jump": bmp(jump8, 8, p8, 1),
    "runs of 8 bits, greys": bmp(lines8, 8, ramp, 1),
    "runs of 8 bits, too long for a row": bmp(bytes([200, 3, 0, 0]) * 5, 8, p8, 1),
    "runs of 8 bits, too few": bmp(lines8[:30] + b"\0\1", 8, p8, 1),
    "runs of 8 bits, cut": bmp(lines8[:31], 8, p8, 1),
    "runs of 8 bits, top-down": bmp(lines8, 8, p8, 1, size=(width, -height)),
    "runs of 4 bits": bmp(lines4(0), 4, p4, 2),
    "runs of 4 bits at an odd place": bmp(b"x" + lines4(1), 4, p4, 2, start=14 + 40 + 64 + 1),
    "runs in 24 bits": bmp(lines8, 24, None, 1),
    "a JPEG inside": bmp(saved(Image.fromarray(noise), "JPEG"), 24, None, 4),
    "pixels without a place": bmp(rows(grey, 8), 8, p8, start=0),
    "pixels in place of the palette": bmp(rows(grey, 8), 8, p8, start=54),
    "bytes before the pixels": bmp(b"four" + rows(rgb, 24), 24, start=58),
    "bytes after the pixels": bmp(rows(rgb, 24) + b"tail", 24),
    "without the last padding": bmp(rows(rgb, 24), 24)[:-3],
    "cut": bmp(rows(rgb, 24), 24)[:-30],
    "a size of 0": bmp(b"", 24, size=(0, 5)),
    "a width of 2 billion": bmp(b"x" * 99, 24, size=(2**31 - 1, 2**31 - 1)),
    "2 bits": bmp(rows(low, 4), 2, p4),
    "saved by Pillow": saved(Image.fromarray(noise), "BMP"),
    "a PNG": saved(Image.fromarray(noise), "PNG"),
    "letters only": b"BM",
}

text = lambda array: b" ".join(str(int(value)).encode() for value in array.ravel())
big = lambda array: array.astype(">u2").tobytes()
size = b"%d %d" % (width, height)
deep = (noise.astype(np.int64) * 257 + 7) % 65536
bits = np.packbits(grey > 127, axis=1).tobytes()
netpbm = {
    "P1": ("pbm", b"P1\n" + size + b"\n" + text(grey > 127)),
    "P1 without blanks": ("pbm", b"P1\n" + size + b"\n" + text(grey > 127).replace(b" ", b"")),
    "P1 with comments": ("pbm", b"P1 # a\n" + size + b"\n1 0 # 1 1\n" + text(grey > 127)[4:]),
    "P1 with a 2": ("pbm", b"P1\n" + size + b"\n" + text(grey > 127)[:-1] + b"2"),
    "P1 with text after it": ("pbm", b"P1\n" + size + b"\n" + text(grey > 127) + b"\nend"),
    "P2": ("pgm", b"P2\n" + size + b"\n255\n" + text(grey)),
    "P2 of maxval 15": ("pgm", b"P2\n" + size + b"\n15\n" + text(low)),
    "P2 of maxval 1000": ("pgm", b"P2\n" + size + b"\n1000\n" + text(deep[..., 0] % 1001)),
    "P2 above its maxval": ("pgm", b"P2\n" + size + b"\n100\n" + text(grey)),
    "P2 with tabs and line ends": ("pgm", b"P2\r\n" + size + b"\r\n255\r\n" + text(grey).replace(b" ", b"\t\r\n")),
    "P2 cut": ("pgm", b"P2\n" + size + b"\n255\n" + text(grey)[:-30]),
    "P2 with a letter": ("pgm", b"P2\n" + size + b"\n255\n" + text(grey)[:-1] + b"x"),
    "P2 with text after it": ("pgm", b"P2\n" + size + b"\n255\n" + text(grey) + b"\nP2 1 1"),
    "P3": ("ppm", b"P3\n" + size + b"\n255\n" + text(noise)),
    "P3 of maxval 7": ("ppm", b"P3\n" + size + b"\n7\n" + text(noise % 8)),
    "P3 of maxval 65535": ("ppm", b"P3\n" + size + b"\n65535\n" + text(deep)),
    "P3 with comments between": ("ppm", b"P3\n" + size + b"\n255\n" + text(noise).replace(b" ", b" # x\n", 4)),
    "P3 with a comment in a number": ("ppm", b"P3\n" + size + b"\n255\n1#\n2 " + text(noise)[len(text(noise[:1, :1, :1])) + 1:]),
    "P4": ("pbm", b"P4\n" + size + b"\n" + bits),
    "P4 cut": ("pbm", b"P4\n" + size + b"\n" + bits[:-1]),
    "P5": ("pgm", b"P5\n" + size + b"\n255\n" + grey.tobytes()),
    "P5 of maxval 100": ("pgm", b"P5\n" + size + b"\n100\n" + (grey % 101).tobytes()),
    "P5 of maxval 1": ("pgm", b"P5\n" + size + b"\n1\n" + (grey % 2).tobytes()),
    "P5 above its maxval": ("pgm", b"P5\n" + size + b"\n100\n" + grey.tobytes()),
    "P5 of maxval 256": ("pgm", b"P5\n" + size + b"\n256\n" + big(grey)),
    "P5 of maxval 4095": ("pgm", b"P5\n" + size + b"\n4095\n" + big(deep[..., 0] >> 4)),
    "P5 of maxval 65535": ("pgm", b"P5\n" + size + b"\n65535\n" + big(deep[..., 0])),
    "P5 of maxval 65535 and small numbers": ("pgm", b"P5\n" + size + b"\n65535\n" + big(grey)),
    "P5 of maxval 0": ("pgm", b"P5\n" + size + b"\n0\n" + grey.tobytes()),
    "P5 of maxval 65536": ("pgm", b"P5\n" + size + b"\n65536\n" + big(grey)),
    "P5 with comments": ("pgm", b"P5\n# by hand\n%d # width\n%d\n#\n255\n" % (width, height) + grey.tobytes()),
    "P5 in one line": ("pgm", b"P5 " + size + b" 255 " + grey.tobytes()),
    "P5 with CRLF": ("pgm", b"P5\r\n" + size + b"\r\n255\r\n" + grey.tobytes()),
    "P5 with a comment at its number": ("pgm", b"P5#x\n" + size + b"\n255\n" + grey.tobytes()),
    "P5 with a comment before the values": ("pgm", b"P5\n" + size + b"\n255#x\n" + grey.tobytes()),
    "P5 with a long comment": ("pgm", b"P5\n#" + b"c" * 3000 + b"\n" + size + b"\n255\n" + grey.tobytes()),
    "P5 with numbers of eleven digits": ("pgm", b"P5\n0000000000%d %d\n255\n" % (width, height) + grey.tobytes()),
    "P5 of a negative size": ("pgm", b"P5\n-7 5\n255\n" + grey.tobytes()),
    "P6": ("ppm", b"P6\n" + size + b"\n255\n" + noise.tobytes()),
    "P6 of maxval 31": ("ppm", b"P6\n" + size + b"\n31\n" + (noise % 32).tobytes()),
    "P6 of maxval 1023": ("ppm", b"P6\n" + size + b"\n1023\n" + big(deep >> 6)),
    "P6 of maxval 65535": ("ppm", b"P6\n" + size + b"\n65535\n" + big(deep)),
    "P6 twice": ("ppm", 2 * (b"P6\n" + size + b"\n255\n" + noise.tobytes())),
    "P6 called pnm": ("pnm", b"P6\n" + size + b"\n255\n" + noise.tobytes()),
    "P6 called bmp": ("bmp", b"P6\n" + size + b"\n255\n" + noise.tobytes()),
    "P6 called png": ("png", b"P6\n" + size + b"\n255\n" + noise.tobytes()),
    "P6 cut": ("ppm", b"P6\n" + size + b"\n255\n" + noise.tobytes()[:-1]),
    "P6 of a size of 0": ("ppm", b"P6\n0 5\n255\n"),
    "P6 of a billion pixels": ("ppm", b"P6\n40000 40000\n255\n" + noise.tobytes()),
    "P7": ("pnm", b"P7\nWIDTH 7\nHEIGHT 5\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\n" + grey.tobytes()),
    "header only": ("ppm", b"P6\n7"),
}
files = {**{f"bmp {name}": ("bmp", data) for name, data in bitmaps.items()}, **{f"pnm {name}": found for name, found in netpbm.items()}}
files["bmp called png"] = ("png", bitmaps["24 bits"])
files["bmp called jpg, cut"] = ("jpg", bitmaps["cut"])


def case(name, ending, data):
    path = f"a/1.{ending}"

    def read(folder, mode):
        with Image.open(f"{folder}/{path}") as image:
            return flat(np.asarray(image.convert("RGB").convert(mode)))

    of = lambda mode: answer(lambda: in_folder({path: data}, lambda folder: read(folder, mode)))
    return {"name": name, "files": {path: data}, "rgb": of("RGB"), "grey": of("L")}


write(sys.argv[1], [case(name, *content) for name, content in files.items()], {"Pillow": PIL.__version__})
