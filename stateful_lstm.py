"""A stateful LSTM learns a decaying cosine: a Keras 1.2 program of 2017 in today's TensorFlow.

The original is a blog post (Taeyoung Kim, 2017-02-04, "순환 신경망 모델 만들어보기"). Its parts
stand here in its order and under its names. What this program says beyond it has three reasons:
- Keras 3 has other defaults. `build_model` brings back those of Keras 1.2, so that the same seed
  gives the same run. The README measures what each of them does.
- Keras 3 has no `model.reset_states()`, and starting small batches takes most of its time.
  `StatefulSequential` has the method, and `StackedSteps` starts many batches at once.
- Constants can be edited and functions imported, so both are checked. Pictures go to files too.
"""

import contextlib
import io
import math
import numbers
import os
import stat
import sys

# Keras and TensorFlow read these two when they are imported. With "2" TensorFlow gives fewer hints;
# its lines on CUDA, which it still prints where there is no GPU, are no failure.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from matplotlib.backends import BackendFilter, backend_registry

if keras.backend.backend() != "tensorflow":  # imported before, when KERAS_BACKEND said otherwise
    raise ImportError(
        f"Keras runs on {keras.backend.backend()}, this program on TensorFlow: start Python anew, "
        "and import stateful_lstm before keras or set KERAS_BACKEND=tensorflow"
    )

TSTEPS = 1  # time steps in a sample, a window of the series that ends with its value
BATCH_SIZE = 25  # samples in a batch; must divide the number of samples
EPOCHS = 25  # times that the series is trained on
LAHEAD = 1  # values ahead whose mean is to be predicted
UNITS = 50  # units in each of the two LSTM layers
STATEFUL = True  # whether a batch starts from the states in which the batch before it ended
SEED = 1  # starts where Keras 1.2.2 starts after np.random.seed(1); None: anew in every run
AMP = 100  # amplitude of the cosine at x = 0
PERIOD = 1000  # period of the cosine, in x
X0 = 0  # x of the first sample
XN = 50000  # the series has (XN - X0) * STEP samples
STEP = 1  # x from one sample to the next
K = 0.0001  # rate of the exponential decay, per x
STACK = 250  # batches that Python starts at a time; the progress bar moves as often
IN_TERMINAL = hasattr(sys.stdout, "isatty") and sys.stdout.isatty()  # stdout can be None
VERBOSE = 1 if IN_TERMINAL else 2  # Keras's progress: 1 is a bar, 2 a line an epoch, 0 nothing
PLOT_FILE = "stateful_lstm.png"  # picture of the result; its ending says the format; None: no file
MODEL_FILE = "stateful_lstm_model.svg"  # picture of the model, by pydot and Graphviz; None: no file


def main():
    """Runs the program as the constants at the top of this file say."""
    check_constants()
    if SEED is not None:
        keras.utils.set_random_seed(int(SEED))

    print("Generating Data")
    cos = gen_cosine_amp(AMP, PERIOD, X0, XN, STEP, K, TSTEPS)
    print("Input shape:", cos.shape)
    expected_output = gen_expected_output(cos, LAHEAD)
    print("Output shape")
    print(expected_output.shape)

    model = build_model(BATCH_SIZE, TSTEPS, UNITS, STATEFUL)
    model.summary()
    draw_model(model, MODEL_FILE)

    print("Training")
    train(model, cos, expected_output, EPOCHS, VERBOSE, STACK)

    print("Predicting")
    predicted_output = predict(model, cos, VERBOSE, STACK)
    print_mse(cos, expected_output, predicted_output, LAHEAD)

    print("Plotting Results")
    plot_results(expected_output, predicted_output, PLOT_FILE)


# ---------------------------------------- The series ----------------------------------------


def gen_cosine_amp(amp=AMP, period=PERIOD, x0=X0, xn=XN, step=STEP, k=K, tsteps=TSTEPS):
    """Generates a decaying cosine, amp * cos(2 pi x / period) * exp(-k x), (samples, tsteps, 1).

    As in the post, which calls it an absolute cosine, there are (xn - x0) * step samples. Sample i
    has the `tsteps` values up to x = x0 + i * step, the oldest first. Raises ValueError for a wrong
    setting, alone or with the others.
    """
    samples = check_series(amp=amp, period=period, x0=x0, xn=xn, step=step, k=k, tsteps=tsteps)
    x0, step, tsteps = int(x0), int(step), int(tsteps)  # NumPy's could overflow
    latest = x0 + step * np.arange(samples)  # x of each sample's latest value, (samples,)
    back = step * np.arange(tsteps - 1, -1, -1)  # from there to each of its values, (tsteps,)
    x = latest[:, np.newaxis] - back  # (samples, tsteps)
    cos = float(amp) * np.cos(2 * np.pi * x / float(period)) * np.exp(-float(k) * x)
    return cos[:, :, np.newaxis]


