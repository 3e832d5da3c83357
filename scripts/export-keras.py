"""Exports Keras networks to ONNX, together with what TensorFlow itself computes with them.

Writes FOLDER/<network>-<how>.onnx and, for scripts/check-torch.ts, FOLDER/<network>-<how>.safetensors with input,
labels, output (evaluation mode), loss and gradients of one training step (cross-entropy): `grad.<variable>` in float32,
`exact.<variable>` computed in float64 and `value.<variable>`, all in the layout of ONNX. Where the converter folded a
batch normalization into the layer before it, the gradients are those of the folded weights. How: "keras" is Keras's own
export, "opset<N>" is tf2onnx, "nchw" tf2onnx with inputs_as_nchw, "static" tf2onnx with a fixed batch size.

Needs tensorflow-cpu, tf2onnx and safetensors: python3 scripts/export-keras.py FOLDER [network[-how] ...]
"""

import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy
import onnx
import tensorflow as tf
import tf2onnx
from keras import layers
from onnx import numpy_helper
from safetensors.numpy import save_file

CLASSES = 10
BATCH = 4
BATCHES = 12
# How far the float32 gradients may be from the float64 ones at the batch that is compared, and with how many
# disturbances.
ACCURATE = 3e-4
DISTURBANCES = 2
HOW = ("keras", "opset11", "opset13", "opset15", "opset18", "nchw", "static")


def classifier(head):
    """A network that ends in class scores, from what comes before the last layer."""
    return lambda inputs: layers.Dense(CLASSES, name="scores")(head(inputs))


def gelu(x):
    """The exact one becomes an operator that tf2onnx does not know."""
    return keras.activations.gelu(x, approximate=True)


def convolutions(x):
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.SeparableConv2D(16, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.PReLU(shared_axes=[1, 2], alpha_initializer=keras.initializers.Constant(0.2))(x)
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    x = layers.Conv2DTranspose(8, 3, strides=2, padding="same")(x)
    x = layers.LeakyReLU(0.1)(x)
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = layers.Conv2D(8, 3, dilation_rate=2, activation="swish")(x)
    x = layers.UpSampling2D(2)(x)
    x = layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2)(x)
    x = layers.Activation("hard_swish")(x)
    x = layers.Cropping2D(1)(layers.ZeroPadding2D(2)(x))
    x = layers.AveragePooling2D(2, padding="same")(x)
    x = layers.Conv2D(8, 3, padding="same")(x)
    x = layers.GroupNormalization(4)(x)
    x = gelu(x)
    x = layers.Dropout(0.0)(x)
    return layers.Flatten()(x)


