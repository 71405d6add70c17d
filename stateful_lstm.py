"""A stateful LSTM learns a decaying cosine: a Keras 1.2 program of 2017, ported to Keras 3.

An LSTM layer has a state, which it computes from the values it has read so far: two arrays of shape
(batch size, units), its latest output h and its memory c (`model.layers[0].states`). A batch has 25
rows, 0 to 24: one sample in each. Row j of a batch has row j of these arrays. A stateful layer
keeps them between batches: row j of the next batch continues where row j of this one ended. The
comments in `train` say what that means for this series.

The program generates a series, trains two stateful LSTM layers to predict the next value, prints
the errors and plots the predictions. Edit the constants and run `python stateful_lstm.py`.

The first half follows a blog post (Taeyoung Kim, 2017-02-04, "순환 신경망 모델 만들어보기"), in its
order and with its names. The second half is what the port to Keras 3 adds: the activations, the
optimizer and the initial weights of Keras 1.2; many batches per call, for speed; and checks.
"""

import os
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"  # must be set before the import of Keras
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # hides some of TensorFlow's messages

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

TSTEPS = 1  # time steps in a sample, which holds the TSTEPS latest values
BATCH_SIZE = 25  # samples in a batch; must divide the number of samples
EPOCHS = 25  # passes through the series in training
LAHEAD = 1  # the target of a sample is the mean of the next LAHEAD values
UNITS = 50  # units in each of the two LSTM layers
STATEFUL = True  # True: a batch starts from the states of the previous one; False: from zeros
SEED = 1  # sets the initial weights, so that a run can be repeated; None: new ones in each run
AMP = 100  # amplitude of the cosine at x = 0
PERIOD = 1000  # period of the cosine, in x
X0 = 0  # x of the first sample
XN = 50000  # the samples end before this x, if STEP is 1
STEP = 1  # leave it at 1; 2 gives twice as many samples, 2 apart in x, as in the post
K = 0.0001  # rate of the exponential decay, per x
VERBOSE = 1 if sys.stdout.isatty() else 2  # progress: 0 none, 1 a bar, 2 a line per epoch
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
    try:
        train(model, cos, expected_output, EPOCHS, VERBOSE)
    except KeyboardInterrupt:  # Ctrl-C
        print("\nInterrupted: predicting with what the model has learned so far")

    print("Predicting")
    predicted_output = predict(model, cos, VERBOSE)
    print_mse(cos, expected_output, predicted_output, LAHEAD)

    print("Plotting Results")
    plot_results(expected_output, predicted_output, PLOT_FILE)


# ----------------------------------- The program of the post -----------------------------------


def gen_cosine_amp(amp=AMP, period=PERIOD, x0=X0, xn=XN, step=STEP, k=K, tsteps=TSTEPS):
    """Generates a cosine whose amplitude decays exponentially.

    The values are amp * cos(2 pi x / period) * exp(-k x). (The post calls this an absolute cosine,
    but takes no absolute value.) Returns an array of shape (samples, tsteps, 1). Sample i of
    (xn - x0) * step samples holds the `tsteps` values that end at x = x0 + i * step, oldest first.
    """
    samples = (xn - x0) * step
    x = x0 + step * np.arange(1 - tsteps, samples)  # the first sample ends at x0
    cos = amp * np.cos(2 * np.pi * x / period) * np.exp(-k * x)
    windows = np.lib.stride_tricks.sliding_window_view(cos, tsteps)  # (samples, tsteps)
    return windows[:, :, np.newaxis].copy()  # without the copy, the samples could not be changed


