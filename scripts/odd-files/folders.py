"""Folders of images with unusual names, with the classes that torchvision's ImageFolder finds: folders.py OUT.json"""
import sys

import torchvision
from PIL import Image
from torchvision.datasets import ImageFolder

from common import answer, in_folder, saved, write

png = saved(Image.new("RGB", (2, 2), (9, 99, 199)), "PNG")
jpeg = saved(Image.new("RGB", (2, 2), (9, 99, 199)), "JPEG")


def of(*paths):
    return {path: jpeg if path.lower().endswith(("jpg", "jpeg")) else b"text" if path.endswith((".txt", ".csv")) else png for path in paths}


layouts = {
    "two classes": of("a/1.png", "b/1.png"),
    "numbers as names": of("10/1.png", "2/1.png", "1/1.png"),
    "capitals and small letters": of("Zebra/1.png", "apple/1.png", "Mango/1.png"),
    "letters with accents": of("élan/1.png", "zebra/1.png", "ape/1.png"),
    "other scripts": of("猫/1.png", "犬/1.png", "a/1.png"),
    "signs beyond 16 bits": of("😀/1.png", "\uff21/1.png"),
    "spaces and points": of("a b/1.png", "a.b/1.png", "a-b/1.png"),
    "names that begin with a sign": of("_a/1.png", "-b/1.png", "+c/1.png"),
    "a name with an ending": of("a.png/1.png", "b/1.png"),
    "endings in capitals": of("a/1.PNG", "b/1.JPG", "b/2.Jpeg"),
    "images deep below": of("a/x/y/1.png", "b/1.png"),
    "text next to images": of("a/1.png", "a/notes.txt", "b/1.png"),
    "a table next to the classes": of("a/1.png", "b/1.png", "readme.txt"),
    "an image next to the classes": of("a/1.png", "b/1.png", "cover.png"),
    "a class without images": of("a/1.png", "b/notes.txt"),
    "only text": of("a/notes.txt"),
    "no class folders": of("1.png", "2.png"),
    "nothing": {},
    "one class": of("a/1.png", "a/2.png"),
    "many classes": of(*[f"{i}/1.png" for i in range(30)]),
    "a class called train": of("train/1.png", "bus/1.png"),
    "a class called test": of("test/1.png", "bus/1.png"),
    "a class called 0": of("0/1.png", "00/1.png"),
    "classes called as JavaScript's own": of("__proto__/1.png", "constructor/1.png", "a/1.png"),
    "a hidden folder": of("a/1.png", "b/1.png", ".git/1.png"),
    "a hidden file": of("a/1.png", "a/._1.png", "b/1.png"),
    "leftovers of an archive": of("a/1.png", "b/1.png", "__MACOSX/1.png"),
    "a folder around the classes": of("set/a/1.png", "set/b/1.png"),
    "parts": of("train/a/1.png", "train/b/1.png", "val/a/1.png", "val/b/1.png"),
    "line ends in names": of("a\nb/1.png", "c/1.png"),
    "two endings": of("a/1.tar.png", "b/1.png.txt", "b/2.png"),
}


def read(folder):
    found = ImageFolder(folder)
    return {"classes": found.classes, "labels": found.targets}


cases = [{"name": name, "files": files, "python": answer(lambda: in_folder(files, read))} for name, files in layouts.items()]
write(sys.argv[1], cases, {"torchvision": torchvision.__version__})