def transposed(x):
    x = layers.Conv2D(6, 3, padding="same", activation="tanh")(x)
    x = layers.Conv2DTranspose(8, 4, strides=2, padding="same", activation="elu")(x)
    x = layers.Conv2DTranspose(4, 2, strides=2, padding="valid", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("softplus")(x)
    x = layers.Conv2D(4, 3, strides=3)(x)
    return layers.GlobalAveragePooling2D()(x)


def signals(x):
    x = layers.Conv1D(8, 3, padding="causal", activation="relu")(x)
    x = layers.SeparableConv1D(12, 3, strides=2, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU(6.0)(x)
    x = layers.MaxPooling1D(2)(x)
    x = layers.UpSampling1D(2)(x)
    x = layers.Conv1DTranspose(8, 3, strides=2, padding="same")(x)
    x = layers.LayerNormalization()(x)
    x = layers.Dense(8, activation="selu")(x)
    return layers.GlobalAveragePooling1D()(x)


def volumes(x):
    x = layers.Conv3D(4, 3, padding="same", activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Conv3D(8, 3, strides=2, padding="same")(x)
    x = layers.Activation("sigmoid")(x)
    x = layers.Conv3DTranspose(4, 2, strides=2)(x)
    x = layers.UpSampling3D(2)(x)
    return layers.GlobalMaxPooling3D()(x)


def transformer(x):
    x = layers.Dense(16)(x)
    for _ in range(2):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        x = x + layers.MultiHeadAttention(4, 4, dropout=0.0)(y, y)
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        x = x + layers.Dense(16)(layers.Dense(32, activation=gelu)(y))
    x = layers.LayerNormalization()(x)
    return layers.GlobalAveragePooling1D()(x)


def cross_attention(x):
    x = layers.Dense(16)(x)
    y = layers.MultiHeadAttention(4, 4)(x, x, use_causal_mask=True)
    x = layers.RMSNormalization()(x + y)
    z = layers.Attention(use_scale=True)([x, y])
    x = layers.Concatenate()([x, layers.Dot(axes=(2, 2))([x, z]), z])
    return layers.Flatten()(layers.UnitNormalization()(x))


def lstm(x):
    x = layers.Dense(8, activation="tanh")(x)
    x = layers.Bidirectional(layers.LSTM(8, return_sequences=True))(x)
    return layers.LSTM(12)(x)


def gru(x):
    x = layers.GRU(8, return_sequences=True)(x)
    x = layers.GRU(8, return_sequences=True, reset_after=False)(x)
    return layers.SimpleRNN(8)(x)


def embedding(x):
    x = layers.Embedding(50, 8)(x)
    x = layers.Conv1D(8, 3, activation="mish")(x)
    x = layers.Permute((2, 1))(x)
    x = layers.Dense(6, activation="softsign")(x)
    x = layers.Reshape((4, 12))(x)
    return layers.Lambda(lambda t: tf.reduce_max(t, axis=1) - tf.math.reduce_variance(t, axis=1))(x)


def without_randomness(model):
    """The gradients of a step with dropout depend on the random numbers of the program."""
    for layer in model._flatten_layers():
        for rate in ("rate", "drop_path_rate"):
            if hasattr(layer, rate):
                setattr(layer, rate, 0.0)
    return model


def application(name, side):
    make = getattr(keras.applications, name)
    options = {"weights": None, "classes": CLASSES, "classifier_activation": None, "input_shape": (side, side, 3)}
    return lambda: without_randomness(make(**options))


def built(head, shape, dtype=None):
    def make():
        inputs = keras.Input(shape, dtype=dtype)
        return keras.Model(inputs, classifier(head)(inputs))

    return make


NETWORKS = {
    "mobilenetv2": application("MobileNetV2", 64),
    "mobilenetv3small": application("MobileNetV3Small", 64),
    "efficientnetb0": application("EfficientNetB0", 64),
    "efficientnetv2b0": application("EfficientNetV2B0", 64),
    "resnet50": application("ResNet50", 64),
    "resnet50v2": application("ResNet50V2", 64),
    "densenet121": application("DenseNet121", 64),
    "nasnetmobile": application("NASNetMobile", 64),
    "xception": application("Xception", 72),
    "inceptionv3": application("InceptionV3", 96),
    "convnexttiny": application("ConvNeXtTiny", 64),
    "convolutions": built(convolutions, (20, 20, 3)),
    "transposed": built(transposed, (9, 9, 3)),
    "signals": built(signals, (32, 5)),
    "volumes": built(volumes, (8, 8, 8, 2)),
    "transformer": built(transformer, (12, 6)),
    "cross_attention": built(cross_attention, (12, 6)),
    "lstm": built(lstm, (10, 6)),
    "gru": built(gru, (10, 6)),
    "embedding": built(embedding, (16,), "int32"),
}


def conditioned(model, generator):
    """Gives weights values that tell them apart, and normalizations ones with which rounding decides no ReLU."""
    for layer in model._flatten_layers():
        for variable in layer.variables if not getattr(layer, "_layers", None) else ():
            name, shape = variable.name, tuple(variable.shape)
            if isinstance(layer, layers.BatchNormalization):
                low, high = {
                    "gamma": (0.2, 0.3),
                    "beta": (0.5, 1.0),
                    "moving_mean": (-0.2, 0.2),
                    "moving_variance": (0.8, 1.3),
                }[name]
            elif name in ("bias", "beta", "recurrent_bias"):
                low, high = -0.1, 0.1
            elif name in ("gamma", "scale"):
                low, high = 0.7, 1.3
            else:
                variable.assign(variable.value.numpy() * generator.uniform(0.9, 1.1, shape))
                continue
            variable.assign(generator.uniform(low, high, shape))


def step(model, x, labels):
    """The loss and the gradients of one training step; batch normalization that is not trained is as in evaluation."""
    variables = [variable for variable in model.variables if "seed" not in variable.name]
    before = [variable.numpy() for variable in variables]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        for variable in variables:
            if variable.value.dtype.is_floating:
                tape.watch(variable.value)
        scores = model(x, training=True)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, scores))
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    for variable, value in zip(variables, before):
        variable.assign(value)
    dense = [None if gradient is None else tf.convert_to_tensor(gradient).numpy() for gradient in gradients]
    return loss.numpy(), {variable.path: gradient for variable, gradient in zip(variables, dense)}


def twin_of(make, model):
    """The same network in float64."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        twin = make()
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
    for own, other in zip(twin.variables, model.variables):
        if "seed" not in own.name:
            own.assign(other.numpy().astype(own.value.dtype.name))
    return twin


def batch_of(model, generator):
    shape = (BATCH, *model.inputs[0].shape[1:])
    labels = generator.integers(0, CLASSES, BATCH)
    if "int" in model.inputs[0].dtype:
        return generator.integers(0, 50, shape).astype("int32"), labels
    return generator.normal(size=shape).astype("float32"), labels


def in_layout(layer, path, value):
    """A variable as ONNX has it: kernels of convolutions with their channels first."""
    if "kernel" not in path or value.ndim < 3 or "Conv" not in type(layer).__name__:
        return value
    if "depthwise" in path or isinstance(layer, layers.DepthwiseConv2D):
        turned = numpy.moveaxis(value, (-2, -1), (0, 1))
        return turned.reshape(-1, 1, *turned.shape[2:])
    return numpy.moveaxis(value, (-1, -2), (0, 1))


def convert(model, how, path):
    shape = model.inputs[0].shape[1:]
    dtype = model.inputs[0].dtype
    if how == "keras":
        model.export(str(path), format="onnx", verbose=False)
        return
    spec = [tf.TensorSpec((BATCH if how == "static" else None, *shape), dtype, name="input")]
    function = tf.function(lambda x: model(x, training=False), input_signature=spec)
    opset = int(how[5:]) if how.startswith("opset") else 17
    more = {"inputs_as_nchw": ["input"]} if how == "nchw" else {}
    tf2onnx.convert.from_function(function, spec, opset=opset, output_path=str(path), **more)


def stored(path):
    """The tensors of a file, as sorted values by their number of elements."""
    graph = onnx.load(path).graph
    tensors = [numpy_helper.to_array(tensor) for tensor in graph.initializer]
    tensors += [
        numpy_helper.to_array(attribute.t)
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    ]
    found = {}
    for tensor in tensors:
        if tensor.dtype == numpy.float32:
            found.setdefault(tensor.size, []).append(numpy.sort(tensor, axis=None))
    return found


def is_stored(value, found):
    own = numpy.sort(value.astype("float32"), axis=None)
    return any(numpy.allclose(own, other, rtol=1e-6, atol=1e-7) for other in found.get(own.size, []))


class Tape:
    """What TensorFlow says of each variable: its value, and its gradients in float32 and in float64."""

    def __init__(self, own, exact):
        self.own = own
        self.exact = exact

    def of(self, variable):
        three = (variable.numpy(), self.own.get(variable.path), self.exact.get(variable.path))
        return tuple(None if each is None else each.astype("float64") for each in three)


def scale_of(norm):
    scale = 1 / numpy.sqrt(norm.moving_variance.numpy() + norm.epsilon)
    return scale if norm.gamma is None else norm.gamma.numpy() * scale


def kernels_of(layer):
    """The kernel that the layer's output channels are scaled by, with the axes of these channels."""
    if isinstance(layer, layers.DepthwiseConv2D):
        return layer.kernel, (-2, -1)
    if hasattr(layer, "pointwise_kernel"):
        return layer.pointwise_kernel, (-1,)
    if "Transpose" in type(layer).__name__:
        return layer.kernel, (-2,)
    return layer.kernel, (-1,)


def along(scale, rank, axes, shape):
    sizes = [1] * rank
    for axis in axes:
        sizes[axis] = shape[axis]
    return scale.reshape(sizes)


def folded_norm(norm, tape, found):
    """What a converter makes of a batch normalization of evaluation: a scale and an offset, perhaps inside of a kernel.

    Returns for each the layer, the name, and the value with its two gradients, and the variables that are gone.
    """
    scale = scale_of(norm)
    deviation = numpy.sqrt(norm.moving_variance.numpy() + norm.epsilon)
    mean, offset = norm.moving_mean.numpy(), norm.beta.numpy() - norm.moving_mean.numpy() * scale
    beta = tape.of(norm.beta)
    gone = {norm.beta.path} if norm.gamma is None else {norm.gamma.path, norm.beta.path}
    made = []
    source = norm.input._keras_history.operation
    if "Conv" in type(source).__name__:
        kernel, axes = kernels_of(source)
        value, own, exact = tape.of(kernel)
        wide = along(scale, value.ndim, axes, value.shape)
        if is_stored(value * wide, found):
            gone.add(kernel.path)
            made.append((source, kernel.path, value * wide, own / wide, exact / wide))
            if getattr(source, "use_bias", False):
                gone.add(source.bias.path)
                offset = offset + source.bias.numpy() * scale
    # Where Keras trains no scale there is no gradient of it to compare with.
    if not made and norm.gamma is not None:
        pairs = zip(tape.of(norm.gamma)[1:], beta[1:])
        made.append((norm, f"{norm.path}/scale", scale, *(gamma * deviation + mean * bias for gamma, bias in pairs)))
    made.append((norm, f"{norm.path}/offset", offset, *beta[1:]))
    return made, gone


def compared(model, tape, found):
    """The tensors to compare, and the variables that the file does not hold."""
    made, gone = [], set()
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization) and not layer.trainable:
            more, without = folded_norm(layer, tape, found)
            made += more
            gone |= without
    for layer in model._flatten_layers():
        for variable in layer.variables if not getattr(layer, "_layers", None) else ():
            if variable.path not in gone and tape.own.get(variable.path) is not None and "moving" not in variable.name:
                made.append((layer, variable.path, *tape.of(variable)))
    tensors, missing = {}, []
    for layer, path, *three in made:
        if not is_stored(three[0], found):
            missing.append(path)
            continue
        # check-torch.ts measures a bias whose gradient is zero by the weight of the same layer.
        name = path.replace("kernel", "weight")
        for kind, value in zip(("value", "grad", "exact"), three):
            tensors[f"{kind}.{name}"] = in_layout(layer, path, value).astype("float32")
    return tensors, missing


