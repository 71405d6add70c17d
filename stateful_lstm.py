"""A stateful LSTM learns a decaying cosine: a Keras 1.2 program of 2017, ported to Keras 3.

An LSTM layer has a state: numbers that it computes from the values it has read so far. A stateful
layer keeps one state for each row of a batch, and the same row of the next batch continues from it.
The comments in `train` say what that means for this series.

This file generates a series, trains two stateful LSTM layers to predict the next value, prints the
errors and plots the predictions. Run it with `python stateful_lstm.py`; edit the constants below.

The first half follows a blog post (Taeyoung Kim, 2017-02-04, "순환 신경망 모델 만들어보기"), in its
order and with its names. The second half is what the port to Keras 3 adds:
- Keras 1.2 in Keras 3: the activations, the optimizer and the initial weights of Keras 1.2;
- many batches per call: the same computation in less time;
- losses that are not finite: an error, after the weights from before that epoch are restored;
- checks: an error that names a wrong constant before anything is computed.
"""

import math
import os
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"  # must be set before the import of Keras
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # hides some of TensorFlow's messages

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from matplotlib.backends import BackendFilter, backend_registry

TSTEPS = 1  # time steps in a sample; a sample holds the TSTEPS latest values
BATCH_SIZE = 25  # samples in a batch; must divide the number of samples
EPOCHS = 25  # passes through the series in training
LAHEAD = 1  # the target of a sample is the mean of the next LAHEAD values
UNITS = 50  # units in each of the two LSTM layers
STATEFUL = True  # True: a batch starts from the states of the previous one; False: from zeros
SEED = 1  # initial weights of Keras 1.2.2 on Theano after np.random.seed(1); None: random ones
AMP = 100  # amplitude of the cosine at x = 0
PERIOD = 1000  # period of the cosine, in x
X0 = 0  # first x of the series
XN = 50000  # end of the series (excluded) if STEP is 1; samples: (XN - X0) * STEP, as in the post
STEP = 1  # distance in x from one sample to the next
K = 0.0001  # rate of the exponential decay, per x
STEPS_PER_EXECUTION = 250  # batches in one call of the model; progress bars count these calls
VERBOSE = 1 if sys.stdout.isatty() else 2  # Keras's progress: 0 none, 1 a bar, 2 a line per epoch
PLOT_FILE = "stateful_lstm.png"  # plot of the result, overwritten by each run; None: no file
MODEL_FILE = "stateful_lstm_model.svg"  # drawing by pydot and Graphviz; None: no drawing


def main():
    """Runs the program with the constants above."""
    check_constants()
    if SEED is not None:
        keras.utils.set_random_seed(SEED)

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
    train(model, cos, expected_output, EPOCHS, VERBOSE, STEPS_PER_EXECUTION)

    print("Predicting")
    predicted_output = predict(model, cos, VERBOSE, STEPS_PER_EXECUTION)
    print_mse(cos, expected_output, predicted_output, LAHEAD)

    print("Plotting Results")
    plot_results(expected_output, predicted_output, PLOT_FILE)


# ----------------------------------- The program of the post -----------------------------------


def gen_cosine_amp(amp=AMP, period=PERIOD, x0=X0, xn=XN, step=STEP, k=K, tsteps=TSTEPS):
    """Generates a cosine whose amplitude decays exponentially.

    The values are amp * cos(2 pi x / period) * exp(-k x). (The post calls this an absolute cosine,
    but takes no absolute value.) Returns an array of shape (samples, tsteps, 1), with
    (xn - x0) * step samples as in the post. Sample i holds the `tsteps` values that end at
    x = x0 + i * step, the oldest first.
    """
    latest_x = x0 + step * np.arange((xn - x0) * step)  # x of the latest value of each sample
    distance = step * np.arange(tsteps - 1, -1, -1)  # from each value of a sample to the latest
    x = latest_x[:, np.newaxis] - distance  # (samples, tsteps)
    cos = amp * np.cos(2 * np.pi * x / period) * np.exp(-k * x)
    return cos[:, :, np.newaxis]


