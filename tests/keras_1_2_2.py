"""The post's program in Keras 1.2.2 over Theano, which made losses.csv and keras_1_2_2.npz.

An environment of its own, with Python 3.8 (20 s), and the program in it:

    python3.8 -m venv .keras1 && .keras1/bin/pip install 'numpy<1.22' 'scipy<1.8' 'h5py<3' six pyyaml matplotlib Theano-PyMC==1.1.2 && .keras1/bin/pip install --no-deps keras==1.2.2
    .keras1/bin/python tests/keras_1_2_2.py losses 0 8 25

`losses FIRST LAST EPOCHS` prints the loss and the seconds of each epoch, for each seed from the
first up to the last, and then the losses as a table. That of seeds 0 to 7 and 25 epochs stands in
losses.csv; losses_again.csv has the first eight epochs on a second machine. `record FILE` writes
what keras_1_2_2.npz holds. It compiles for a minute before that, and an epoch takes 2 to 4 s.

`import keras_1_2_2` before `keras` makes any program of the time work in that environment, and
`convert_weights(model)` returns the weights of its model in the order of Keras 3.

It is Theano because over TensorFlow the program has a race (keras-team/keras #9174): the new states
of a batch can be written before its gradients have read the old ones.
"""

import os
import sys
import time

os.environ["KERAS_BACKEND"] = "theano"
usual = "floatX=float32,device=cpu,openmp=False,mode=FAST_RUN"
# Theano-PyMC gives Bidirectional(LSTM(n)) over n steps before Dropout wrong outputs, unless:
usual += ",optimizer_excluding=scanOp_save_mem"
os.environ["THEANO_FLAGS"] = usual + "," + os.environ.get("THEANO_FLAGS", "")

import numpy as np
import theano.ifelse
import theano.sandbox.rng_mrg
import theano.tensor

# Keras 1.2.2 was written for Theano 0.8. Theano-PyMC, which still installs, gave one class another
# name, stacks a list only, has a `squeeze` in a place where Keras looks for its own, and does not
# import `theano.ifelse`, which dropout and BatchNormalization need.
theano.sandbox.rng_mrg.MRG_RandomStreams = theano.sandbox.rng_mrg.MRG_RandomStream
stack_list = theano.tensor.stack


def stack(*tensors):
    return stack_list(list(tensors) if len(tensors) > 1 else tensors[0])


theano.tensor.stack = stack
theano.tensor.squeeze = lambda tensor: tensor

import keras.backend
from keras.layers import LSTM, Dense
from keras.models import Sequential

NAMES = (  # of the weights in keras_1_2_2.npz
    "lstm_1_kernel lstm_1_recurrent_kernel lstm_1_bias "
    "lstm_2_kernel lstm_2_recurrent_kernel lstm_2_bias dense_kernel dense_bias"
).split()
tsteps = 1
batch_size = 25
lahead = 1


def gen_cosine_amp(amp=100, period=1000, x0=0, xn=50000, step=1, k=0.0001):
    """The post's series, (samples, 1, 1)."""
    idx = x0 + step * np.arange((xn - x0) * step)
    return (amp * np.cos(2 * np.pi * idx / period) * np.exp(-k * idx)).reshape(-1, 1, 1)


def gen_expected_output(cos):
    """The post's loop over the samples, (samples, 1)."""
    expected_output = np.zeros((len(cos), 1))
    for i in range(len(cos) - lahead):
        expected_output[i, 0] = np.mean(cos[i + 1 : i + lahead + 1])
    return expected_output


def build_model():
    """The post's model. Of one time step, `unroll` leaves the loop out that would go over it."""
    model = Sequential()
    model.add(
        LSTM(
            50,
            batch_input_shape=(batch_size, tsteps, 1),
            return_sequences=True,
            stateful=True,
            unroll=True,
        )
    )
    model.add(LSTM(50, return_sequences=False, stateful=True, unroll=True))
    model.add(Dense(1))
    return model


def print_losses(first, last, epochs):
    """Prints the loss and the seconds of each epoch of each seed, then the table."""
    cos = gen_cosine_amp()
    expected_output = gen_expected_output(cos)
    model = build_model()
    model.compile(loss="mse", optimizer="rmsprop")
    print("Compiling", flush=True)
    model.fit(cos[:25], expected_output[:25], batch_size=batch_size, nb_epoch=1, verbose=0)
    columns = []
    for seed in range(first, last):
        losses = []
        np.random.seed(seed)
        model.set_weights(build_model().get_weights())
        for average in model.optimizer.weights:
            keras.backend.set_value(average, np.zeros_like(keras.backend.get_value(average)))
        model.reset_states()
        for i in range(epochs):
            start = time.time()
            history = model.fit(
                cos, expected_output, batch_size=batch_size, verbose=0, nb_epoch=1, shuffle=False
            )
            seconds = time.time() - start
            model.reset_states()
            losses.append(history.history["loss"][0])
            print("seed %d, epoch %d: %.4f (%.2f s)" % (seed, i, losses[-1], seconds), flush=True)
        columns.append(losses)
    print(",".join(["epoch"] + ["keras_1_2_2_run_%d" % seed for seed in range(first, last)]))
    for i, losses in enumerate(zip(*columns)):
        print(",".join([str(i)] + ["%.4f" % loss for loss in losses]))


def convert_layer(layer):
    """Returns the weights of a layer in the order of Keras 3, a list of arrays."""
    name, arrays = layer.__class__.__name__, layer.get_weights()
    if name == "Bidirectional":
        return convert_layer(layer.forward_layer) + convert_layer(layer.backward_layer)
    if name == "TimeDistributed":
        return convert_layer(layer.layer)
    # W, U and b of each gate: i, c, f, o of an LSTM, z, r, h of a GRU. (Three arrays in all with
    # consume_less="gpu", whose columns are in the order of Keras 3.)
    order = {"LSTM": (0, 2, 1, 3), "GRU": (0, 1, 2)}.get(name)
    if order is None or len(arrays) == 3:
        return arrays
    return [np.concatenate([arrays[3 * gate + k] for gate in order], axis=-1) for k in range(3)]


def convert_weights(model):
    """Returns the weights of a model, layer by layer, in the order of Keras 3."""
    return [array for layer in model.layers for array in convert_layer(layer)]


def record(path):
    """Writes a short run of seed 11 with its starting weights, batch by batch."""
    cos = gen_cosine_amp(xn=2500)
    expected_output = gen_expected_output(cos)
    np.random.seed(11)
    model = build_model()
    run = dict(zip(NAMES, convert_weights(model)))
    model.compile(loss="mse", optimizer="rmsprop")
    run["predicted_before"] = model.predict(cos, batch_size=batch_size)
    losses = []
    for _ in range(3):
        model.reset_states()
        for k in range(0, len(cos), batch_size):
            batch = slice(k, k + batch_size)
            losses.append(model.train_on_batch(cos[batch], expected_output[batch]))
    model.reset_states()
    run["predicted_after"] = model.predict(cos, batch_size=batch_size)
    run["batch_losses"] = np.reshape(losses, (3, -1))
    np.savez_compressed(path, **{name: np.float32(array) for name, array in run.items()})


if __name__ == "__main__":
    if sys.argv[1:2] == ["losses"] and len(sys.argv) == 5:
        print_losses(*[int(word) for word in sys.argv[2:]])
    elif sys.argv[1:2] == ["record"] and len(sys.argv) == 3:
        record(sys.argv[2])
    else:
        sys.exit(__doc__)