def gen_expected_output(cos, lahead=LAHEAD):
    """Returns the mean of the `lahead` values after each sample, (samples, 1).

    Takes (samples, tsteps, 1). The last `lahead` samples get 0, as in the post. Raises ValueError
    for a wrong `lahead` and for an array of another shape.
    """
    check_counts(lahead=lahead)
    if np.ndim(cos) != 3:
        raise ValueError(f"cos has the shape {np.shape(cos)}: must be (samples, tsteps, 1)")
    check_lahead(lahead, len(cos), lahead=lahead)
    lahead = int(lahead)  # NumPy's could overflow
    values = cos[:, -1, 0]
    means = np.convolve(values[1:], np.ones(lahead), "valid") / lahead
    expected_output = np.zeros((len(cos), 1))
    expected_output[:-lahead, 0] = means
    return expected_output


# ---------------------------------- Many batches at a time ----------------------------------

# This section changes the time that a run takes and nothing else: at a first reading, skip it.
# Keras starts a program from Python for every batch, and with small batches these starts take most
# of the time. A stack is a number of batches in one array. One start runs them all, one after the
# other, in a loop that XLA compiles together with what Keras does for a batch.


class StackedSteps:
    """The `train_step`, `test_step` and `predict_step` of a Sequential that also takes stacks.

    Name it before `keras.Sequential` among the bases of a class. A stack comes from `stack_batches`
    and is a dict; whatever else `fit`, `evaluate` and `predict` are given goes to Keras's own.
    """

    def train_step(self, data):
        return self.run_and_measure(super().train_step, data)

    def test_step(self, data):
        return self.run_and_measure(super().test_step, data)

    def predict_step(self, data):
        if not isinstance(data, dict):
            return super().predict_step(data)
        outputs = run_in_order(super().predict_step, data["cos"], self.outputs[0].dtype)
        sample_shape = tf.shape(outputs)[2:]
        return tf.reshape(outputs, tf.concat([[-1], sample_shape], axis=0))

    def run_and_measure(self, keras_step, data):
        """Runs Keras's step on a batch or on each batch of a stack; returns the metrics so far."""
        if not isinstance(data, dict):
            return keras_step(data)

        def run(batch):
            keras_step(batch)
            return True  # the loop wants a value; what the step changes are weights and metrics

        run_in_order(run, (data["cos"], data["expected_output"]), tf.bool)
        return self.get_metrics_result()


def run_in_order(function, batches, dtype):
    """Runs a function on one batch after the other; returns its outputs, of a dtype, stacked."""
    # One at a time, as each batch starts from the weights and states that the one before it left.
    return tf.map_fn(function, batches, parallel_iterations=1, fn_output_signature=dtype)


def stack_batches(model, cos, expected_output=None, stack=STACK):
    """Returns a `tf.data.Dataset` for `fit` and `evaluate` or, of `cos` alone, for `predict`.

    Takes (samples, tsteps, 1) and (samples, 1). Integers to be predicted, as a sparse loss has
    them, may have 1 or nothing where the output of the model has its last axis. Each element is a
    dict of up to `stack` batches under the arrays' names. Raises ValueError for other shapes, for
    values of `cos` that are not finite, and for a wrong `stack`.
    """
    batch_size, *sample_shape = model.input_shape
    check_counts(stack=stack, batch_size=batch_size)
    samples = len(np.atleast_1d(cos))
    check_shape("cos", cos, (samples, *sample_shape))
    check_batch_size(batch_size, samples, batch_size=batch_size)
    if not np.isfinite(cos).all():  # the states would carry one such value through all that follows
        raise ValueError("cos has values that are not finite: must be finite numbers")
    batches = {"cos": to_batches(cos, batch_size)}
    if expected_output is not None:
        shape = (samples, *model.output_shape[1:])
        shapes = [shape]
        if np.issubdtype(np.asarray(expected_output).dtype, np.integer):
            shapes += [(*shape[:-1], 1), shape[:-1]]
        check_shape("expected_output", expected_output, *shapes)
        batches["expected_output"] = to_batches(expected_output, batch_size)
    options = tf.data.Options()
    options.autotune.enabled = False  # it has nothing to tune here, but can take 0.1 s to stop
    return tf.data.Dataset.from_tensor_slices(batches).batch(stack).with_options(options)