def gen_expected_output(cos, lahead=LAHEAD):
    """Returns the targets: the mean of the `lahead` values that follow each sample.

    Takes an array of shape (samples, tsteps, 1) and returns one of shape (samples, 1). The last
    `lahead` samples have too few values after them; their target is 0, as in the post.
    """
    values = cos[:, -1, 0]
    next_values = np.lib.stride_tricks.sliding_window_view(values[1:], lahead)
    expected_output = np.zeros((len(cos), 1))
    expected_output[:-lahead, 0] = next_values.mean(axis=1)
    return expected_output


def build_model(batch_size=BATCH_SIZE, tsteps=TSTEPS, units=UNITS, stateful=STATEFUL):
    """Returns the compiled model, which maps (batch_size, tsteps, 1) to (batch_size, 1)."""
    lstm = dict(
        stateful=stateful,  # whether the states are kept between batches, see `train`
        activation=keras1_tanh,  # Keras 1.2's activations, both defined below
        recurrent_activation=keras1_hard_sigmoid,
        recurrent_initializer="glorot_uniform",  # as in Keras 1.2, see `initialize_weights`
        unroll=(tsteps == 1),  # faster for one step; with many steps, compiling takes minutes
    )
    model = StatefulSequential([  # a keras.Sequential with `reset_states`, defined below
        keras.Input(batch_shape=(batch_size, tsteps, 1)),  # fixed size: each row has its own state
        keras.layers.LSTM(units, return_sequences=True, **lstm),  # the next LSTM needs all steps
        keras.layers.LSTM(units, **lstm),
        keras.layers.Dense(1),
    ])
    initialize_weights(model)  # as Keras 1.2 does
    model.compile(loss="mse", optimizer=Keras1RMSprop(), jit_compile=True)  # XLA makes it faster
    return model


def draw_model(model, path=MODEL_FILE):
    """Draws the layers of the model to a file, or prints why it cannot."""
    if path is None:
        return
    try:
        dot = keras.utils.model_to_dot(model, show_shapes=True)
        dot.write(path, format=os.path.splitext(path)[1][1:].lower())
    except (ImportError, OSError, AssertionError) as error:  # AssertionError: Graphviz failed
        reason = str(error).partition("\n")[0]
        print(f"No picture of the model in {path}: {reason} (drawing needs pydot and Graphviz)")


def train(
    model,
    cos,
    expected_output,
    epochs=EPOCHS,
    verbose=VERBOSE,
    steps_per_execution=STEPS_PER_EXECUTION,
):
    """Trains the model and returns the loss of each epoch, a list of floats.

    Takes arrays of shapes (samples, tsteps, 1) and (samples, 1). Ctrl-C ends the training early.
    Raises ValueError for arrays that do not fit the model (see `stack_batches`), and
    FloatingPointError if the loss or a weight is not finite after an epoch.
    """
    # This computes what `fit(cos, expected_output, batch_size=25, shuffle=False)` does, but with
    # 250 batches per call, which is faster: see "Many batches per call".
    stacks = stack_batches(model, cos, expected_output, steps_per_execution)
    losses = []
    model.reset_states()  # an earlier prediction may have left states
    try:
        for i in range(epochs):
            print("Epoch", i, "/", epochs)
            # In a stateful layer, row j of a batch starts from the state in which row j of the
            # previous batch ended. So with batches of 25, each row reads every 25th sample:
            #     row  0:   0 -> 25 -> 50 -> ... -> 49975
            #     row  1:   1 -> 26 -> 51 -> ... -> 49976
            #     row 24:  24 -> 49 -> 74 -> ... -> 49999
            # The target is the very next value, though: row 0 reads sample 0, must predict
            # sample 1, and reads sample 25 next. Nothing is shuffled: otherwise a row would
            # continue from the state of an unrelated sample.
            history = model.fit(
                stacks,
                epochs=1,  # so that the states can be reset after each epoch
                shuffle=False,  # Keras does not shuffle a `tf.data.Dataset` anyway, but would warn
                verbose=verbose,
                callbacks=[RestoreOnNaN()],  # ends the training if the loss is NaN or infinite
            )
            # The states now belong to the end of the series, but the next epoch starts at its
            # beginning: set them to zero. (Keras's examples/lstm_stateful.py does so, too.)
            model.reset_states()
            losses += history.history["loss"]
    except KeyboardInterrupt:
        print(f"\nInterrupted in epoch {i}: going on with what is trained so far")
    return losses


