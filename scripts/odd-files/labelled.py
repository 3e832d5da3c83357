"""IDX, CIFAR and NPZ files with labels that are legal and unusual, or just not legal, with the images and labels that
torchvision gives, or numpy by the names that Keras and MedMNIST use: labelled.py OUT.json"""
import glob
import gzip
import io
import os
import pickle
import struct
import sys
import zlib
from collections import ChainMap

import numpy as np
import torchvision
from torchvision.datasets.mnist import read_image_file, read_sn3_pascalvincent_tensor

from common import answer, flat, in_folder, write

random = np.random.default_rng(5)
codes = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx(array, kind="u1", code=None, shape=None):
    array = np.asarray(array)
    shape = array.shape if shape is None else shape
    sizes = b"".join(struct.pack(">I", size) for size in shape)
    return bytes([0, 0, codes[kind] if code is None else code, len(shape)]) + sizes + array.astype(">" + kind).tobytes()


pixels = random.integers(0, 120, (4, 3, 3), dtype=np.uint8)
classes = np.array([0, 1, 2, 0])
good, right = idx(pixels), idx(classes)
pair = lambda images=good, labels=right, names=("train-images-idx3-ubyte", "train-labels-idx1-ubyte"): dict(zip(names, (images, labels)))
named = lambda prefix, ending="", labels="labels-idx1-ubyte": (f"{prefix}train-images-idx3-ubyte{ending}", f"{prefix}train-{labels}{ending}")
packed = lambda level: pair(gzip.compress(good, level), gzip.compress(right, level), named("", ".gz"))
four = np.arange(32).reshape(4, 8)
idx_sets = {
    "plain": pair(),
    "by gzip": packed(9),
    "by gzip at level 1": packed(1),
    "by gzip without packing": packed(0),
    "by gzip in two members": pair(gzip.compress(good[:20]) + gzip.compress(good[20:]), right, named("")),
    "by gzip in a member for each byte": pair(b"".join(gzip.compress(good[i:i + 1]) for i in range(len(good)))),
    "by gzip with an empty member": pair(gzip.compress(good) + gzip.compress(b"")),
    "by gzip with a name": pair(b"\x1f\x8b\x08\x08\0\0\0\0\0\3name\0" + gzip.compress(good)[10:]),
    "by gzip with zeros after it": pair(gzip.compress(good) + bytes(5)),
    "by gzip with bytes after it": pair(gzip.compress(good) + b"tail"),
    "by gzip under another name": pair(gzip.compress(good)),
    "called gz": pair(good, right, named("", ".gz")),
    "by zlib": pair(zlib.compress(good)),
    "gzip cut": pair(gzip.compress(good)[:-9]),
    "gzip with a wrong checksum": pair(gzip.compress(good)[:-8] + bytes(8)),
    "EMNIST's names": pair(good, right, named("emnist-letters-")),
    "Kuzushiji's names": pair(good, right, named("kmnist-")),
    "USPS's names": pair(good, right, named("usps_")),
    "QMNIST's names and labels": pair(good, idx(np.column_stack([classes, four[:, 1:]]), "i4"), named("qmnist-", labels="labels-idx2-int")),
    "QMNIST's labels, packed": pair(gzip.compress(good), gzip.compress(idx(np.column_stack([classes, four[:, 1:]]), "i4")), named("qmnist-", ".gz", "labels-idx2-int")),
    "names with points": pair(good, right, ("train-images.idx3-ubyte", "train-labels.idx1-ubyte")),
    "names with a version": pair(good, right, named("my.set.v1.2-")),
    "names in capitals": pair(good, right, ("TRAIN-IMAGES-IDX3-UBYTE", "TRAIN-LABELS-IDX1-UBYTE")),
    "images of int8": pair(idx(pixels, "i1")),
    "images of int16": pair(idx(pixels, "i2")),
    "images of int32": pair(idx(pixels, "i4")),
    "images of float32": pair(idx(pixels, "f4")),
    "images of float64": pair(idx(pixels, "f8")),
    "images of type 0x0A": pair(idx(pixels, code=0x0A)),
    "images of one dimension": pair(idx(pixels.ravel())),
    "images of two dimensions": pair(idx(pixels.reshape(4, 9))),
    "images of four dimensions": pair(idx(pixels.reshape(4, 1, 3, 3))),
    "images that are not square": pair(idx(pixels[:, :2])),
    "labels of int8": pair(good, idx(classes, "i1")),
    "labels of int32": pair(good, idx(classes, "i4")),
    "labels of float32": pair(good, idx(classes, "f4")),
    "labels of two dimensions": pair(good, idx(classes.reshape(4, 1))),
    "labels that begin at 1": pair(good, idx(classes + 1)),
    "one label more": pair(good, idx([0, 1, 2, 0, 1])),
    "one label fewer": pair(good, idx([0, 1, 2])),
    "negative labels": pair(good, idx([0, 1, -1, 0], "i1")),
    "one image": pair(idx(pixels[:1]), idx([0])),
    "no images": pair(idx(pixels[:0]), idx([])),
    "images without pixels": pair(idx(pixels[:, :0])),
    "cut": pair(good[:-1]),
    "bytes after it": pair(good + b"x"),
    "header only": pair(good[:4]),
    "empty file": pair(b""),
    "images called labels": pair(right, good),
    "the number of MNIST in little endian": pair(good[3::-1] + good[4:]),
}