def gen_expected_output(cos, lahead=LAHEAD):
    """Returns the targets: the mean of the `lahead` values that follow each sample.

    Takes an array of shape (samples, tsteps, 1) and returns one of shape (samples, 1). If there are
    several features, it uses the first. The last `lahead` samples have too few values after them;
    their target is 0, as in the post.
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
        unroll=(tsteps == 1),  # faster for one step; with many steps, compiling takes minutes
    )
    model = StatefulSequential([  # a keras.Sequential with `reset_states`, defined below
        keras.Input(batch_shape=(batch_size, tsteps, 1)),  # fixed size: each row has its own state
        keras.layers.LSTM(units, return_sequences=True, **lstm),  # one output for each time step
        keras.layers.LSTM(units, **lstm),  # one output, after the last time step
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
        print("Drawing:", path)
    except (ImportError, OSError, AssertionError) as error:  # AssertionError: Graphviz failed
        reason = str(error).partition("\n")[0]
        print(f"Leaving out {path}, a drawing that needs pydot and Graphviz: {reason}")


def train(model, cos, expected_output, epochs=EPOCHS, verbose=VERBOSE):
    """Trains the model and returns the loss of each epoch, a list of floats.

    Takes arrays of shapes (samples, tsteps, 1) and (samples, 1). Raises ValueError for arrays that
    `stack_batches` refuses, and FloatingPointError if a loss is not finite.
    """
    # As `fit(cos, expected_output, batch_size=25, shuffle=False)`, but with 500 batches per call,
    # which is faster: see "Many batches per call".
    stacks = stack_batches(model, cos, expected_output)  # samples and targets
    losses = []
    model.reset_states()  # an earlier prediction may have left other states
    for i in range(epochs):
        if verbose:
            print("Epoch", i, "/", epochs)  # counted from 0, as in the post
        # In a stateful layer, row j of a batch starts from the state in which row j of the
        # previous batch ended. So with batches of 25, each row reads every 25th sample:
        #     row  0:   0 -> 25 -> 50 -> ... -> 49975
        #     row  1:   1 -> 26 -> 51 -> ... -> 49976
        #     row 24:  24 -> 49 -> 74 -> ... -> 49999
        # The target is the very next value, though, as in the post: row 0 reads sample 0, must
        # predict sample 1, and reads sample 25 next. Nothing is shuffled: otherwise a row would
        # continue from the state of an unrelated sample. The states continue, but the gradient
        # ends at each batch: no weight is trained for what a later batch will need.
        history = model.fit(
            stacks,
            epochs=1,  # so that the states can be reset after each epoch
            shuffle=False,
            verbose=verbose,
        )
        # The states now belong to the end of the series, but the next epoch starts at its
        # beginning: set them to zero.
        model.reset_states()
        [loss] = history.history["loss"]
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"the loss of epoch {i} is {loss}: the targets or the learning rate may be too "
                "large. The weights are lost: build the model anew."
            )
        losses.append(loss)
    return losses


def predict(model, cos, verbose=VERBOSE):
    """Returns the predictions, (samples, 1), for an array of shape (samples, tsteps, 1).

    Starts from zero states; afterwards, the states are those of the last batch. To continue from
    the current states, call `model.predict(stack_batches(model, cos))`. Raises ValueError for an
    array that `stack_batches` refuses.
    """
    stacks = stack_batches(model, cos)
    model.reset_states()
    return model.predict(stacks, verbose=verbose)


def print_mse(cos, expected_output, predicted_output, lahead=LAHEAD):
    """Prints the mean squared errors (MSE) of the predictions and of "no change".

    "No change" predicts the latest value of each sample (of the first feature, if there are
    several). On the series of the post its error is far smaller than that of the network, unless
    that predicts the change (see the README). Both errors leave out the last samples without
    a target: as many as `lahead`, which must be that of `gen_expected_output`. Takes arrays of
    shapes (samples, tsteps, 1), (samples, 1) and (samples, 1). Raises ValueError for targets or
    predictions of another shape.
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
    print(f"(over the first {len(expected)} of {len(cos)} samples, as lahead is {lahead})")


def plot_results(expected_output, predicted_output, path=PLOT_FILE):
    """Plots two arrays of shape (samples, 1) to a file and, where there is a screen, in a window.

    The ending of the file name gives the format. Raises OSError if the file cannot be written.
    """
    fig, axes = plt.subplots(2, 1, sharex=True, sharey=True, layout="constrained")
    axes[0].plot(expected_output)
    axes[0].set(title="Expected", xlabel="sample", ylabel="value")
    axes[1].plot(predicted_output)
    axes[1].set(title="Predicted", xlabel="sample", ylabel="value")
    if path is not None:
        fig.savefig(path)
        print("Plot:", path)
    plt.show(block=True)  # where there is a screen, until the window is closed
    if not plt.isinteractive():  # in a notebook, `%matplotlib widget` still needs the figure
        plt.close(fig)


# ------------------------------------ Keras 1.2 in Keras 3 ------------------------------------


@keras.saving.register_keras_serializable("stateful_lstm")
def keras1_hard_sigmoid(x):
    """The gate activation of Keras 1.2's LSTM. Keras 3's `hard_sigmoid` has the slope 1/6."""
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


@keras.saving.register_keras_serializable("stateful_lstm")
def keras1_tanh(x):
    """The hyperbolic tangent with the gradient of Keras 1.2, computed in float64.

    XLA's tanh of a float32 is exactly 1 from about 8 on, and its gradient 0. In Keras 1.2 the
    gradient is 1 - tanh(x) ** 2, 4.8e-7 at x = 8. RMSprop divides a gradient by the root of its
    mean square, so even this one makes a step of the usual size.
    """

    @keras.ops.custom_gradient  # Keras could not save a model whose activation is decorated so
    def tanh(x):
        y = keras.ops.cast(keras.ops.tanh(keras.ops.cast(x, "float64")), x.dtype)
        return y, lambda gradient: gradient * (1 - y * y)

    return tanh(x)