def predict(model, cos, verbose=VERBOSE, steps_per_execution=STEPS_PER_EXECUTION):
    """Returns the predictions, (samples, 1), for an array of shape (samples, tsteps, 1).

    Starts from zero states, as `train` does; afterwards the layers hold the states of the last
    batch. To continue from the current states, call `model.predict(stack_batches(model, cos))`.
    Raises ValueError for an array that does not fit the model (see `stack_batches`).
    """
    stacks = stack_batches(model, cos, steps_per_execution=steps_per_execution)
    model.reset_states()
    return model.predict(stacks, verbose=verbose)


def print_mse(cos, expected_output, predicted_output, lahead=LAHEAD):
    """Prints the mean squared errors (MSE) of the predictions and of "no change".

    "No change" predicts the latest value of each sample; with the constants above it is far better
    than the network, as neighbouring values are almost equal. Both leave out the last `lahead`
    samples, whose targets are not values of the series. Takes arrays of shapes
    (samples, tsteps, 1), (samples, 1) and (samples, 1), and raises ValueError for targets or
    predictions of another shape, which NumPy would broadcast.
    """
    arrays = {"expected_output": expected_output, "predicted_output": predicted_output}
    for name, array in arrays.items():
        if np.shape(array) != (len(cos), 1):
            raise ValueError(f"{name} has the shape {np.shape(array)}: must be {(len(cos), 1)}")
    expected = expected_output[:-lahead]
    mse = np.mean((predicted_output[:-lahead] - expected) ** 2)
    mse_of_no_change = np.mean((cos[:-lahead, -1, :1] - expected) ** 2)
    print("MSE of the prediction:", mse)
    print('MSE of "no change", the latest value:', mse_of_no_change)
    print(f"(both without the last {lahead} of {len(cos)} samples, with no value ahead)")


def plot_results(expected_output, predicted_output, path=PLOT_FILE):
    """Plots two series of shape (samples, 1) to a file and, where there is a screen, in a window.

    The ending of the file's name gives its format. Raises OSError if it cannot be written.
    """
    fig, axes = plt.subplots(2, 1, sharex=True, sharey=True, layout="constrained")
    axes[0].plot(expected_output)
    axes[0].set(title="Expected", xlabel="sample", ylabel="value")
    axes[1].plot(predicted_output)
    axes[1].set(title="Predicted", xlabel="sample", ylabel="value")
    if path is not None:
        fig.savefig(path)
        print("Plot:", path)
    # Without a screen, matplotlib chooses a backend that cannot show a window.
    if plt.get_backend().lower() in backend_registry.list_builtin(BackendFilter.NON_INTERACTIVE):
        plt.close(fig)
    else:
        plt.show(block=True)  # until the window is closed


# ------------------------------------ Keras 1.2 in Keras 3 ------------------------------------


@keras.saving.register_keras_serializable("stateful_lstm")
def keras1_hard_sigmoid(x):
    """The gate activation of Keras 1.2's LSTM. Keras 3's `hard_sigmoid` has the slope 1/6."""
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


