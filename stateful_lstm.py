"""A stateful LSTM learns a decaying cosine: a Keras 1.2 program of 2017 in today's TensorFlow.

The original is a blog post (Taeyoung Kim, 2017-02-04, "순환 신경망 모델 만들어보기"). Its parts stand
here in its order and under its names. Where this program says more, it has one of these reasons:

- Keras 3 has other defaults. `keras1_hard_sigmoid`, `glorot_per_gate` and RMSprop's epsilon bring
  those of Keras 1.2 back, and with them the losses of 2017.
- Keras 3 has no `model.reset_states()`, and it starts every small batch from Python, which takes
  much longer than the arithmetic. `StatefulSequential` mends both.
- Constants can be edited and functions imported, so both are checked. Pictures go to files too.
"""

import numbers
import os
import sys

# Keras and TensorFlow read these when they are imported.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from numpy.lib.stride_tricks import sliding_window_view

TSTEPS = 1  # values in a sample; 1 is enough, since the state remembers what came before
BATCH_SIZE = 25  # samples in a batch; must divide the number of samples
EPOCHS = 25  # times that the series is trained on
LAHEAD = 1  # values ahead whose mean is to be predicted
UNITS = 50  # units in each of the two LSTM layers
STATEFUL = True  # whether a batch starts from the states in which the batch before it ended
SEED = 1  # of the starting weights; None for other ones in every run

AMP = 100  # amplitude of the cosine at x = 0
PERIOD = 1000  # period of the cosine, in x
X0 = 0  # x of the first sample
XN = 50000  # the series has (XN - X0) * STEP samples
STEP = 1  # x from one sample to the next
K = 0.0001  # rate of the exponential decay, per x

STACK = 250  # batches that Python starts at a time; the progress bar moves once a stack
VERBOSE = 1 if sys.stdout.isatty() else 2  # Keras's progress: a bar in a terminal, else a line
PLOT_FILE = "stateful_lstm.png"  # picture of the result, a PNG
MODEL_FILE = "stateful_lstm_model.svg"  # picture of the model, if pydot and Graphviz are installed


def check_whole(least, **settings):
    """Raises ValueError unless every setting is a whole number of at least `least`."""
    for name, value in settings.items():
        if not isinstance(value, numbers.Integral) or value < least:
            raise ValueError(f"{name} = {value!r}: must be a whole number of at least {least}")


def gen_cosine_amp(amp=AMP, period=PERIOD, x0=X0, xn=XN, step=STEP, k=K, tsteps=TSTEPS):
    """Generates a decaying cosine, amp * cos(2 pi x / period) * exp(-k x), as (samples, tsteps, 1).

    Args:
        amp: amplitude of the cosine at x = 0. (The post says "absolute cosine"; its formula is this.)
        period: period of the cosine, in x.
        x0: x of the first sample, a whole number.
        xn: whole number above x0; there are (xn - x0) * step samples, as in the post.
        step: x from one sample to the next, a whole number.
        k: rate of the exponential decay, per x.
        tsteps: values in a sample. Sample i has those up to x0 + i * step, the oldest first.

    Raises ValueError if a setting is not as said here or makes a value that is not finite.
    """
    check_whole(1, step=step, tsteps=tsteps)
    if not isinstance(x0, numbers.Integral) or not isinstance(xn, numbers.Integral) or xn <= x0:
        raise ValueError(f"xn = {xn!r}, x0 = {x0!r}: must be whole numbers, xn above x0")
    if not all(isinstance(setting, numbers.Real) for setting in (amp, period, k)):
        raise ValueError(f"amp = {amp!r}, period = {period!r}, k = {k!r}: must be numbers")
    x = x0 + step * np.arange(1 - tsteps, (xn - x0) * step)
    values = amp * np.cos(2 * np.pi * x / period) * np.exp(-k * x)
    if not np.isfinite(values).all():
        raise ValueError(f"amp = {amp!r}, period = {period!r}, k = {k!r}: must give finite values")
    return sliding_window_view(values, tsteps)[:, :, np.newaxis].copy()