def to_batches(array, batch_size):
    """Returns an array, (samples, ...), cut into batches, (batches, batch_size, ...)."""
    batches = np.reshape(array, (-1, batch_size, *np.shape(array)[1:]))
    if np.issubdtype(batches.dtype, np.integer):
        return batches  # as floats, large classes and tokens would not all stay apart
    return batches.astype(keras.config.floatx())


# ---------------------------------------- The model ----------------------------------------


def build_model(batch_size=BATCH_SIZE, tsteps=TSTEPS, units=UNITS, stateful=STATEFUL):
    """Returns a compiled model, (batch_size, tsteps, 1) to (batch_size, 1).

    Raises ValueError for a wrong setting.
    """
    check_counts(batch_size=batch_size, tsteps=tsteps, units=units)
    check_bools(stateful=stateful)
    batch_size, tsteps, units = int(batch_size), int(tsteps), int(units)  # Keras wants Python's
    keras1 = dict(  # where Keras 3 would start or compute otherwise
        recurrent_activation=keras1_hard_sigmoid,
        recurrent_initializer="glorot_uniform",
    )
    unroll = tsteps == 1  # faster, but many time steps would take minutes to compile
    model = StatefulSequential([
        keras.Input(batch_shape=(batch_size, tsteps, 1)),
        keras.layers.LSTM(units, return_sequences=True, stateful=stateful, unroll=unroll, **keras1),
        keras.layers.LSTM(units, stateful=stateful, unroll=unroll, **keras1),
        keras.layers.Dense(1),
    ])
    initialize_weights(model)
    # Keras 1.2 divides by sqrt(v) + 1e-8, Keras 3 by sqrt(v + epsilon): 1e-16 is 1e-8 squared.
    rmsprop = keras.optimizers.RMSprop(epsilon=1e-16)
    model.compile(loss="mse", optimizer=rmsprop, jit_compile=True)
    return model


@keras.saving.register_keras_serializable("stateful_lstm")
def keras1_hard_sigmoid(x):
    """The function of the gates in Keras 1.2's LSTM. Keras 3's `hard_sigmoid` has slope 1/6."""
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def initialize_weights(model):
    """Starts LSTM and Dense kernels as Keras 1.2.2 does; returns the paths of all it leaves.

    A kernel that is to start Glorot uniform is taken from NumPy's global generator, gate by gate
    and in the order of Keras 1.2.2 (recurrent.py, initializations.py), so that `np.random.seed`
    starts the model where it starts there. Layers inside other layers have their turn too.

    Left as Keras 3 starts them are kernels with another initializer (an LSTM's recurrent kernel is
    orthogonal unless `recurrent_initializer="glorot_uniform"`) or with a seed of their own, and all
    layers of other classes. Keras 1.2.2 took numbers for these too: after one that is left, all
    others start otherwise than there. Raises ValueError for a model without weights.
    """
    if not model.built:
        raise ValueError("the model has no weights yet: begin its list of layers with keras.Input")
    drawn = []
    for layer in get_layers(model):
        if isinstance(layer, keras.layers.LSTMCell):  # an LSTM layer has its weights in a cell
            kernels, gates = [layer.kernel, layer.recurrent_kernel], 4
            initializers = [layer.kernel_initializer, layer.recurrent_initializer]
        elif isinstance(layer, keras.layers.Dense):
            kernels, gates = [layer.kernel], 1
            initializers = [layer.kernel_initializer]
        else:
            continue
        pairs = zip(kernels, initializers)
        kernels = [kernel for kernel, initializer in pairs if is_glorot_uniform(initializer)]
        initialize_gates(kernels, gates)
        drawn += [kernel.path for kernel in kernels]
    matrices = [weight.path for weight in model.weights if len(weight.shape) > 1]
    return [path for path in matrices if path not in drawn]


