"""A stateful LSTM learns a decaying cosine: a Keras 1.2 program of 2017 in today's TensorFlow.

The original is a blog post (Taeyoung Kim, 2017-02-04, "순환 신경망 모델 만들어보기"). Its parts stand
here in its order and under its names. Where this program says more, it has one of these reasons:
- Keras 3 has other defaults: `keras1_hard_sigmoid`, `glorot_per_gate` and RMSprop's epsilon restore the old.
- Keras 3 has no `model.reset_states()` and starts small batches slowly. `StatefulSequential` mends both.
- Constants can be edited and functions imported, so both are checked. Pictures go to files too.
"""

import contextlib
import os
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"  # read, as the next, when Keras and TensorFlow are imported
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

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
PLOT_FILE = "stateful_lstm.png"  # picture of the result; its ending says the format; None: shown only
MODEL_FILE = "stateful_lstm_model.svg"  # picture of the model, with pydot and Graphviz; None: not drawn


def check(right, must, **settings):
    """Raises a ValueError that names the settings, their values and what they must, unless they are right."""
    if not right:
        raise ValueError(", ".join(f"{name} = {value!r}" for name, value in settings.items()) + f": must {must}")


def check_numbers(kind, least=-np.inf, below=np.inf, **settings):
    """Raises ValueError unless every setting is a number of the kind, "whole" or "real", within the limits."""
    limits = f" of at least {least}" * (least > -np.inf) + f", below {below}" * (below < np.inf)
    types = (int, np.integer) if kind == "whole" else (int, np.integer, float, np.floating)
    for name, value in settings.items():
        right = isinstance(value, types) and not isinstance(value, bool) and least <= value < below
        check(right, f"be a {kind} number{limits}", **{name: value})


def check_run(samples, batch_size, stack=STACK, epochs=1, verbose=0):
    """Raises ValueError unless batch_size divides samples, and all else is right."""
    check_numbers("whole", 1, batch_size=batch_size, stack=stack, epochs=epochs)
    check(verbose in (0, 1, 2, "auto"), 'be 0, 1, 2 or "auto"', verbose=verbose)
    below = next((n for n in range(min(batch_size - 1, samples), 0, -1) if samples % n == 0), "none")
    above = next((n for n in range(batch_size + 1, samples + 1) if samples % n == 0), "none")
    must = f"divide the number of samples, {samples}, as {below} or {above} would"
    check(samples and samples % batch_size == 0, must, batch_size=batch_size)


def gen_cosine_amp(amp=AMP, period=PERIOD, x0=X0, xn=XN, step=STEP, k=K, tsteps=TSTEPS):
    """Generates a decaying cosine, amp * cos(2 pi x / period) * exp(-k x), as (samples, tsteps, 1).

    As in the post, which calls it an absolute cosine, there are (xn - x0) * step samples. Sample i has the
    `tsteps` values up to x0 + i * step, the oldest first. ValueError for a bad setting or infinite values.
    """
    check_numbers("whole", x0=x0)
    check_numbers("whole", x0 + 1, xn=xn)
    check_numbers("whole", 1, step=step, tsteps=tsteps)
    check_numbers("real", amp=amp, period=period, k=k)
    x = x0 + step * np.add.outer(np.arange((xn - x0) * step), np.arange(1 - tsteps, 1))[:, :, np.newaxis]
    cos = amp * np.cos(2 * np.pi * x / period) * np.exp(-k * x)
    check(np.isfinite(cos).all(), "give finite values", amp=amp, period=period, k=k)
    return cos


def gen_expected_output(cos, lahead=LAHEAD):
    """Returns the mean of the `lahead` values after each sample, (samples, 1). ValueError for a bad lahead."""
    check_numbers("whole", 1, len(cos), lahead=lahead)
    expected_output = np.convolve(cos[1:, -1, 0], np.ones(lahead), "valid") / lahead
    return np.append(expected_output, np.zeros(lahead))[:, np.newaxis]  # as in the post, 0 at the end


@keras.saving.register_keras_serializable("stateful_lstm")
def keras1_hard_sigmoid(x):
    """The gates of Keras 1.2's LSTM (its `hard_sigmoid`). Keras 3's `hard_sigmoid` has slope 1/6."""
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


