"""Models, series and comparisons that several files of tests need."""

from pathlib import Path

import numpy as np

import stateful_lstm as program
from losses import set_back
from stateful_lstm import keras

SCRIPT = Path(program.__file__)
build_model = program.build_model  # `run_main` replaces the program's by new_model
compiled = {}  # models of earlier tests, by their settings


def new_model(batch_size=25, tsteps=1, units=50, stateful=True):
    """Returns what build_model returns, but reuses a model that an earlier test has compiled."""
    new = build_model(batch_size, tsteps, units, stateful)
    model = compiled.setdefault((batch_size, tsteps, units, stateful), new)
    set_back(model, new)
    return model


def small_model(*layers, loss="mse", optimizer="rmsprop", **settings):
    """Returns a compiled model of a small LSTM, the layers and a Dense layer, for batches of 25."""
    gates = program.keras1_hard_sigmoid
    lstm = keras.layers.LSTM(2, stateful=True, recurrent_activation=gates)
    layers = [keras.Input(batch_shape=(25, 1, 1)), lstm, *layers, keras.layers.Dense(1)]
    model = program.StatefulSequential(layers)
    model.compile(loss=loss, optimizer=optimizer, **settings)
    return model


def series(samples=250, **settings):
    """Returns a short series and its targets."""
    cos = program.gen_cosine_amp(xn=samples, **settings)
    return cos, program.gen_expected_output(cos)


def values(model):
    """Returns copies of the weights and of all other variables of a model and its optimizer."""
    return [variable.numpy() for variable in model.variables + model.optimizer.variables]


def assert_equal(ones, others):
    """Asserts that two lists of arrays are equal to the last bit."""
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_array_equal(one, other)
