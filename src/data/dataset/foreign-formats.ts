/** Formats of data that are not read, with the way to convert each. */
import { FileFormatError } from "../../errors.ts";

interface ForeignFormat {
  readonly names: RegExp;
  readonly title: string;
  /** What to do with a file. */
  readonly remedy: (file: string) => string;
}

/** A call of pandas as a remedy. */
function byPandas(reader: string, options = ""): (file: string) => string {
  return (file) => `Convert it in Python: pandas.${reader}(${quoted(file)}${options}).to_csv("data.csv", index=False).`;
}

/** The batches as one NPZ file, with the numpy and pickle of the user. */
function byPickle(train: string, test: string, labels: string): () => string {
  const part = (name: string, files: string) =>
    `b=[pickle.load(open(f,'rb'),encoding='latin1') for f in ${files}]; ` +
    `x_${name}=np.concatenate([d['data'] for d in b]).reshape(-1,3,32,32); y_${name}=np.concatenate([d['${labels}'] for d in b])`;
  return () =>
    "Take the binary version (cifar-10-binary.tar.gz, cifar-100-binary.tar.gz), or convert it in Python, in this folder: " +
    `import pickle, numpy as np; ${part("train", train)}; ${part("test", test)}; ` +
    "np.savez('cifar.npz', x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test). Then give cifar.npz.";
}

const unpack = (file: string) => `Unpack the archive ${file} and give the folder.`;

const formats: readonly ForeignFormat[] = [
  {
    names: /^(data_batch_[1-5]|test_batch|batches\.meta)$/,
    title: "the pickled Python version of CIFAR-10",
    remedy: byPickle("[f'data_batch_{i}' for i in range(1,6)]", "['test_batch']", "labels"),
  },
  {
    names: /^(train|test|meta)$/,
    title: "the pickled Python version of CIFAR-100",
    remedy: byPickle("['train']", "['test']", "fine_labels"),
  },
  { names: /\.(parquet|pq)$/i, title: "a Parquet table", remedy: byPandas("read_parquet") },
  { names: /\.(feather|arrow)$/i, title: "an Arrow table", remedy: byPandas("read_feather") },
  { names: /\.(xlsx?|xlsm|xlsb|ods)$/i, title: "a spreadsheet", remedy: byPandas("read_excel") },
  { names: /\.json$/i, title: "a JSON file", remedy: byPandas("read_json") },
  { names: /\.(h5|hdf5|hdf)$/i, title: "an HDF5 file", remedy: () => "Save its arrays with numpy.savez." },
  {
    names: /\.mat$/i,
    title: "a MATLAB file",
    remedy: (file) => `Save its arrays with numpy.savez; scipy.io.loadmat(${quoted(file)}) reads them.`,
  },
  {
    names: /\.(pkl|pickle|pt|pth)$/i,
    title: "a pickled Python file",
    remedy: () => "Save its arrays with numpy.savez: a pickle is a program.",
  },
  {
    names: /\.tfrecords?$/i,
    title: "a TFRecord file",
    remedy: () => "Save its images in a folder for each class, or its arrays with numpy.savez.",
  },
  { names: /\.(zip|tar|tgz|gz|bz2|xz|7z|rar|zst)$/i, title: "an archive", remedy: unpack },
];

function quoted(file: string): string {
  return JSON.stringify(file);
}

/** Folders that torchvision and the archives call the pickled versions of CIFAR. */
const pickledFolders: readonly string[] = ["cifar-10-batches-py", "cifar-100-python"];

/** The error that names the first format among files that is not read; undefined where all are unknown. */
export function foreignFormatError(files: readonly string[], where: string): FileFormatError | undefined {
  for (const { names, title, remedy } of formats) {
    const file = files.find((name) => names.test(name));
    // `train` and `test` alone may be anything.
    if (file === undefined || (title.endsWith("CIFAR-100") && !files.includes("meta"))) continue;
    return new FileFormatError(`${file} is ${title}, which is not read`, { where, remedy: remedy(file) });
  }
  return undefined;
}

/** Returns whether a folder holds the pickled Python version of CIFAR. */
export function isPickledCifar(files: readonly string[]): boolean {
  return foreignFormatError(files, "")?.message.includes("CIFAR") === true;
}

/** The folder among these that holds the pickled version of CIFAR, by its name. */
export function pickledCifarFolder(folders: readonly string[]): string | undefined {
  return folders.find((name) => pickledFolders.includes(name));
}