def initialize_gates(kernels, gates):
    """Starts the first gate of each kernel, then the second of each, and so on."""
    blocks = []
    for _ in range(gates):
        blocks.append([sample_glorot_uniform(kernel, gates) for kernel in kernels])
    for kernel, kernel_blocks in zip(kernels, zip(*blocks)):
        kernel.assign(np.hstack(kernel_blocks))


def is_glorot_uniform(initializer):
    """Returns whether an initializer is Glorot uniform and has no seed of its own."""
    is_glorot = isinstance(initializer, keras.initializers.GlorotUniform)
    return is_glorot and initializer.get_config()["seed"] is None


def sample_glorot_uniform(kernel, gates):
    """Returns one gate of a kernel, (rows, columns / gates), from NumPy's global generator."""
    rows, columns = kernel.shape[0], kernel.shape[1] // gates
    limit = np.sqrt(6 / (rows + columns))
    return np.random.uniform(-limit, limit, (rows, columns))


@keras.saving.register_keras_serializable("stateful_lstm")
class StatefulSequential(StackedSteps, keras.Sequential):
    """A Sequential with the `reset_states` of Keras 1.2, which Keras 3 has for single layers only.

    For speed it takes stacks too, as `StackedSteps` says.
    """

    def reset_states(self):
        """Sets the states of all layers to 0, those inside other layers too."""
        for layer in get_layers(self):
            if getattr(layer, "stateful", False):
                layer.reset_state()


def get_layers(model):
    """Returns all layers of a model, in order, each once, those inside other layers too."""
    layers = {}  # a dict keeps its order
    for layer in model._layers:  # private, but Keras has no public way to the layers in a wrapper
        layers[layer] = True
        layers.update(dict.fromkeys(get_layers(layer)))
    return list(layers)


# ---------------------------------- Training and predicting ----------------------------------


def train(model, cos, expected_output, epochs=EPOCHS, verbose=VERBOSE, stack=STACK):
    """Trains in order from reset states, resets them after each epoch, and returns the losses.

    Takes (samples, tsteps, 1) and (samples, 1); returns a float for each epoch. Ctrl-C ends it
    early. Raises ValueError for wrong arguments, and FloatingPointError for a loss or weights that
    are not finite. Whatever ends it, the states are reset and the weights finite: those from before
    the epoch, if need be.
    """
    check_counts(epochs=epochs)
    check_verbose(verbose=verbose)
    require(expected_output is not None, "be an array", expected_output=expected_output)
    batches = stack_batches(model, cos, expected_output, stack)
    restore_on_nan = RestoreOnNaN()
    losses = []
    model.reset_states()
    try:
        for i in range(epochs):
            print("Epoch", i, "/", epochs)
            history = model.fit(
                batches, epochs=1, shuffle=False, verbose=verbose, callbacks=[restore_on_nan]
            )
            model.reset_states()
            losses += history.history["loss"]
    except KeyboardInterrupt:
        print(f"\nInterrupted in epoch {i}: going on with what is trained so far")
        if restore_on_nan.restore_unless_finite():
            print("but without that epoch, as its loss is not finite")
    finally:
        restore_on_nan.restore_unless_finite()
        model.reset_states()
    return losses


