"""What more than one file of tests needs: models, series, the script as a process."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import stateful_lstm as program
from losses import set_back

SCRIPT = Path(program.__file__)
PATIENCE = 120  # seconds after which a process that a test started is given up
build_model = program.build_model  # as run_main puts new_model in its place
needs_graphviz = pytest.mark.skipif(not shutil.which("dot"), reason="needs Graphviz")
compiled = {}  # by their settings, the models that tests had


def new_model(batch_size=25, tsteps=1, units=50, stateful=True):
    """Returns what build_model does, but with a model that an earlier test compiled, set back."""
    new = build_model(batch_size, tsteps, units, stateful)
    model = compiled.setdefault((batch_size, tsteps, units, stateful), new)
    set_back(model, new)
    return model


def variables(model):
    """Returns all that an epoch changes: weights, the optimizer's averages, states."""
    states = [state for layer in model.layers for state in getattr(layer, "states", None) or []]
    return model.variables + model.optimizer.variables + states


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


# A job that a shell starts with "&" ignores SIGINT, and so does all that it starts, unless told.
# Whatever becomes of the test, the process ends.
USUAL_PROCESS = f"""
import faulthandler, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
faulthandler.dump_traceback_later({PATIENCE}, exit=True)
"""


class Script:
    """The script with other constants, run as a user does on a machine without a screen."""

    def __init__(self, folder, **constants):
        self.folder = folder
        edited = USUAL_PROCESS + edited_script(**constants)
        (folder / "edited.py").write_text(edited, encoding="utf-8")
        screen = ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")
        screenless = {name: value for name, value in os.environ.items() if name not in screen}
        with open(folder / "out.txt", "w") as out, open(folder / "errors.txt", "w") as errors:
            command = [sys.executable, "-u", "edited.py"]
            self.process = subprocess.Popen(
                command, cwd=folder, env=screenless, stdout=out, stderr=errors
            )

    def printed(self):
        return (self.folder / "out.txt").read_text()

    def errors(self):
        return (self.folder / "errors.txt").read_text()

    def prints(self, text, seconds):
        """Waits until the script has printed the text or ended; returns whether it has."""
        end = time.monotonic() + seconds
        while text not in self.printed() and self.process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        return text in self.printed()

    def interrupt(self, at, answer, again=5):
        """Sends Ctrl-C when the script has printed `at`, until it has printed the answer.

        It does so every `again` seconds, as Keras loses one in a hundred: a bare `except:` in its
        `pythonify_logs` takes it.
        """
        assert self.prints(at, PATIENCE), self.errors()
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < end:
            self.process.send_signal(signal.SIGINT)
            if self.prints(answer, again):
                return
        raise AssertionError(f"no answer to Ctrl-C: {self.printed()[-1000:]}")

    def wait(self):
        """Waits until the script ends; returns its exit code."""
        return self.process.wait(PATIENCE)

    def end(self):
        """Ends the script wherever it is."""
        self.process.kill()
        self.process.wait()
