"""Images that are legal and unusual, with the pixels that torchvision's ImageFolder gives: images.py OUT.json"""
import struct
import sys
import zlib

import numpy as np
import PIL
from PIL import Image, ImageCms

from common import answer, flat, in_folder, saved, write

random = np.random.default_rng(7)
noise = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
smooth = np.stack([*np.meshgrid(np.arange(16) * 15, np.arange(16) * 16, indexing="ij"), np.full((16, 16), 90)], -1).astype(np.uint8)
grey = noise[..., 0]
rgba = np.dstack([noise, random.integers(0, 256, (8, 8), dtype=np.uint8)])


def png(array, bits, colour, extra=b""):
    """A PNG by hand: Pillow does not write every kind."""
    height, width = array.shape[:2]
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    if bits == 16:
        rows = [row.astype(">u2").tobytes() for row in array]
    elif bits == 8:
        rows = [row.astype("u1").tobytes() for row in array]
    else:
        rows = [np.packbits(np.unpackbits(row.astype("u1")[:, None], axis=1)[:, 8 - bits:]).tobytes() for row in array]
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))) + chunk(b"IEND", b"")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def ppm(array):
    return b"P6\n%d %d\n255\n" % (array.shape[1], array.shape[0]) + array.tobytes()


def tiff16(array):
    """A TIFF of 16 bits in colour by hand, which Pillow does not write."""
    height, width = array.shape[:2]
    data = array.astype("<u2").tobytes()
    tags = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, 8 + 10 * 12 + 6), (259, 3, 1, 1), (262, 3, 1, 2),
            (273, 4, 1, 8 + 10 * 12 + 12), (277, 3, 1, 3), (278, 3, 1, height), (279, 4, 1, len(data)), (284, 3, 1, 1)]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<HHH", 16, 16, 16) + data


def palette(**options):
    return saved(Image.fromarray(noise).quantize(16), "PNG", **options)


profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# A profile whose red and green are exchanged: who applies it sees other colours.
exchanged = profile.replace(b"rXYZ", b"tXYZ").replace(b"gXYZ", b"rXYZ").replace(b"tXYZ", b"gXYZ")
exif = Image.Exif()
exif[0x0112] = 6
jpeg = lambda image, **options: saved(image, "JPEG", quality=95, **options)
frames = [Image.fromarray(noise), Image.fromarray(255 - noise)]
deep = (np.arange(64).reshape(8, 8) * 1023).astype(np.uint16)
deep_rgb = np.dstack([deep, deep[::-1], deep.T])
cmyk = Image.fromarray(noise).convert("CMYK")