@keras.saving.register_keras_serializable("stateful_lstm")
class Keras1RMSprop(keras.optimizers.RMSprop):
    """RMSprop with the step of Keras 1.2: rate * g / (sqrt(v) + epsilon) for a gradient g.

    v is the running mean of g * g. Keras 3 divides by sqrt(v + epsilon), with an epsilon of 1e-7.
    As in Keras 1.2, there is no `momentum` and no `centered`: they have no effect.
    """

    def __init__(self, learning_rate=0.001, rho=0.9, epsilon=1e-8, **settings):
        super().__init__(learning_rate, rho, epsilon=epsilon, **settings)

    def update_step(self, gradient, variable, learning_rate):
        rate = keras.ops.cast(learning_rate, variable.dtype)
        rho = keras.ops.cast(self.rho, variable.dtype)  # so 1 - rho is 0.10000002, as in Keras 1.2
        v = self._velocities[self._get_variable_index(variable)]
        self.assign(v, rho * v + (1 - rho) * keras.ops.square(gradient))
        self.assign_sub(variable, rate * gradient / (keras.ops.sqrt(v) + self.epsilon))


def initialize_weights(model):
    """Initializes the kernels of LSTM layers and a last Dense layer as Keras 1.2.2 on Theano does.

    Keras 1.2.2 (recurrent.py, initializations.py) draws the kernels of each gate separately, and
    the recurrent ones like the others: by default its inner_init="orthogonal" has no effect.
    """
    *lstms, dense = model.layers
    for lstm in lstms:
        inputs, units = lstm.cell.kernel.shape[0], lstm.units
        kernels, recurrent_kernels = [], []
        for _ in range(4):  # input, forget, cell and output gate
            kernels.append(draw_glorot_uniform(inputs, units))
            recurrent_kernels.append(draw_glorot_uniform(units, units))
        lstm.cell.kernel.assign(np.hstack(kernels))
        lstm.cell.recurrent_kernel.assign(np.hstack(recurrent_kernels))
    dense.kernel.assign(draw_glorot_uniform(*dense.kernel.shape))


def draw_glorot_uniform(rows, columns):
    """Draws a kernel with `np.random`, so that the same seed gives the weights of Keras 1.2.2."""
    limit = np.sqrt(6 / (rows + columns))
    return np.random.uniform(-limit, limit, (rows, columns))


# ------------------------------------ Many batches per call ------------------------------------

# Keras calls the compiled model once for each batch, and these calls take most of the time. Here
# one call gets a stack of 500 batches, an array of shape (500, 25, tsteps, 1) and its targets, and
# the compiled code loops over them. Keras's own `steps_per_execution` is two to five times slower.


@keras.saving.register_keras_serializable("stateful_lstm")
class StatefulSequential(keras.Sequential):
    """A `keras.Sequential` with `reset_states`, as in Keras 1.2, that also takes stacks.

    `fit`, `evaluate` and `predict` take arrays (with the batch size of the model) or the stacks of
    `stack_batches`, which are dicts. As in Keras 1.2, none of these methods resets the states.
    """

    def reset_states(self):
        """Sets the states of all stateful layers to zero, also of layers inside other layers."""
        for layer in self._flatten_layers():
            if getattr(layer, "stateful", False):
                layer.reset_state()

    def call(self, inputs, training=None, mask=None):
        inputs = tf.ensure_shape(inputs, self.input_shape)  # one sample must not serve all rows
        return super().call(inputs, training=training, mask=mask)

    def train_step(self, data):
        return self.run_batches(super().train_step, data)

    def test_step(self, data):
        return self.run_batches(super().test_step, data)

    def run_batches(self, keras_step, data):
        """Calls Keras's step for a batch, or each batch of a stack, and returns the metrics."""
        if not isinstance(data, dict):
            return keras_step(data)
        batches = data["cos"], data["expected_output"]
        map_in_order(lambda batch: keras_step(batch)["loss"], batches, keras.config.floatx())
        return self.get_metrics_result()

    def predict_step(self, data):
        if not isinstance(data, dict):
            return super().predict_step(data)
        outputs = map_in_order(super().predict_step, data["cos"], self.outputs[0].dtype)
        return tf.reshape(outputs, (-1, *self.output_shape[1:]))


def map_in_order(step, batches, dtype):
    """Runs a step on one batch after the other and returns the stacked outputs."""
    return tf.map_fn(step, batches, parallel_iterations=1, fn_output_signature=dtype)