@keras.saving.register_keras_serializable("stateful_lstm")
def glorot_per_gate(shape, dtype=None):
    """Draws an LSTM kernel, (inputs, 4 * units), Glorot uniform per gate, with NumPy (as Keras 1.2.2, recurrent.py)."""
    limit = np.sqrt(6 / (shape[0] + shape[1] // 4))  # Keras 3: for all gates in one, and orthogonal if recurrent
    return np.random.uniform(-limit, limit, shape).astype(dtype)


@keras.saving.register_keras_serializable("stateful_lstm")
class StatefulSequential(keras.Sequential):
    """A Sequential with `reset_states`, whose `fit`, `evaluate` and `predict` also take stacks of batches.

    Keras starts a step from Python for every batch. Given a stack, a dict made by `stack_batches`, the steps
    here run Keras's on its batches in a loop, which XLA compiles with them (`jit_compile`) to one program.
    """

    def run_step(self, step, data):
        """Runs a step on a batch, or on each batch of a stack; returns the first output of each."""
        if not isinstance(data, dict):
            return step(data)
        batches, dtype = tuple(data.values()), keras.config.floatx()
        return tf.map_fn(lambda batch: tf.nest.flatten(step(batch))[0], batches, fn_output_signature=dtype)

    def train_step(self, data):
        self.run_step(super().train_step, data)
        return self.get_metrics_result()

    def test_step(self, data):
        self.run_step(super().test_step, data)
        return self.get_metrics_result()

    def predict_step(self, data):
        return tf.reshape(self.run_step(super().predict_step, data), (-1, *self.output_shape[1:]))

    def reset_states(self):
        """Sets the states of all layers to 0."""
        for layer in self.layers:
            if hasattr(layer, "reset_state"):
                layer.reset_state()


def build_model(batch_size=BATCH_SIZE, tsteps=TSTEPS, units=UNITS, stateful=STATEFUL):
    """Returns a compiled model, (batch_size, tsteps, 1) to (batch_size, 1). ValueError for a bad setting."""
    check_numbers("whole", 1, batch_size=batch_size, tsteps=tsteps, units=units)
    check(isinstance(stateful, bool), "be True or False", stateful=stateful)
    batch_size, tsteps, units = map(int, (batch_size, tsteps, units))  # Keras takes not all of NumPy's
    keras1 = dict(recurrent_activation=keras1_hard_sigmoid, kernel_initializer=glorot_per_gate,
                  recurrent_initializer=glorot_per_gate, unroll=tsteps == 1)  # many steps compile faster in a loop
    model = StatefulSequential([
        keras.Input(batch_shape=(batch_size, tsteps, 1)),
        keras.layers.LSTM(units, return_sequences=True, stateful=stateful, **keras1),
        keras.layers.LSTM(units, stateful=stateful, **keras1),
        keras.layers.Dense(1),
    ])
    # Keras 1.2 divides by sqrt(v) + 1e-8, Keras 3 by sqrt(v + epsilon).
    model.compile(loss="mse", optimizer=keras.optimizers.RMSprop(epsilon=1e-16), jit_compile=True)
    return model


def stack_batches(model, cos, expected_output=None, stack=STACK):
    """Returns a `tf.data.Dataset` of stacks, dicts of up to `stack` batches, for `fit`, `evaluate`, `predict`.

    Takes (samples, tsteps, 1) and, except for `predict`, (samples, 1). ValueError for other shapes or settings.
    """
    check_run(len(cos), model.input_shape[0], stack)
    arrays = {"cos": cos} if expected_output is None else {"cos": cos, "expected_output": expected_output}
    batches = {}
    for (name, array), shape in zip(arrays.items(), (model.input_shape, model.output_shape)):
        if np.shape(array) != (len(cos), *shape[1:]):
            raise ValueError(f"{name} has the shape {np.shape(array)}: must be {(len(cos), *shape[1:])}")
        batches[name] = np.reshape(array, (-1, *shape)).astype(keras.config.floatx())
    options = tf.data.Options()
    options.autotune.enabled = False  # it has nothing to tune here, but can take 0.1 s to stop
    return tf.data.Dataset.from_tensor_slices(batches).batch(stack).with_options(options)


def train(model, cos, expected_output, epochs=EPOCHS, verbose=VERBOSE, stack=STACK):
    """Trains in order, resets the states after each epoch, and returns the losses (floats). Ctrl-C ends it early.

    Raises ValueError, or FloatingPointError for an infinite loss: the model is then as before that epoch, states reset.
    """
    check_run(len(cos), model.input_shape[0], stack, epochs, verbose)
    batches = stack_batches(model, cos, expected_output, stack)
    model.optimizer.build(model.trainable_variables)  # so that also the first epoch can be taken back
    losses = []
    try:
        for i in range(epochs):
            print("Epoch", i, "/", epochs)
            before = [(variable, variable.numpy()) for variable in model.variables + model.optimizer.variables]
            [loss] = model.fit(batches, epochs=1, shuffle=False, verbose=verbose).history["loss"]
            model.reset_states()
            if not np.isfinite(loss):
                for variable, value in before:
                    variable.assign(value)
                raise FloatingPointError(f"the loss of epoch {i} is {loss}: is the series too large?")
            losses.append(loss)
    except KeyboardInterrupt:
        model.reset_states()
        print(f"\nInterrupted in epoch {i}: going on with what is trained so far")
    return losses


def predict(model, cos, verbose=VERBOSE, stack=STACK):
    """Returns predictions, (samples, 1), going on from the present states; raises as `stack_batches`."""
    check_run(len(cos), model.input_shape[0], stack, verbose=verbose)
    return model.predict(stack_batches(model, cos, stack=stack), verbose=verbose)


def plot_results(expected_output, predicted_output, path=PLOT_FILE):
    """Saves a picture of two series, (samples, 1) each, and shows it if there is a screen; raises OSError."""
    fig, axes = plt.subplots(2, 1, sharex=True, sharey=True, layout="constrained")
    for ax, title, series in zip(axes, ("Expected", "Predicted"), (expected_output, predicted_output)):
        ax.plot(series)
        ax.set(title=title, xlabel="sample", ylabel="value")
    try:
        if path is not None:
            fig.savefig(path)
            print("Plot:", path)
    finally:
        if plt.get_backend().lower() != "agg" and sys.exc_info()[0] is not KeyboardInterrupt:
            plt.show(block=True)  # "agg" is what matplotlib takes where there is no screen


def main():
    """Runs the program as the constants at the top of this file say."""
    plt.switch_backend(plt.get_backend())  # one that cannot run here fails now, not after the training
    files = {"PLOT_FILE": (PLOT_FILE, plt.Figure().canvas.get_supported_filetypes())}
    with contextlib.suppress(ImportError):  # without pydot the model is not drawn
        import pydot
        files["MODEL_FILE"] = MODEL_FILE, pydot.Dot().formats
    for name, (path, endings) in files.items():
        here = isinstance(path, (str, os.PathLike)) and (path if os.path.exists(path) else os.path.dirname(path) or ".")
        if here and (os.path.isdir(path) or not os.access(here, os.W_OK)):
            raise OSError(f"{name} = {path!r}: must be a file that can be written, in a folder that exists")
        right = path is None or here and os.path.splitext(path)[1][1:].lower() in endings
        check(right, f"be None or a file that ends with .{', .'.join(sorted(endings))}", **{name: path})
    if SEED is not None:
        check_numbers("whole", 0, 2**32, SEED=SEED)
        keras.utils.set_random_seed(int(SEED))
    print("Generating Data")
    cos = gen_cosine_amp(AMP, PERIOD, X0, XN, STEP, K, TSTEPS)
    print("Input shape:", cos.shape)
    expected_output = gen_expected_output(cos, LAHEAD)
    print("Output shape", expected_output.shape, sep="\n")
    check_run(len(cos), BATCH_SIZE, STACK, EPOCHS, VERBOSE)  # before a file is written
    model = build_model(BATCH_SIZE, TSTEPS, UNITS, STATEFUL)
    model.summary()
    if MODEL_FILE is not None:
        try:
            import pydot  # and none of its forks, which Keras takes too, with exceptions of their own
            with contextlib.redirect_stdout(None):  # pydot prints what a failing Graphviz says, then asserts
                dot = keras.utils.model_to_dot(model, show_shapes=True)
                dot.write(MODEL_FILE, format=os.path.splitext(MODEL_FILE)[1][1:].lower())
        except (ImportError, OSError, AssertionError) as error:
            print(f"No picture of the model: {error} (`pip install pydot`, and install graphviz)")

    print("Training")
    train(model, cos, expected_output, EPOCHS, VERBOSE, STACK)
    print("Predicting")
    predicted_output = predict(model, cos, VERBOSE, STACK)
    print("MSE of the prediction:", np.mean((predicted_output - expected_output) ** 2))
    print('MSE of "no change", the latest value:', np.mean((cos[:, -1] - expected_output) ** 2))
    print("Plotting Results")
    plot_results(expected_output, predicted_output, PLOT_FILE)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\nInterrupted before the end")
        sys.exit(130)
