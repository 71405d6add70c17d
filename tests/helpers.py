"""Models, series and comparisons that several files of tests need."""

import re
from pathlib import Path

import numpy as np

import stateful_lstm as program
from stateful_lstm import keras

SCRIPT = Path(program.__file__)
build_model = program.build_model  # `run_main` replaces the program's by new_model
compiled = {}  # models of earlier tests, by their settings


def get_snippets(section):
    """Returns the snippets of Python in a section of the README."""
    text = SCRIPT.with_name("README.md").read_text(encoding="utf-8")
    text = text.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(r"(?s)```python\n(.*?)```", text)


def new_model(batch_size=25, tsteps=1, units=50, stateful=True):
    """Returns what build_model returns, but reuses a model that an earlier test has compiled."""
    new = build_model(batch_size, tsteps, units, stateful)
    model = compiled.setdefault((batch_size, tsteps, units, stateful), new)
    set_back(model, new)
    return model


def set_back(model, new):
    """Sets the weights, the optimizer and the states of a used model to those of a new one."""
    for each in (model, new):
        each.optimizer.build(each.trainable_variables)
    variables = zip(model.variables, new.variables, strict=True)
    averages = zip(model.optimizer.variables, new.optimizer.variables, strict=True)
    for variable, value in [*variables, *averages]:
        variable.assign(value)
    program.StatefulSequential.reset_states(model)


def small_model(*layers, batch_size=25):
    """Returns a compiled model of a small LSTM, the layers and a Dense layer."""
    lstm = keras.layers.LSTM(
        2,
        stateful=True,
        activation=program.keras1_tanh,
        recurrent_activation=program.keras1_hard_sigmoid,
        # Larger weights would close the gates, and the predictions would be 0 for many seeds.
        kernel_initializer=keras.initializers.RandomUniform(-0.01, 0.01, seed=1),
    )
    layers = [keras.Input(batch_shape=(batch_size, 1, 1)), lstm, *layers, keras.layers.Dense(1)]
    model = program.StatefulSequential(layers)
    model.compile(loss="mse", optimizer=program.Keras1RMSprop())
    return model


def series(samples=250, **settings):
    """Returns a short series and its targets."""
    cos = program.gen_cosine_amp(xn=samples, **settings)
    return cos, program.gen_expected_output(cos)
