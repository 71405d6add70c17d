"""What more than one file of tests needs: models, series, the script as a process."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

import stateful_lstm as program

SCRIPT = Path(program.__file__)

build_model = program.build_model

compiled = {}  # by their settings, the models that tests had


def new_model(batch_size=25, tsteps=1, units=50, stateful=True):
    """Returns what build_model does, but a model that an earlier test compiled, set back, if there is one."""
    new = build_model(batch_size, tsteps, units, stateful)
    model = compiled.setdefault((batch_size, tsteps, units, stateful), new)
    for each in (new, model):
        each.optimizer.build(each.trainable_variables)
        each.reset_states()
    for variable, value in zip(variables(model), variables(new), strict=True):
        variable.assign(value)
    return model


def variables(model):
    """Returns all that an epoch changes: weights, the optimizer's averages, states."""
    return model.variables + model.optimizer.variables + [s for layer in model.layers[:2] for s in layer.states or []]


def values(model):
    """Returns copies of what an epoch changes."""
    return [variable.numpy() for variable in variables(model)]


def assert_equal(ones, others):
    """Asserts that two lists of arrays are the same to the last bit."""
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_array_equal(one, other)


def series(samples=250, **settings):
    """Returns a short series and what is to be predicted from it."""
    cos = program.gen_cosine_amp(xn=samples, **settings)
    return cos, program.gen_expected_output(cos)


def edited_script(**constants):
    """Returns the text of the script with other constants."""
    text = SCRIPT.read_text(encoding="utf-8")
    for name, value in constants.items():
        text, found = re.subn(f"(?m)^{name} = .*", f"{name} = {value!r}", text)
        assert found == 1
    return text


def start_script(folder, **constants):
    """Starts the script with other constants in `folder` as a user does on a machine without a screen."""
    (folder / "edited.py").write_text(edited_script(**constants), encoding="utf-8")
    screenless = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")}
    return subprocess.Popen(
        [sys.executable, "-u", "edited.py"],
        cwd=folder,
        env=screenless,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def interrupt_at(line, process):
    """Sends Ctrl-C after the script has printed the line; returns what it prints from then on, and its errors."""
    assert line in iter(process.stdout.readline, "")
    process.send_signal(signal.SIGINT)
    return process.communicate()