def gen_expected_output(cos, lahead=LAHEAD):
    """Returns the mean of the `lahead` values after each sample, (samples, 1). ValueError for a bad lahead.

    The last `lahead` rows, which have too few values after them, are 0, as in the post.
    """
    check_whole(1, lahead=lahead)
    if lahead >= len(cos):
        raise ValueError(f"lahead = {lahead!r}: must be below the number of samples, {len(cos)}")
    expected_output = np.zeros((len(cos), 1))
    expected_output[:-lahead, 0] = sliding_window_view(cos[1:, -1, 0], lahead).mean(axis=1)
    return expected_output


@keras.saving.register_keras_serializable("stateful_lstm")
def keras1_hard_sigmoid(x):
    """The gates of Keras 1.2's LSTM (its `hard_sigmoid`). Keras 3's `hard_sigmoid` has slope 1/6."""
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


@keras.saving.register_keras_serializable("stateful_lstm")
def glorot_per_gate(shape, dtype=None):
    """Draws an LSTM kernel, (inputs, 4 * units), Glorot uniform per gate (Keras 1.2.2, recurrent.py)."""
    # Keras 3 counts all four gates in the limit, and draws recurrent kernels orthogonal.
    limit = np.sqrt(6 / (shape[0] + shape[1] // 4))
    return keras.random.uniform(shape, -limit, limit, dtype)


@keras.saving.register_keras_serializable("stateful_lstm")
class StatefulSequential(keras.Sequential):
    """A Sequential with `reset_states`, whose `fit` and `predict` also take stacks of batches.

    Keras starts a step from Python for every batch. Given a stack, a dict made by `stack_batches`, the
    steps here run Keras's own on each of its batches, in a loop that is a part of what `jit_compile=True`
    has XLA compile: Python starts one program of machine code for the whole stack.
    """

    def train_step(self, data):
        step = super().train_step
        if not isinstance(data, dict):
            return step(data)
        batches = data["cos"], data["expected_output"]
        tf.map_fn(lambda batch: step(batch)["loss"], batches, fn_output_signature=tf.float32)
        return self.get_metrics_result()

    def predict_step(self, data):
        step = super().predict_step
        if not isinstance(data, dict):
            return step(data)
        return tf.reshape(tf.map_fn(step, data["cos"], fn_output_signature=tf.float32), (-1, 1))

    def reset_states(self):
        """Sets the states of all layers to 0."""
        for layer in self.layers:
            if hasattr(layer, "reset_state"):
                layer.reset_state()


def build_model(batch_size=BATCH_SIZE, tsteps=TSTEPS, units=UNITS, stateful=STATEFUL):
    """Returns a compiled model, (batch_size, tsteps, 1) to (batch_size, 1). ValueError for a bad count."""
    check_whole(1, batch_size=batch_size, tsteps=tsteps, units=units)
    keras1 = dict(recurrent_activation=keras1_hard_sigmoid,
                  kernel_initializer=glorot_per_gate, recurrent_initializer=glorot_per_gate)
    unroll = tsteps == 1  # one step runs faster without a loop, many compile faster with it
    model = StatefulSequential([
        keras.Input(batch_shape=(batch_size, tsteps, 1)),
        keras.layers.LSTM(units, return_sequences=True, stateful=stateful, unroll=unroll, **keras1),
        keras.layers.LSTM(units, stateful=stateful, unroll=unroll, **keras1),
        keras.layers.Dense(1),
    ])
    # Keras 1.2 divides by sqrt(v) + 1e-8, Keras 3 by sqrt(v + epsilon).
    model.compile(loss="mse", optimizer=keras.optimizers.RMSprop(epsilon=1e-16), jit_compile=True)
    return model


def stack_batches(model, batch_size, *arrays, stack=STACK):
    """Returns a `tf.data.Dataset` of stacks, dicts of up to `stack` batches, for `fit` or `predict`.

    The arrays are the samples, (samples, tsteps, 1), and, to train, the expected output, (samples, 1).
    Raises ValueError for a bad stack, and unless batch_size and the shapes fit the model and each other.
    """
    check_whole(1, stack=stack)
    samples, size = len(arrays[0]), model.input_shape[0]
    if batch_size != size or samples == 0 or samples % size:
        raise ValueError(f"batch_size = {batch_size!r}: must divide the number of samples, {samples}, and be"
                         f" that of the model, {size}")
    batches = {}
    shapes = {"cos": model.input_shape, "expected_output": model.output_shape}
    for (name, shape), array in zip(shapes.items(), arrays):
        if np.shape(array) != (samples, *shape[1:]):
            raise ValueError(f"{name} has the shape {np.shape(array)}: must be {(samples, *shape[1:])}")
        batches[name] = np.reshape(array, (-1, *shape)).astype("float32")
    options = tf.data.Options()
    options.autotune.enabled = False  # it has nothing to tune here, but can take 0.1 s to stop
    return tf.data.Dataset.from_tensor_slices(batches).batch(stack).with_options(options)


def train(model, cos, expected_output, batch_size=BATCH_SIZE, epochs=EPOCHS, verbose=VERBOSE):
    """Trains in order, resets the states after each epoch, and returns the epochs' losses (floats).

    Ctrl-C ends it early. Raises ValueError for a bad count of epochs and as `stack_batches` does, and
    FloatingPointError for a loss that is not finite; the weights are then those before its epoch.
    """
    check_whole(1, epochs=epochs)
    batches = stack_batches(model, batch_size, cos, expected_output)
    losses = []
    try:
        for i in range(epochs):
            print("Epoch", i, "/", epochs)
            weights = model.get_weights()
            [loss] = model.fit(batches, epochs=1, shuffle=False, verbose=verbose).history["loss"]
            model.reset_states()
            if not np.isfinite(loss):
                model.set_weights(weights)
                raise FloatingPointError(f"the loss of epoch {i} is {loss}: is the series too large?")
            losses.append(loss)
    except KeyboardInterrupt:
        model.reset_states()
        print(f"\nInterrupted in epoch {i}: going on with what is trained so far")
    return losses


def predict(model, cos, batch_size=BATCH_SIZE, verbose=VERBOSE):
    """Returns predictions, (samples, 1), going on from the present states; raises as `stack_batches`."""
    return model.predict(stack_batches(model, batch_size, cos), verbose=verbose)


def plot_results(expected_output, predicted_output, path=PLOT_FILE):
    """Saves a PNG of two series, (samples, 1) each, and shows it if there is a screen; raises OSError."""
    fig, axes = plt.subplots(2, 1, sharex=True, sharey=True, layout="constrained")
    for ax, title, series in zip(axes, ("Expected", "Predicted"), (expected_output, predicted_output)):
        ax.plot(series)
        ax.set(title=title, xlabel="sample", ylabel="value")
    try:
        fig.savefig(path, format="png")
    finally:
        if plt.get_backend().lower() != "agg":  # what matplotlib takes where there is no screen
            plt.show()


def main():
    """Runs the program as the constants at the top of this file say."""
    for name, path in {"PLOT_FILE": PLOT_FILE, "MODEL_FILE": MODEL_FILE}.items():
        folder = os.path.dirname(path) or "."
        if os.path.isdir(path or ".") or not os.access(path if os.path.exists(path) else folder, os.W_OK):
            raise OSError(f"{name} = {path!r}: must be a file that can be written, in a folder that exists")
    if SEED is not None:
        check_whole(0, SEED=SEED)
        keras.utils.set_random_seed(SEED)

    print("Generating Data")
    cos = gen_cosine_amp(AMP, PERIOD, X0, XN, STEP, K, TSTEPS)
    print("Input shape:", cos.shape)
    expected_output = gen_expected_output(cos, LAHEAD)
    print("Output shape")
    print(expected_output.shape)

    model = build_model(BATCH_SIZE, TSTEPS, UNITS, STATEFUL)
    model.summary()
    try:
        keras.utils.plot_model(model, MODEL_FILE, show_shapes=True)
    except ImportError as error:
        print("No picture of the model:", error)

    print("Training")
    train(model, cos, expected_output, BATCH_SIZE, EPOCHS, VERBOSE)

    print("Predicting")
    predicted_output = predict(model, cos, BATCH_SIZE, VERBOSE)
    print("MSE of the prediction:", np.mean((predicted_output - expected_output) ** 2))
    print('MSE of "no change", the latest value:', np.mean((cos[:, -1] - expected_output) ** 2))

    print("Plotting Results")
    plot_results(expected_output, predicted_output, PLOT_FILE)
    print("Plot:", PLOT_FILE)


if __name__ == "__main__":
    main()