@keras.saving.register_keras_serializable("stateful_lstm")
def keras1_tanh(x):
    """The hyperbolic tangent with the gradient that Keras 1.2 computes for large x, too.

    From about 7.9 on, XLA's tanh of a float32 is exactly 1, and its gradient 0. In Keras 1.2 the
    gradient is 1 - tanh(x) ** 2, 4.8e-7 at x = 8. RMSprop divides a gradient by the root of its
    mean square, so that even such a small gradient makes a step of the usual size.
    """

    @keras.ops.custom_gradient  # inside, because Keras cannot save a decorated function
    def tanh(x):
        y = keras.ops.cast(keras.ops.tanh(keras.ops.cast(x, "float64")), x.dtype)
        return y, lambda gradient: gradient * (1 - y * y)

    return tanh(x)


@keras.saving.register_keras_serializable("stateful_lstm")
class Keras1RMSprop(keras.optimizers.RMSprop):
    """RMSprop with the step of Keras 1.2: rate * g / (sqrt(v) + epsilon) for a gradient g.

    v is the running mean of g * g. Keras 3 divides by sqrt(v + epsilon), with an epsilon of 1e-7.
    There is no momentum, as in Keras 1.2.
    """

    def __init__(self, learning_rate=0.001, rho=0.9, epsilon=1e-8, **settings):
        super().__init__(learning_rate, rho, epsilon=epsilon, **settings)

    def update_step(self, gradient, variable, learning_rate):
        g = keras.ops.cast(gradient, variable.dtype)
        rate = keras.ops.cast(learning_rate, variable.dtype)
        rho = keras.ops.cast(self.rho, variable.dtype)  # so 1 - rho is 0.10000002, as in Keras 1.2
        v = self._velocities[self._get_variable_index(variable)]
        self.assign(v, rho * v + (1 - rho) * keras.ops.square(g))
        self.assign_sub(variable, rate * g / (keras.ops.sqrt(v) + self.epsilon))


def initialize_weights(model):
    """Initializes LSTM and Dense kernels as Keras 1.2.2 on Theano does, with `np.random`.

    Keras 1.2.2 (recurrent.py, initializations.py) draws each gate of an LSTM separately; Keras 3
    draws all four as one matrix. The LSTM of 1.2.2 documents inner_init="orthogonal", but in
    its default mode draws the recurrent kernels with `init`, which is Glorot uniform.

    This function changes only kernels whose initializer is Glorot uniform, in the model's own LSTM
    and Dense layers, not in layers inside other layers.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.LSTM):
            cell, gates = layer.cell, 4  # input, forget, cell and output gate, side by side
            kernels = [cell.kernel, cell.recurrent_kernel]
            initializers = [cell.kernel_initializer, cell.recurrent_initializer]
        elif isinstance(layer, keras.layers.Dense):
            kernels, initializers, gates = [layer.kernel], [layer.kernel_initializer], 1
        else:
            continue
        kernels = [
            kernel
            for kernel, initializer in zip(kernels, initializers)
            if isinstance(initializer, keras.initializers.GlorotUniform)
        ]
        values = [kernel.numpy() for kernel in kernels]
        for gate in range(gates):
            for value in values:
                block = np.split(value, gates, axis=1)[gate]  # a view, so this fills `value`
                limit = np.sqrt(6 / sum(block.shape))
                block[:] = np.random.uniform(-limit, limit, block.shape)
        for kernel, value in zip(kernels, values):
            kernel.assign(value)


# ------------------------------------ Many batches per call ------------------------------------

# Keras calls the compiled model once for each batch of 25 samples, and these calls take most of the
# time. Here one call gets a stack: 250 batches of samples, an array of shape (250, 25, tsteps, 1),
# and their targets. The compiled code loops over the batches. Keras's own `steps_per_execution` is
# not used, because it makes an epoch two to four times slower than this.


@keras.saving.register_keras_serializable("stateful_lstm")
class StatefulSequential(keras.Sequential):
    """A `keras.Sequential` with `reset_states`, as in Keras 1.2, that also takes stacks.

    `fit`, `evaluate` and `predict` take arrays (with the batch size of the model) or the stacks of
    `stack_batches`. A stack is a dict of arrays; the steps below loop over its batches. Anything
    else is one batch, as usual. As in Keras 1.2, none of these methods resets the states.
    """

    def reset_states(self):
        """Sets the states of all stateful layers to zero, also of layers inside other layers."""
        for layer in self._flatten_layers():
            if getattr(layer, "stateful", False):
                layer.reset_state()

    def train_step(self, data):
        return self.run_and_measure(super().train_step, data)

    def test_step(self, data):
        return self.run_and_measure(super().test_step, data)

    def run_and_measure(self, keras_step, data):
        """Runs Keras's step on a batch, or on every batch of a stack; returns the metrics."""
        if not isinstance(data, dict):
            return keras_step(data)

        def run(batch):
            keras_step(batch)
            return True  # `map_fn` needs an output

        run_in_order(run, (data["cos"], data["expected_output"]), tf.bool)
        return self.get_metrics_result()

    def predict_step(self, data):
        if not isinstance(data, dict):
            return super().predict_step(data)
        outputs = run_in_order(super().predict_step, data["cos"], self.outputs[0].dtype)
        return tf.reshape(outputs, (-1, *self.output_shape[1:]))