class RestoreOnNaN(keras.callbacks.Callback):
    """Takes an epoch back whose loss or weights are not finite numbers, and ends the training.

    All that the epoch changed but the states is then as before it: weights, seeds, the optimizer.
    For `fit`, where Keras's TerminateOnNaN would end the training too but leave the model with NaN.
    An epoch that ends before its end, by Ctrl-C or an error, is seen to by `restore_unless_finite`.
    Raises FloatingPointError.
    """

    def __init__(self):
        super().__init__()
        self.epoch = -1  # counted over all calls of `fit`, as each call of the post's is one epoch
        self.variables, self.before = [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch += 1
        optimizer = self.model.optimizer
        if not optimizer.built:  # else the first epoch of all could not be taken back
            optimizer.build(self.model.trainable_variables)
        self.variables = self.model.variables + optimizer.variables
        self.before = [variable.numpy() for variable in self.variables]

    def on_epoch_end(self, epoch, logs=None):
        loss = logs["loss"]
        if self.restore_unless_finite(loss):
            message = f"the loss of epoch {self.epoch} is {loss}, or a weight is not finite"
            raise FloatingPointError(f"{message}: is the series too large, or not finite itself?")

    def restore_unless_finite(self, loss=None):
        """Takes the latest epoch back if its loss or a weight is not finite; returns whether."""
        if not self.before:  # no epoch has begun
            return False
        if loss is None:
            loss = self.model.metrics[0].result()  # of the epoch so far
        if all(np.isfinite(value).all() for value in [loss, *self.model.get_weights()]):
            return False
        for variable, value in zip(self.variables, self.before):
            variable.assign(value)
        return True


def predict(model, cos, verbose=VERBOSE, stack=STACK):
    """Returns the predictions, (samples, 1), for (samples, tsteps, 1).

    It goes on from the present states. Raises ValueError for wrong arguments.
    """
    check_verbose(verbose=verbose)
    return model.predict(stack_batches(model, cos, stack=stack), verbose=verbose)


def print_mse(cos, expected_output, predicted_output, lahead=LAHEAD):
    """Prints the MSE of the predictions and that of "no change", which takes the latest value.

    Takes (samples, tsteps, 1), (samples, 1) and (samples, 1). Leaves out the last `lahead` samples,
    for which 0 is expected only because they have no value ahead. Raises ValueError for a wrong
    `lahead` and for arrays of other shapes, which NumPy would broadcast.
    """
    check_counts(lahead=lahead)
    check_lahead(lahead, len(cos), lahead=lahead)
    latest = cos[:, -1]
    check_shape("predicted_output", predicted_output, np.shape(expected_output))
    check_shape("cos[:, -1]", latest, np.shape(expected_output))
    known = slice(0, len(cos) - int(lahead))
    expected = expected_output[known]
    print("MSE of the prediction:", np.mean((predicted_output[known] - expected) ** 2))
    print('MSE of "no change", the latest value:', np.mean((latest[known] - expected) ** 2))
    print(f"(both without the last {lahead} of {len(cos)} samples, with no value ahead)")


# ---------------------------------------- The pictures ----------------------------------------


def draw_model(model, path=MODEL_FILE):
    """Draws the layers of a model and their shapes, or says in a line why it cannot."""
    if path is None:
        return
    try:
        import_pydot()
        dot = keras.utils.model_to_dot(model, show_shapes=True)
        with contextlib.redirect_stdout(None):  # pydot prints what a failing Graphviz says
            picture = dot.create(format=get_ending(path))
        if not picture:  # under `python -O`, which takes pydot's assertion away
            raise OSError("Graphviz drew nothing")
    except (ImportError, OSError, AssertionError) as error:  # pydot asserts that Graphviz succeeds
        print(f"No picture of the model: {error} (`pip install pydot`, and install graphviz)")
        return
    try:
        check_regular(path)
        with open(path, "wb") as file:
            file.write(picture)
    except (OSError, ValueError) as error:  # ValueError: of a name with a null character
        print(f"No picture of the model: MODEL_FILE = {path!r} cannot be written ({error})")


def import_pydot():
    """Returns pydot or raises ImportError. Its forks, which Keras takes too, raise other errors."""
    import pydot

    return pydot


def get_ending(path):
    """Returns what a picture's name ends with, which says its format: "png" for "plot.PNG"."""
    return os.path.splitext(path)[1][1:].lower()


def plot_results(expected_output, predicted_output, path=PLOT_FILE):
    """Saves a picture of two series, (samples, 1) each, and shows it if there is a screen.

    Raises OSError if the file cannot be written, after the picture was shown.
    """
    fig, axes = plt.subplots(2, 1, sharex=True, sharey=True, layout="constrained")
    axes[0].plot(expected_output)
    axes[0].set(title="Expected", xlabel="sample", ylabel="value")
    axes[1].plot(predicted_output)
    axes[1].set(title="Predicted", xlabel="sample", ylabel="value")
    failure = None
    try:
        if path is not None:
            check_regular(path)
            fig.savefig(path)
            print("Plot:", path)
    except Exception as error:  # and not KeyboardInterrupt, after which no window is to open
        failure = error
    # Where there is no screen, matplotlib takes a backend that shows nothing.
    if plt.get_backend().lower() in backend_registry.list_builtin(BackendFilter.NON_INTERACTIVE):
        plt.close(fig)
    else:
        plt.show(block=True)
    if failure is not None:
        raise failure


# ---------------------------------------- The checks ----------------------------------------

# They take settings under the names that an error is to show: those of constants or of arguments.


def check_constants():
    """Raises an error for a wrong constant, before anything is printed, computed or written.

    ValueError for a wrong setting, OSError for a PLOT_FILE that cannot be written, ImportError for
    a matplotlib backend that cannot run here.
    """
    check_counts(BATCH_SIZE=BATCH_SIZE, EPOCHS=EPOCHS, LAHEAD=LAHEAD, UNITS=UNITS, STACK=STACK)
    check_bools(STATEFUL=STATEFUL)
    right = SEED is None or is_whole(SEED) and 0 <= SEED < 2**32
    require(right, f"be a whole number of at least 0, below {2**32}, or None", SEED=SEED)
    check_verbose(VERBOSE=VERBOSE)
    samples = check_series(AMP=AMP, PERIOD=PERIOD, X0=X0, XN=XN, STEP=STEP, K=K, TSTEPS=TSTEPS)
    series = dict(XN=XN, X0=X0, STEP=STEP)
    check_lahead(LAHEAD, samples, LAHEAD=LAHEAD, **series)
    check_batch_size(BATCH_SIZE, samples, BATCH_SIZE=BATCH_SIZE, **series)
    plt.switch_backend(plt.get_backend())  # else a backend that cannot run would fail at the end
    if PLOT_FILE is not None:
        check_plot_file(PLOT_FILE)
    if MODEL_FILE is not None:
        check_model_file(MODEL_FILE)


def check_counts(**settings):
    """Raises ValueError for a setting that is not a whole number of at least 1."""
    for name, value in settings.items():
        right = is_whole(value) and 1 <= value < 2**63  # what NumPy can hold
        require(right, "be a whole number of at least 1, below 2**63", **{name: value})


def check_whole_numbers(**settings):
    """Raises ValueError for a setting that is not a whole number."""
    for name, value in settings.items():
        right = is_whole(value) and -(2**63) <= value < 2**63  # what NumPy can hold
        require(right, "be a whole number of at least -2**63, below 2**63", **{name: value})


def check_real_numbers(**settings):
    """Raises ValueError for a setting that is not a finite real number."""
    for name, value in settings.items():
        require(is_real(value), "be a real number", **{name: value})


def check_bools(**settings):
    """Raises ValueError for a setting that is not True or False."""
    for name, value in settings.items():
        require(isinstance(value, bool), "be True or False", **{name: value})


def check_verbose(**settings):
    """Raises ValueError for a setting that is none of Keras's kinds of progress."""
    for name, value in settings.items():
        require(value in (0, 1, 2, "auto"), 'be 0, 1, 2 or "auto"', **{name: value})


def check_series(**settings):
    """Returns the number of samples; raises ValueError for wrong settings of a series.

    These are the arguments of `gen_cosine_amp`, in its order, or the constants of these names.
    """
    amp, period, x0, xn, step, k, tsteps = settings  # the names, which are what a dict gives

    def pick(*names):
        return {name: settings[name] for name in names}

    check_counts(**pick(step, tsteps))
    check_whole_numbers(**pick(x0, xn))
    check_real_numbers(**pick(amp, period, k))
    require(settings[xn] > settings[x0], f"be above {x0}", **pick(xn, x0))
    start, end, by, window = [int(value) for value in pick(x0, xn, step, tsteps).values()]
    samples = (end - start) * by
    first, last = start - (window - 1) * by, start + (samples - 1) * by  # x of all values
    # Beyond 2**53 a float, which the cosine is computed of, no longer tells x from x + 1.
    within = -(2**53) <= first and last <= 2**53
    must = f"keep x within 2**53 of 0, not run from {first} to {last}"
    require(within, must, **pick(x0, xn, step, tsteps))
    x = np.array([first, last], float)  # at one of them the values are largest
    height, length, rate = [float(value) for value in pick(amp, period, k).values()]
    with np.errstate(all="ignore"):
        largest = [2 * np.pi * x / length, height * np.exp(-rate * x)]
    require(np.isfinite(largest).all(), "give finite values", **pick(amp, period, k))
    return samples


def check_lahead(lahead, samples, /, **settings):
    """Raises ValueError, with the settings, unless there are more samples than values ahead."""
    require(lahead < samples, f"be below the number of samples, {samples}", **settings)


def check_batch_size(size, samples, /, **settings):
    """Raises ValueError, with the settings and what would do, unless a size divides the samples."""
    require(samples > 0, "divide the number of samples, but there are none", **settings)
    rest = samples % size
    if rest == 0:
        return
    small = [n for n in range(1, math.isqrt(samples) + 1) if samples % n == 0]
    divisors = small + [samples // n for n in small]
    larger = [n for n in divisors if n > size]
    below = max(n for n in divisors if n < size)
    choice = f"{below} would"
    if larger:
        choice = f"{below} or {min(larger)} would (or leave out {rest} samples)"
    require(False, f"divide the number of samples, {samples}, as {choice}", **settings)


def check_shape(name, array, *shapes):
    """Raises ValueError, with the name, for an array of none of the shapes. None is any length."""
    have = np.shape(array)
    for shape in shapes:
        lengths = zip(have, shape)
        if len(have) == len(shape) and all(want in (None, length) for length, want in lengths):
            return
    choice = " or ".join(str(shape) for shape in shapes)
    raise ValueError(f"{name} has the shape {have}: must be {choice}")


def check_plot_file(path):
    """Tries to write PLOT_FILE; leaves an old picture as it is, and no new one.

    Raises OSError for a file that cannot be written, and ValueError for a wrong name or a format
    that cannot be written here, like .pgf without LaTeX.
    """
    if is_path(path):
        try:
            try_to_write(path)
        except (OSError, ValueError) as error:  # ValueError: of a name with a null character
            wrong = f"PLOT_FILE = {path!r}: must be a file that can be written"
            raise OSError(f"{wrong} ({error})") from error
    figure = plt.Figure(figsize=(1, 1))
    figure.text(0, 0, "trial")
    check_ending(figure.canvas.get_supported_filetypes(), PLOT_FILE=path)
    try:
        figure.savefig(io.BytesIO(), format=get_ending(path))
    except Exception as error:  # each format has errors of its own
        wrong = f"PLOT_FILE = {path!r}: must be of a format that can be written here"
        raise ValueError(f"{wrong} ({error})") from error


def try_to_write(path):
    """Raises OSError for a path that cannot be written. Leaves an old file as it is, and no new."""
    path = os.path.realpath(path)  # so that not a link is removed, but what it led to
    try:
        open(path, "xb").close()
    except FileExistsError:
        check_regular(path)
        with contextlib.suppress(FileNotFoundError):  # another process tried it too, and removed it
            open(path, "r+b").close()
    else:
        os.remove(path)


def check_regular(path):
    """Raises OSError for what exists and is no regular file: a FIFO would wait for a reader."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError(f"{path} is no regular file")


def check_model_file(path):
    """Raises ValueError for a wrong name. A file that cannot be written costs a line, later."""
    try:
        endings = import_pydot().Dot().formats
    except ImportError:
        return  # as then there will be no picture
    check_ending(endings, MODEL_FILE=path)
    if PLOT_FILE is None or "\0" in str(path):  # a null character is seen to later, too
        return
    if os.path.realpath(PLOT_FILE) == os.path.realpath(path):
        both = f"{PLOT_FILE!r} and {path!r}"
        raise ValueError(f"PLOT_FILE and MODEL_FILE must be two files, and not {both}")


def check_ending(endings, **settings):
    """Raises ValueError for a setting that is no path with one of the endings."""
    choice = ", ".join(f".{ending}" for ending in sorted(endings))
    for name, path in settings.items():
        right = is_path(path) and get_ending(path) in endings
        require(right, f"be None or a file that ends with {choice}", **{name: path})


def require(right, must, **settings):
    """Raises ValueError, with the settings' names and values and what they must, unless right."""
    if right:
        return
    first, *others = [f"{name} = {value!r}" for name, value in settings.items()]
    if others:
        first = f"{first} with {', '.join(others)}"
    raise ValueError(f"{first}: must {must}")


def is_whole(value):
    """Returns whether a value is a whole number, Python's or NumPy's."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_real(value):
    """Returns whether a value is a finite real number, Python's or NumPy's."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number too large for a float
        return False


def is_path(value):
    """Returns whether a value can be the name of a file."""
    return isinstance(value, (str, os.PathLike)) and value != ""


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\nInterrupted before the end")
        sys.exit(130)
