"""Wrong constants are named before anything is printed, computed or written."""

import os
import re

import numpy as np
import pytest

import stateful_lstm as program

COUNTS = "TSTEPS BATCH_SIZE EPOCHS LAHEAD UNITS STEP"
WRONG = [  # names of constants, what they must be, wrong values
    (COUNTS, "be an integer of at least 1", [0, -1, 2.5, 3.0, "3", None, True]),
    ("X0 XN", "be an integer", [0.5, 50.0, "0", None, False]),
    ("AMP PERIOD K", "be a finite number", ["100", None, True, np.inf, np.nan, 1j]),
    ("PERIOD", "not be 0", [0, 0.0]),
    ("XN", "be above X0, 0", [0, -3]),
    ("LAHEAD", "be below the number of samples, 250", [250, 300]),
    ("STATEFUL", "be True or False", ["no", 1, None]),
    ("MODEL_FILE", "be None or a file name with an ending, such as .svg", [False, 5, "model"]),
    ("SEED", "be None or an integer of at least 0, below 4294967296", [-1, 1.5, 2**32, "1"]),
    ("VERBOSE", 'be 0, 1, 2 or "auto"', [7, "yes", -1, None]),
    ("BATCH_SIZE", "250; the nearest sizes that do: 25 or 50", [32]),
    ("BATCH_SIZE", "250; the nearest sizes that do: 250", [500]),
    ("PLOT_FILE", "be None or a file name that ends with .", ["x.xyz", "x", "", ".", 5, True]),
    ("PLOT_FILE", "be in a folder that exists and can be written to", ["no/such/folder.png"]),
]
CASES = [(name, must, values) for names, must, values in WRONG for name in names.split()]


@pytest.mark.parametrize("name, must, wrong_values", CASES)
def test_a_wrong_constant_is_named_before_anything_is_printed_or_written(
    run_main, capsys, name, must, wrong_values
):
    for value in wrong_values:
        named = re.escape(f"{name} = {value!r}: must ")
        with pytest.raises(ValueError, match=named + ".*" + re.escape(must)):
            run_main(**{name: value})
        assert capsys.readouterr().out == ""
        assert os.listdir() == []


def test_one_smaller_and_one_larger_batch_size_are_named():
    with pytest.raises(ValueError, match="that do: 25 or 50$"):
        program.check_batch_size("BATCH_SIZE", 32, 250)


def test_all_samples_can_be_one_batch(run_main):
    run_main(XN=25, LAHEAD=24, EPOCHS=1)


def test_the_number_of_samples_is_multiplied_by_the_step(monkeypatch):
    for name, value in dict(XN=25, STEP=2, BATCH_SIZE=50, LAHEAD=49, MODEL_FILE=None).items():
        monkeypatch.setattr(program, name, value)
    program.check_constants()


def test_the_plot_file_can_be_a_path_and_checking_it_writes_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(program, "PLOT_FILE", tmp_path / "plot.PDF")
    program.check_constants()
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written_to_is_refused(run_main, monkeypatch, capsys):
    monkeypatch.setattr(os, "access", lambda folder, mode: mode != os.W_OK)
    with pytest.raises(ValueError, match="PLOT_FILE = .* be in a folder that .* be written to"):
        run_main()
    assert capsys.readouterr().out == ""


def test_the_numbers_of_the_series_can_be_numbers_of_numpy(run_main):
    run_main(AMP=np.float32(3), PERIOD=np.float64(50), K=np.int64(0), EPOCHS=1)


def test_a_backend_that_cannot_run_is_an_error_before_anything_is_printed(
    run_main, monkeypatch, capsys
):
    monkeypatch.setattr(program.plt, "get_backend", lambda: "module://missing")
    with pytest.raises(ImportError, match="missing"):
        run_main()
    assert capsys.readouterr().out == ""


def test_another_backend_of_keras_is_named_first(run_main, monkeypatch, capsys):
    monkeypatch.setattr(program.keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="backend of Keras is 'jax': must be \"tensorflow\""):
        run_main()
    assert capsys.readouterr().out == ""


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_series_that_overflows_is_an_error_before_training(run_main, capsys):
    with pytest.raises(ValueError, match="cos has values that are not finite as float32"):
        run_main(K=-10)
    assert "Epoch" not in capsys.readouterr().out