def stack_batches(model, cos, expected_output=None, batches_per_stack=500):
    """Returns a `tf.data.Dataset` of stacks, in order, for `fit`, `evaluate` or `predict`.

    Takes arrays of shapes (samples, tsteps, 1) and (samples, 1), or those of another model;
    `predict` needs only the first. Raises ValueError for other shapes, another kind of model, one
    without a fixed batch size, a number of samples that it does not divide, and values that are not
    finite: the states or the weights would carry them into all later predictions.
    """
    if not isinstance(model, StatefulSequential):
        raise ValueError(f"the model is a {type(model).__name__}: must be a StatefulSequential")
    batch_size = model.input_shape[0]
    if batch_size is None:
        raise ValueError("the model must have a fixed batch size: keras.Input(batch_shape=...)")
    check_batch_size("batch_size", batch_size, len(cos))
    arrays = {"cos": (cos, model.input_shape)}
    if expected_output is not None:
        arrays["expected_output"] = (expected_output, model.output_shape)
    floatx = keras.config.floatx()  # float32 unless set otherwise
    stacks = {}
    for name, (array, batch_shape) in arrays.items():
        array = np.asarray(array, floatx)
        right_shape = (len(cos), *batch_shape[1:])
        if array.shape != right_shape:
            raise ValueError(f"{name} has the shape {array.shape}: must be {right_shape}")
        not_finite = np.argwhere(~np.isfinite(array))
        if len(not_finite) > 0:
            where = f"the first is in sample {not_finite[0, 0]}"
            raise ValueError(f"{name} has values that are not finite as {floatx}; {where}")
        stacks[name] = array.reshape(-1, *batch_shape)
    options = tf.data.Options()
    options.autotune.enabled = False  # sometimes doubles the time of an epoch
    dataset = tf.data.Dataset.from_tensor_slices(stacks)
    return dataset.batch(batches_per_stack).with_options(options)


# ------------------------------------------- Checks -------------------------------------------


def check_constants():
    """Raises an error that names the first wrong constant, before anything is computed.

    ValueError for a wrong value, ImportError for a matplotlib backend that cannot run.
    """
    backend = keras.backend.backend()  # another one if Keras was imported before this script
    if backend != "tensorflow":
        must = 'must be "tensorflow"; start Python anew and import this script before keras'
        raise ValueError(f"the backend of Keras is {backend!r}: {must}")
    for name in ("TSTEPS", "BATCH_SIZE", "EPOCHS", "LAHEAD", "UNITS", "STEP"):
        value = globals()[name]
        require(type(value) is int and value >= 1, name, "be an integer of at least 1")
    for name in ("X0", "XN"):
        require(type(globals()[name]) is int, name, "be an integer")
    for name in ("AMP", "PERIOD", "K"):
        value = globals()[name]
        is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        require(is_number and np.isfinite(value), name, "be a finite number")
    require(PERIOD != 0, "PERIOD", "not be 0")
    require(isinstance(STATEFUL, bool), "STATEFUL", "be True or False")
    is_seed = SEED is None or type(SEED) is int and 0 <= SEED < 2**32
    require(is_seed, "SEED", f"be None or an integer of at least 0, below {2**32}")
    require(VERBOSE in (0, 1, 2, "auto"), "VERBOSE", 'be 0, 1, 2 or "auto"')
    require(XN > X0, "XN", f"be above X0, {X0}")
    samples = (XN - X0) * STEP
    require(LAHEAD < samples, "LAHEAD", f"be below the number of samples, {samples}")
    check_batch_size("BATCH_SIZE", BATCH_SIZE, samples)
    plt.switch_backend(plt.get_backend())  # raises ImportError for a backend that cannot run
    if PLOT_FILE is not None:
        endings = sorted(plt.Figure().canvas.get_supported_filetypes())
        ending = os.path.splitext(str(PLOT_FILE))[1][1:].lower()
        must = "be None or a file name that ends with ." + ", .".join(endings)
        require(ending in endings, "PLOT_FILE", must)
        can_write = os.access(os.path.dirname(PLOT_FILE) or ".", os.W_OK)
        require(can_write, "PLOT_FILE", "be in a folder that exists and can be written to")
    if MODEL_FILE is not None:
        has_ending = os.path.splitext(str(MODEL_FILE))[1]
        require(has_ending, "MODEL_FILE", "be None or a file name with an ending, such as .svg")


def check_batch_size(name, batch_size, samples):
    """Raises ValueError if a batch size does not divide the samples; names the nearest that do."""
    if samples > 0 and samples % batch_size == 0:
        return
    sizes = [size for size in range(1, samples + 1) if samples % size == 0]
    smaller = [size for size in sizes if size < batch_size]
    larger = [size for size in sizes if size > batch_size]
    nearest = " or ".join(str(size) for size in smaller[-1:] + larger[:1]) or "none"
    raise ValueError(
        f"{name} = {batch_size}: must divide the number of samples, {samples}; the nearest sizes "
        f"that do: {nearest}"
    )


def require(condition, name, must):
    """Raises ValueError, with the name and value of a constant, if the condition is false."""
    if not condition:
        raise ValueError(f"{name} = {globals()[name]!r}: must {must}")


if __name__ == "__main__":
    main()