def run_in_order(function, batches, dtype):
    """Applies a function to one batch after the other; returns its outputs as one tensor."""
    return tf.map_fn(function, batches, parallel_iterations=1, fn_output_signature=dtype)


def stack_batches(model, cos, expected_output=None, steps_per_execution=STEPS_PER_EXECUTION):
    """Returns a `tf.data.Dataset` of stacks, in order, for `fit`, `evaluate` or `predict`.

    Takes arrays of shapes (samples, tsteps, 1) and (samples, 1), or those that another model takes
    and returns; `predict` needs only the first. Raises ValueError for other shapes, for a
    number of samples that is not a multiple of the batch size, and for values in `cos` that are not
    finite, which the states would carry into all later predictions.
    """
    shapes = {"cos": model.input_shape, "expected_output": model.output_shape}  # of a batch
    arrays = {"cos": cos}
    if expected_output is not None:
        arrays["expected_output"] = expected_output
    stacks = {}
    for name, array in arrays.items():
        batch_size, *sample_shape = shapes[name]
        array = np.asarray(array, keras.config.floatx())
        right_shape = (len(cos), *sample_shape)
        if array.shape != right_shape:
            raise ValueError(f"{name} has the shape {array.shape}: must be {right_shape}")
        check_batch_size("batch_size", batch_size, len(cos))
        stacks[name] = array.reshape(-1, batch_size, *sample_shape)
    if not np.isfinite(stacks["cos"]).all():
        raise ValueError("cos has values that are not finite")
    options = tf.data.Options()
    options.autotune.enabled = False  # sometimes doubles the time of an epoch
    dataset = tf.data.Dataset.from_tensor_slices(stacks)
    return dataset.batch(steps_per_execution).with_options(options)


# -------------------------------- Losses that are not finite --------------------------------


class RestoreOnNaN(keras.callbacks.Callback):
    """Ends the training if the loss or a weight is not finite after an epoch.

    Raises FloatingPointError, with weights and optimizer as they were before that epoch, so that
    training can continue. (Keras's TerminateOnNaN does not restore them.) The states are not
    restored: call `reset_states` before you continue with `fit`; `train` does so itself.
    """

    def on_epoch_begin(self, epoch, logs=None):
        optimizer = self.model.optimizer
        if not optimizer.built:  # its variables must exist to be saved before the first epoch
            optimizer.build(self.model.trainable_variables)
        self.variables = self.model.variables + optimizer.variables
        self.saved = [variable.numpy() for variable in self.variables]

    def on_epoch_end(self, epoch, logs=None):
        numbers = [logs["loss"], *self.model.get_weights()]
        if all(np.isfinite(number).all() for number in numbers):
            return
        for variable, value in zip(self.variables, self.saved):
            variable.assign(value)
        raise FloatingPointError(
            f"the loss of this epoch is {logs['loss']}, or a weight is not finite; the weights and "
            "the optimizer were restored. Are some targets too large or not finite?"
        )