def farthest(own, exact):
    """The largest relative error of a tensor, without those whose true gradient is zero."""
    norms = {key: numpy.linalg.norm(value) for key, value in exact.items() if value is not None}
    real = {key: norm for key, norm in norms.items() if norm > 1e-9 * max(norms.values())}
    return max(numpy.linalg.norm(own[key] - exact[key]) / norm for key, norm in real.items())


def disturbed_step(model, x, labels, generator):
    """The gradients with every weight a rounding off."""
    weights = model.get_weights()
    model.set_weights([w * (1 + 1e-7 * generator.normal(size=w.shape)) if w.dtype.kind == "f" else w for w in weights])
    gradients = step(model, x, labels)[1]
    model.set_weights(weights)
    return gradients


def accurate_step(model, twin, generator):
    """The first batch at which the float32 gradients are those of float64 but for rounding, or the best one.

    Where rounding decides a ReLU or a maximum, two correct programs differ, and so do weights that are a rounding off.
    """
    best = None
    for _ in range(BATCHES):
        x, labels = batch_of(model, generator)
        loss, own = step(model, x, labels)
        exact = dict(zip(own, step(twin, x.astype("float64") if x.dtype.kind == "f" else x, labels)[1].values()))
        error = farthest(own, exact)
        for _ in range(DISTURBANCES):
            if error < ACCURATE:
                error = max(error, farthest(disturbed_step(model, x, labels, generator), exact))
        if best is None or error < best[0]:
            best = (error, x, labels, loss, Tape(own, exact))
        if error < ACCURATE:
            break
    return best


