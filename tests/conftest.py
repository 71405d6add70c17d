"""Lets the tests import the script, keeps its windows closed, and runs its main()."""

import os
import sys
from pathlib import Path

import pytest

os.environ["MPLBACKEND"] = "agg"
sys.path.insert(0, str(Path(__file__).parents[1]))


@pytest.fixture
def run_main(monkeypatch, tmp_path, capsys):
    """Returns a function that runs main() with other constants and returns what is printed."""
    # Imported here, as the process that only hands out the tests needs no TensorFlow.
    import matplotlib.pyplot as plt

    import helpers
    import stateful_lstm as program

    def run(**constants):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(program, "build_model", helpers.new_model)
        short = {"XN": 250, "EPOCHS": 2, "VERBOSE": 2, "MODEL_FILE": None}  # needs pydot
        for name, value in {**short, **constants}.items():
            assert hasattr(program, name)
            monkeypatch.setattr(program, name, value)
        program.main()
        return capsys.readouterr().out

    yield run
    plt.close("all")


@pytest.fixture
def pydot():
    """Skips a test of the model's picture where its package is not installed."""
    return pytest.importorskip("pydot")


@pytest.fixture
def start_script(tmp_path):
    """Returns a function that starts the script with other constants, as a helpers.Script."""
    from helpers import Script

    scripts = []

    def start(**constants):
        scripts.append(Script(tmp_path, **constants))
        return scripts[-1]

    yield start
    for script in scripts:
        script.end()