def torch_idx(folder, names):
    """As torchvision's MNIST and QMNIST read the two files, after `gzip.decompress`."""
    paths = []
    for name in names:
        data = open(f"{folder}/{name}", "rb").read()
        paths.append(f"{folder}/plain-{name}")
        open(paths[-1], "wb").write(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    images = read_image_file(paths[0]).numpy()
    labels = read_sn3_pascalvincent_tensor(paths[1], strict=False)
    if labels.ndim == 2 and labels.shape[1] == 8:
        labels = labels[:, 0]
    elif labels.dtype.is_floating_point or labels.dtype.itemsize > 1 or labels.ndim != 1:
        raise TypeError("MNIST asserts labels of uint8")
    if images.size == 0:
        raise ValueError("no samples")
    return images, labels.numpy()


def record(label, seed, coarse=None):
    image = np.tile(np.random.default_rng(seed).integers(0, 256, 8, dtype=np.uint8), 384)
    return bytes([*([] if coarse is None else [coarse]), label]) + image.tobytes()


def ten(**changes):
    files = {f"data_batch_{i}.bin": record(i, i) for i in range(1, 6)}
    files.update({"test_batch.bin": record(0, 9), "batches.meta.txt": "\n".join(names10).encode() + b"\n\n"})
    files.update({name.replace("__", "."): data for name, data in changes.items()})
    return {name: data for name, data in files.items() if data is not None}


def hundred(**changes):
    files = {"train.bin": b"".join(record(7 * i, i, i) for i in range(4)), "test.bin": record(0, 9, 0)}
    files.update({name.replace("__", "."): data for name, data in changes.items()})
    return {name: data for name, data in files.items() if data is not None}


names10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
inside = lambda folder, files: {f"{folder}/{name}": data for name, data in files.items()}
batch = lambda labels: pickle.dumps({"data": np.zeros((2, 3072), np.uint8), labels: [0, 1]}, 2)
gone = {f"data_batch_{i}__bin": None for i in range(2, 6)}
cifar_sets = {
    "10": ten(),
    "10 in the folder of the archive": inside("cifar-10-batches-bin", ten()),
    "10 without names": ten(batches__meta__txt=None),
    "10 with nine names": ten(batches__meta__txt="\n".join(names10[:9]).encode()),
    "10 with names that end in CRLF": ten(batches__meta__txt="\r\n".join(names10).encode()),
    "10 with batches of other lengths": ten(data_batch_1__bin=record(3, 1) + record(4, 2) + record(5, 3)),
    "10 with one batch": ten(**gone),
    "10 without the test batch": ten(test_batch__bin=None),
    "10 with the test batch only": ten(**gone, data_batch_1__bin=None),
    "10 with a readme": ten(**{"readme__html": b"<html>"}),
    "10 with a sixth batch": ten(data_batch_6__bin=record(1, 1)),
    "10 with a byte more": ten(data_batch_2__bin=record(2, 2) + b"x"),
    "10 with a byte less": ten(data_batch_2__bin=record(2, 2)[:-1]),
    "10 with an empty batch": ten(data_batch_3__bin=b""),
    "10 with label 9": ten(data_batch_1__bin=record(9, 1)),
    "10 with label 10": ten(data_batch_1__bin=record(10, 1)),
    "10 with label 255": ten(data_batch_1__bin=record(255, 1)),
    "10 with 100's records": ten(data_batch_1__bin=record(1, 1, 3)),
    "10 without an ending": {name.replace(".bin", ""): data for name, data in ten().items()},
    "100": hundred(),
    "100 in the folder of the archive": inside("cifar-100-binary", hundred()),
    "100 with names": hundred(fine_label_names__txt="\n".join(f"name {i}" for i in range(100)).encode()),
    "100 with coarse names": hundred(coarse_label_names__txt="\n".join(f"name {i}" for i in range(20)).encode()),
    "100 with a coarse label of 99": hundred(train__bin=record(7, 1, 99)),
    "100 with label 99": hundred(train__bin=record(99, 1, 1)),
    "100 with label 100": hundred(train__bin=record(100, 1, 1)),
    "100 with 10's records": hundred(train__bin=record(1, 1)),
    "100 without the test part": hundred(test__bin=None),
    "100 cut": hundred(train__bin=hundred()["train.bin"][:-2]),
    "10 next to 100": {**ten(), **hundred()},
    "10 of Python": {**{f"data_batch_{i}": batch("labels") for i in range(1, 6)}, "test_batch": batch("labels"), "batches.meta": pickle.dumps({"label_names": names10})},
    "10 of Python in the folder of the archive": inside("cifar-10-batches-py", {"data_batch_1": batch("labels"), "test_batch": batch("labels"), "batches.meta": b"x"}),
    "100 of Python": {"train": batch("fine_labels"), "test": batch("fine_labels"), "meta": pickle.dumps({"fine_label_names": []})},
    "10 as its archive": {"cifar-10-binary.tar.gz": gzip.compress(b"tar")},
    "10 of Python as its archive": {"cifar-10-python.tar.gz": gzip.compress(b"tar")},
}


def numpy_cifar(folder, names):
    """By the layout on the page of the data set; torchvision takes the pickled files only, by their checksums."""
    names = [name for name in names if name.endswith(".bin")]
    is_hundred = not any("batch" in name for name in names)
    files = sorted(name for name in names if name.split("/")[-1] == "train.bin" or (not is_hundred and name.split("/")[-1] in [f"data_batch_{i}.bin" for i in range(1, 6)]))
    tests = [name for name in names if name.split("/")[-1] in ("test.bin", "test_batch.bin")]
    if len(files) != (1 if is_hundred else 5) or not tests:
        raise FileNotFoundError("incomplete")
    width = 3074 if is_hundred else 3073
    rows = np.vstack([np.fromfile(f"{folder}/{name}", np.uint8).reshape(-1, width) for name in files + tests])[:-1]
    if any(len(open(f"{folder}/{name}", "rb").read()) == 0 for name in files):
        raise ValueError("empty")
    labels = rows[:, width - 3073]
    if labels.max() >= (100 if is_hundred else 10):
        raise ValueError("label")
    return rows[:, width - 3072:].reshape(-1, 3, 32, 32), labels


def npz(save=np.savez, **arrays):
    out = io.BytesIO()
    save(out, **arrays)
    return {"d.npz": out.getvalue()}


def kuzushiji(**arrays):
    """As np.savez_compressed("k49-train-imgs.npz", array) writes each."""
    return {f"k49-{name.replace('_', '-')}.npz": npz(np.savez_compressed, arr_0=array)["d.npz"] for name, array in arrays.items()}


x = random.integers(0, 256, (4, 5, 5), dtype=np.uint8)
rgb = random.integers(0, 256, (4, 5, 5, 3), dtype=np.uint8)
y = np.array([0, 1, 2, 1], np.uint8)
hot = np.eye(3)[y]
words = np.array(["cat", "dog", "ox"])
last, same, ravel = (lambda a: np.moveaxis(a, -1, 1)), (lambda a: a), (lambda a: a.ravel())
# The file, the keys of samples and targets, and what their dimensions mean.
npz_sets = {
    "of Keras": (npz(x_train=x, y_train=y, x_test=x[:1], y_test=y[:1]), "x_train", "y_train", same, same),
    "of Keras, packed": (npz(np.savez_compressed, x_train=x, y_train=y, x_test=x[:1], y_test=y[:1]), "x_train", "y_train", same, same),
    "of Keras, colour": (npz(x_train=rgb, y_train=y[:, None], x_test=rgb[:1], y_test=y[:1, None]), "x_train", "y_train", last, ravel),
    "of MedMNIST": (npz(train_images=x, val_images=x[:2], test_images=x[:1], train_labels=y[:, None], val_labels=y[:2, None], test_labels=y[:1, None]), "train_images", "train_labels", same, ravel),
    "of MedMNIST, colour": (npz(train_images=rgb, val_images=rgb[:2], test_images=rgb[:1], train_labels=y[:, None], val_labels=y[:2, None], test_labels=y[:1, None]), "train_images", "train_labels", last, ravel),
    "of MedMNIST, many labels": (npz(train_images=x, train_labels=hot.astype(np.uint8)), "train_images", "train_labels", same, same),
    "of MedMNIST, volumes": (npz(train_images=random.integers(0, 256, (4, 5, 5, 5), dtype=np.uint8), train_labels=y[:, None]), "train_images", "train_labels", same, ravel),
    "images and labels": (npz(images=x, labels=y), "images", "labels", same, same),
    "data and target": (npz(data=x.reshape(4, 25), target=y), "data", "target", same, same),
    "X and Y": (npz(X=x, Y=y), "X", "Y", same, same),
    "without names": ((lambda out: (np.savez(out, x, y), {"d.npz": out.getvalue()})[1])(io.BytesIO()), "arr_0", "arr_1", same, same),
    "one array": (npz(a=x), "d.npz", None, same, same),
    "bool labels": (npz(x=x, y=y > 0), "x", "y", same, same),
    "bool masks": (npz(x=x, y=x > 99), "x", "y", same, same),
    "bool images": (npz(x=x > 99, y=y), "x", "y", same, same),
    "one-hot labels": (npz(x=x, y=hot), "x", "y", same, same),
    "float labels": (npz(x=x, y=y.astype(np.float32)), "x", "y", same, same),
    "int64 labels": (npz(x=x, y=y.astype(np.int64)), "x", "y", same, same),
    "labels that begin at 1": (npz(x=x, y=y + 1), "x", "y", same, same),
    "labels of -1 and 1": (npz(x=x, y=np.array([-1, 1, 1, -1])), "x", "y", same, same),
    "words as labels": (npz(x=x, y=words[y]), "x", "y", same, same),
    "objects as labels": (npz(x=x, y=words[y].astype(object)), "x", "y", same, same),
    "objects next to them": (npz(x=x, y=y, meta=np.array({"a": 1}, object)), "x", "y", same, same),
    "names of classes": (npz(x=x, y=y, class_names=words), "x", "y", same, same),
    "names of targets": (npz(data=x, target=y, target_names=words), "data", "target", same, same),
    "classes next to them": (npz(x=x, y=y, classes=words), "x", "y", same, same),
    "scalars next to them": (npz(x=x, y=y, seed=3, num_classes=3, version=np.float64(1.5)), "x", "y", same, same),
    "mean and deviation of a part": (npz(x_train=x, y_train=y, train_mean=x.mean(0), train_std=x.std(0)), "x_train", "y_train", same, same),
    "numbers of the samples": (npz(x_train=x, y_train=y, train_idx=np.arange(4)), "x_train", "y_train", same, same),
    "float64 images of 0..1": (npz(x=x / 255, y=y), "x", "y", same, same),
    "float16 images": (npz(x=(x / 255).astype(np.float16), y=y), "x", "y", same, same),
    "uint16 images": (npz(x=x.astype(np.uint16) * 257, y=y), "x", "y", same, same),
    "big endian": (npz(x=x.astype(">f4"), y=y.astype(">i8")), "x", "y", same, same),
    "Fortran order": (npz(x=np.asfortranarray(x), y=y), "x", "y", same, same),
    "channels first": (npz(x=last(rgb), y=y), "x", "y", same, same),
    "channels last": (npz(x=rgb, y=y), "x", "y", last, same),
    "alpha": (npz(x=np.concatenate([rgb, rgb[..., :1]], -1), y=y), "x", "y", last, same),
    "one channel last": (npz(x=x[..., None], y=y), "x", "y", last, same),
    "labels of one number more": (npz(x=x, y=np.append(y, 0)), "x", "y", same, same),
    "labels in rows of one": (npz(x=x, y=y[None]), "x", "y", same, same),
    "a part without labels": (npz(x_train=x, x_test=x[:1], y_test=y[:1]), "x_train", "y_train", same, same),
    "data and images": (npz(data=x.reshape(4, 25), images=x, target=y), "images", "target", same, same),
    "of Kuzushiji, a file for each array": (kuzushiji(train_imgs=x, train_labels=y, test_imgs=x[:1], test_labels=y[:1]), "k49-train-imgs.npz", "k49-train-labels.npz", same, same),
    "no samples": (npz(y=y, z=y), "x", "y", same, same),
}


def loaded(file):
    """The arrays of an archive; the only one under the name of its file as well."""
    found = np.load(file)
    return {os.path.basename(file): found[found.files[0]]} if len(found.files) == 1 else found


def numpy_npz(folder, keys):
    samples, targets, shape, labels = keys
    found = ChainMap(*[loaded(file) for file in sorted(glob.glob(f"{folder}/*.npz"))])
    images = shape(found[samples])
    answers = None if targets is None else labels(found[targets])
    if answers is not None and (answers.dtype.kind not in "biuf" or len(answers) != len(images)):
        raise ValueError("Keras refuses them")
    return images, answers


cases = []


def add(name, files, where, read, given):
    found = in_folder(files, lambda folder: answer(lambda: read(folder, given)))
    images, labels = found.get("values", (None, None))
    case = {"name": name, "files": dict(files), "open": where}
    case["python"] = found if images is None else {"values": flat(images)}
    cases.append(case if labels is None else {**case, "labels": {"values": flat(labels)}})


for name, files in idx_sets.items():
    add(f"idx {name}", files, "", torch_idx, list(files))
for name, files in cifar_sets.items():
    add(f"cifar {name}", files, "", numpy_cifar, list(files))
for name, (files, *keys) in npz_sets.items():
    add(f"npz {name}", files, "d.npz" if len(files) == 1 else "", numpy_npz, keys)
write(sys.argv[1], cases, {"numpy": np.__version__, "torchvision": torchvision.__version__})