files = {
    "png grey 1 bit": ("png", png(grey > 127, 1, 0)),
    "png grey 2 bits": ("png", png(grey >> 6, 2, 0)),
    "png grey 4 bits": ("png", png(grey >> 4, 4, 0)),
    "png grey 16 bits": ("png", png(deep, 16, 0)),
    "png grey 16 bits of small numbers": ("png", png(deep % 4096, 16, 0)),
    "png grey with alpha": ("png", saved(Image.fromarray(np.dstack([grey, rgba[..., 3]]), "LA"), "PNG")),
    "png grey with a transparent value": ("png", png(grey, 8, 0, chunk(b"tRNS", struct.pack(">H", int(grey[0, 0]))))),
    "png 16 bits in colour": ("png", png(deep_rgb, 16, 2)),
    "png 16 bits with alpha": ("png", png(np.dstack([deep_rgb, deep]), 16, 6)),
    "png with alpha": ("png", saved(Image.fromarray(rgba), "PNG")),
    "png wholly transparent": ("png", saved(Image.fromarray(np.dstack([noise, np.zeros((8, 8), np.uint8)])), "PNG")),
    "png palette": ("png", palette()),
    "png palette with transparency": ("png", palette(transparency=3)),
    "png palette of 1 bit": ("png", saved(Image.fromarray(noise).quantize(2), "PNG", bits=1)),
    "png palette of greys": ("png", saved(Image.fromarray(grey).quantize(8), "PNG")),
    "png with gamma 1.0": ("png", png(noise, 8, 2, chunk(b"gAMA", struct.pack(">I", 100000)))),
    "png interlaced": ("png", b""),
    "png with an sRGB profile": ("png", saved(Image.fromarray(noise), "PNG", icc_profile=profile)),
    "png with a profile of other colours": ("png", saved(Image.fromarray(noise), "PNG", icc_profile=exchanged)),
    "jpeg with a profile of other colours": ("jpg", jpeg(Image.fromarray(smooth), icc_profile=exchanged)),
    "png grey with 16 bits and alpha": ("png", png(np.dstack([deep, deep[::-1]]), 16, 4)),
    "tiff of 16 bits in colour": ("tif", tiff16(deep_rgb)),
    "png rotated by Exif": ("png", saved(Image.fromarray(noise), "PNG", exif=exif)),
    "png of several frames": ("png", saved(frames[0], "PNG", save_all=True, append_images=frames[1:])),
    "jpeg in colour": ("jpg", jpeg(Image.fromarray(smooth))),
    "jpeg grey": ("jpg", jpeg(Image.fromarray(smooth[..., 0]))),
    "jpeg progressive": ("jpg", jpeg(Image.fromarray(smooth), progressive=True)),
    "jpeg 4:4:4": ("jpg", jpeg(Image.fromarray(smooth), subsampling=0)),
    "jpeg in CMYK": ("jpg", jpeg(Image.fromarray(smooth).convert("CMYK"))),
    "jpeg rotated by Exif": ("jpg", jpeg(Image.fromarray(smooth), exif=exif)),
    "jpeg with a comment": ("jpg", jpeg(Image.fromarray(smooth), comment=b"\x1b[31mred")),
    "jpeg called png": ("png", jpeg(Image.fromarray(smooth))),
    "png called jpg": ("jpg", saved(Image.fromarray(noise), "PNG")),
    "webp lossless": ("webp", saved(Image.fromarray(noise), "WEBP", lossless=True)),
    "webp lossless with alpha": ("webp", saved(Image.fromarray(rgba), "WEBP", lossless=True, exact=True)),
    "webp animated": ("webp", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)),
    "gif": ("gif", saved(Image.fromarray(noise).quantize(32), "GIF")),
    "gif animated": ("gif", saved(frames[0].quantize(32), "GIF", save_all=True, append_images=[f.quantize(32) for f in frames[1:]])),
    "gif with transparency": ("gif", saved(Image.fromarray(noise).quantize(16), "GIF", transparency=2)),
    "gif grey": ("gif", saved(Image.fromarray(grey), "GIF")),
    "tiff": ("tif", saved(Image.fromarray(noise), "TIFF")),
    "tiff by LZW": ("tiff", saved(Image.fromarray(noise), "TIFF", compression="tiff_lzw")),
    "tiff of 1 bit": ("tif", saved(Image.fromarray(grey > 127), "TIFF")),
    "tiff of 16 bits": ("tif", saved(Image.fromarray(deep), "TIFF")),
    "tiff of float32 in 0..255": ("tif", saved(Image.fromarray(grey.astype(np.float32)), "TIFF")),
    "tiff of float32 in 0..1": ("tif", saved(Image.fromarray(grey.astype(np.float32) / 255), "TIFF")),
    "tiff of int32": ("tif", saved(Image.fromarray(grey.astype(np.int32) * 3 - 99), "TIFF")),
    "tiff in CMYK": ("tif", saved(cmyk, "TIFF")),
    "tiff palette": ("tif", saved(Image.fromarray(noise).quantize(16), "TIFF")),
    "tiff of several pages": ("tif", saved(frames[0], "TIFF", save_all=True, append_images=frames[1:])),
    "tiff with alpha": ("tif", saved(Image.fromarray(rgba), "TIFF")),
    "bmp": ("bmp", saved(Image.fromarray(noise), "BMP")),
    "bmp palette": ("bmp", saved(Image.fromarray(noise).quantize(16), "BMP")),
    "bmp grey": ("bmp", saved(Image.fromarray(grey), "BMP")),
    "bmp of 1 bit": ("bmp", saved(Image.fromarray(grey > 127), "BMP")),
    "bmp with alpha": ("bmp", saved(Image.fromarray(rgba), "BMP")),
    "ppm": ("ppm", ppm(noise)),
    "pgm": ("pgm", b"P5\n8 8\n255\n" + grey.tobytes()),
    "jpeg with bytes after its end": ("jpg", jpeg(Image.fromarray(smooth)) + b"tail"),
    "jpeg cut": ("jpg", jpeg(Image.fromarray(smooth))[:-40]),
    "png cut": ("png", saved(Image.fromarray(noise), "PNG")[:-40]),
    "png with a wrong checksum": ("png", saved(Image.fromarray(noise), "PNG")[:-14] + b"\0\0" + saved(Image.fromarray(noise), "PNG")[-12:]),
    "empty file": ("png", b""),
    "text called png": ("png", b"not an image"),
    "one pixel": ("png", saved(Image.fromarray(noise[:1, :1]), "PNG")),
    "one row": ("png", saved(Image.fromarray(noise[:1]), "PNG")),
}


def interlaced():
    """Adam7 by hand: seven passes, each a small image."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = b"".join(b"\0" + row.tobytes() for top, left, down, right in passes for row in noise[top::down, left::right])
    head = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


files["png interlaced"] = ("png", interlaced())


def case(name, ending, data):
    path = f"a/1.{ending}"

    def read(folder, mode):
        with Image.open(f"{folder}/{path}") as image:
            image = image.convert("RGB")
            return flat(np.asarray(image if mode == "RGB" else image.convert("L")))

    of = lambda mode: answer(lambda: in_folder({path: data}, lambda folder: read(folder, mode)))
    return {"name": name, "files": {path: data}, "rgb": of("RGB"), "grey": of("L")}


write(sys.argv[1], [case(name, *content) for name, content in files.items()], {"Pillow": PIL.__version__})