# ------------------------------------------- Checks -------------------------------------------


def check_constants():
    """Raises an error that names the first wrong constant, before anything is computed.

    ValueError for a wrong value, OSError for a PLOT_FILE that cannot be written, ImportError for a
    matplotlib backend that cannot run.
    """
    counts = ("TSTEPS", "BATCH_SIZE", "EPOCHS", "LAHEAD", "UNITS", "STEP", "STEPS_PER_EXECUTION")
    for name in counts:
        value = globals()[name]
        require(type(value) is int and value >= 1, name, "be a whole number of at least 1")
    for name in ("X0", "XN"):
        require(type(globals()[name]) is int, name, "be a whole number")
    for name in ("AMP", "PERIOD", "K"):
        value = globals()[name]
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        require(is_number and math.isfinite(value), name, "be a finite number")
    require(PERIOD != 0, "PERIOD", "not be 0")
    require(isinstance(STATEFUL, bool), "STATEFUL", "be True or False")
    is_seed = SEED is None or type(SEED) is int and 0 <= SEED < 2**32
    require(is_seed, "SEED", f"be None or a whole number of at least 0, below {2**32}")
    require(VERBOSE in (0, 1, 2, "auto"), "VERBOSE", 'be 0, 1, 2 or "auto"')
    is_path = MODEL_FILE is None or isinstance(MODEL_FILE, (str, os.PathLike))
    require(is_path, "MODEL_FILE", "be None or a file name")
    require(XN > X0, "XN", f"be above X0, {X0}")
    samples = (XN - X0) * STEP
    require(LAHEAD < samples, "LAHEAD", f"be below the number of samples, {samples}")
    check_batch_size("BATCH_SIZE", BATCH_SIZE, samples)
    plt.switch_backend(plt.get_backend())  # raises ImportError for a backend that cannot run
    if PLOT_FILE is not None:
        check_plot_file()


def check_plot_file():
    """Raises an error if PLOT_FILE cannot be written. Keeps an old plot and leaves no new file."""
    endings = plt.Figure().canvas.get_supported_filetypes()
    ending = os.path.splitext(str(PLOT_FILE))[1][1:].lower()
    must = "be None or a file name that ends with ." + ", .".join(sorted(endings))
    require(ending in endings, "PLOT_FILE", must)
    is_new = not os.path.lexists(PLOT_FILE)
    try:
        open(PLOT_FILE, "ab").close()
    except OSError as error:
        must = f"be a file that can be written ({error})"
        raise OSError(f"PLOT_FILE = {PLOT_FILE!r}: must {must}") from error
    if is_new:
        os.remove(PLOT_FILE)


def check_batch_size(name, batch_size, samples):
    """Raises ValueError if a batch size does not divide the samples; names the nearest that do."""
    if samples > 0 and samples % batch_size == 0:
        return
    smaller = (size for size in range(min(batch_size, samples), 0, -1) if samples % size == 0)
    larger = (size for size in range(batch_size, samples + 1) if samples % size == 0)
    nearest = [str(size) for size in (next(smaller, None), next(larger, None)) if size]
    raise ValueError(
        f"{name} = {batch_size}: must divide the number of samples, {samples}; the nearest sizes "
        f"that do: {' or '.join(nearest) or 'none'}"
    )


def require(condition, name, must):
    """Raises ValueError, with the name and value of a constant, if the condition is false."""
    if not condition:
        raise ValueError(f"{name} = {globals()[name]!r}: must {must}")


if __name__ == "__main__":
    main()