def reference(network, how, path):
    model, twin = network
    found = stored(path)
    for layer, other in zip(model.layers, twin.layers):
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = other.trainable = layer.gamma is not None and is_stored(layer.gamma.numpy(), found)
    error, x, labels, loss, tape = accurate_step(model, twin, numpy.random.default_rng(1))
    tensors, missing = compared(model, tape, found)
    tensors |= {
        "input": numpy.moveaxis(x, -1, 1) if how == "nchw" and x.ndim == 4 else x,
        "labels": labels.astype("int64"),
        "output": model(x, training=False).numpy(),
        "loss": numpy.float32(loss).reshape(()),
    }
    arrays = {key: numpy.ascontiguousarray(value) for key, value in tensors.items()}
    save_file(arrays, str(path.with_suffix(".safetensors")))
    print(f"{path.stem}: {(len(tensors) - 4) // 3} gradients, float32 off by {error:.1e}", flush=True)
    if missing:
        print(f"  not in the file as they are: {', '.join(missing)}", flush=True)


def export(name, wanted, folder):
    keras.utils.set_random_seed(0)
    make = NETWORKS[name]
    model = make()
    conditioned(model, numpy.random.default_rng(0))
    twin = twin_of(make, model)
    model(batch_of(model, numpy.random.default_rng(2))[0])
    for how in wanted:
        if how == "nchw" and len(model.inputs[0].shape) != 4:
            continue
        path = folder / f"{name}-{how}.onnx"
        try:
            convert(model, how, path)
            reference((model, twin), how, path)
        except Exception as error:  # one network that cannot be exported must not hide the others
            print(f"{name}-{how}: not exported: {type(error).__name__}: {str(error)[:300]}", flush=True)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    asked = sys.argv[2:] or list(NETWORKS)
    for name in NETWORKS:
        wanted = [how for how in HOW if name in asked or f"{name}-{how}" in asked]
        if wanted:
            export(name, wanted, folder)


main()
