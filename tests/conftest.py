"""Lets the tests import the script, keeps windows closed, and runs main() on a short series."""

import os
import sys
from pathlib import Path

import pytest

os.environ["MPLBACKEND"] = "agg"
sys.path.insert(0, str(Path(__file__).parents[1]))


def pytest_configure(config):
    config.option.reportchars += "sx"  # says what is skipped, and what a newer Keras fails


@pytest.fixture
def run_main(monkeypatch, tmp_path, capsys):
    """Returns a function that runs main() with other constants and returns what it prints."""
    # Imported here, because the process that distributes the tests needs no TensorFlow.
    import helpers
    import stateful_lstm as program

    def run(**constants):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(program, "build_model", helpers.new_model)
        short = {"XN": 250, "EPOCHS": 2, "VERBOSE": 2, "MODEL_FILE": None}  # needs pydot
        for name, value in {**short, **constants}.items():
            monkeypatch.setattr(program, name, value)
        program.main()
        return capsys.readouterr().out

    yield run
    program.plt.close("all")
