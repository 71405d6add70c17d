"""Wrong constants are named before anything is printed, computed or written."""

import os
import re

import numpy as np
import pytest

import stateful_lstm as program

COUNTS = "TSTEPS BATCH_SIZE EPOCHS LAHEAD UNITS STEP STEPS_PER_EXECUTION"
WRONG = [  # names of constants, what they must be, wrong values
    (COUNTS, "be a whole number of at least 1", [0, -1, 2.5, "3", None, True]),
    ("X0 XN", "be a whole number", [0.5, "0", None, False]),
    ("AMP PERIOD K", "be a finite number", ["100", None, True, np.inf, np.nan, 1j]),
    ("PERIOD", "not be 0", [0, 0.0]),
    ("XN", "be above X0, 0", [0, -3]),
    ("LAHEAD", "be below the number of samples, 250", [250, 300]),
    ("STATEFUL", "be True or False", ["no", 1, None]),
    ("MODEL_FILE", "be None or a file name", [False, 5]),
    ("SEED", "be None or a whole number of at least 0, below 4294967296", [-1, 1.5, 2**32, "1"]),
    ("VERBOSE", 'be 0, 1, 2 or "auto"', [7, "yes", -1, None]),
    ("BATCH_SIZE", "250; the nearest sizes that do: 25 or 50", [32]),
    ("BATCH_SIZE", "250; the nearest sizes that do: 250", [500]),
    ("PLOT_FILE", "be None or a file name that ends with .", ["x.xyz", "x", "", ".", 5, True]),
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


def test_all_samples_can_be_one_batch(run_main):
    run_main(XN=25, LAHEAD=24, EPOCHS=1)


@pytest.mark.parametrize("path", ["no/such/folder.png", "folder.png", "file.txt/plot.png"])
def test_a_plot_that_cannot_be_written_is_named_before_anything_is_printed(
    run_main, tmp_path, capsys, path
):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file.txt").touch()
    named = re.escape(f"PLOT_FILE = {path!r}: must be a file that can be written")
    with pytest.raises(OSError, match=named):
        run_main(PLOT_FILE=path)
    assert capsys.readouterr().out == ""


def test_the_check_of_the_plot_keeps_an_old_file_and_leaves_no_new_one(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.png").write_bytes(b"an old plot")
    for path in ("old.png", "new.png", tmp_path / "new.PDF"):
        monkeypatch.setattr(program, "PLOT_FILE", path)
        program.check_plot_file()
    assert os.listdir() == ["old.png"]
    assert (tmp_path / "old.png").read_bytes() == b"an old plot"


def test_a_backend_that_cannot_run_is_an_error_before_anything_is_printed(
    run_main, monkeypatch, capsys
):
    monkeypatch.setattr(program.plt, "get_backend", lambda: "module://missing")
    with pytest.raises(ImportError, match="missing"):
        run_main()
    assert capsys.readouterr().out == ""


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_series_that_overflows_is_an_error_before_training(run_main, capsys):
    with pytest.raises(ValueError, match="cos has values that are not finite"):
        run_main(K=-10)
    assert "Epoch" not in capsys.readouterr().out
