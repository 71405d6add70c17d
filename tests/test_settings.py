"""Wrong constants are named before anything is written or trained."""

import os
import re

import numpy as np
import pytest

import stateful_lstm as program


def refused(constants, right, *wrong):
    """Returns parameters of the test below: values of one or more constants that are wrong."""
    return [(constant, value, right) for constant in constants.split() for value in wrong]


COUNTS = "BATCH_SIZE TSTEPS UNITS EPOCHS LAHEAD STEP STACK"
FILES = "PLOT_FILE MODEL_FILE"


@pytest.mark.parametrize(
    "constant, value, right",
    [
        *refused(COUNTS, "be a whole number of at least 1", 0, -1, 2.5, "3", None, True),
        *refused("BATCH_SIZE", "divide the number of samples, 250, as 5 or 10 would", 7),
        *refused("BATCH_SIZE", "divide the number of samples, 250, as 25 or 50 would", 32),
        *refused("BATCH_SIZE", "divide the number of samples, 250, as 250 or none would", 10**12),
        *refused("LAHEAD", "be below the number of samples, 250", 250),
        *refused("XN", "be above X0", 0, -3),
        *refused("X0", "be above X0", 250),
        *refused("X0 XN", "be a whole number", 0.5, "0", None, False),
        *refused("AMP", "be a real number", "100", None, True, np.inf, np.nan, 1j),
        *refused("AMP", "be a real number", 10**400, np.float32("inf"), np.longdouble("1e400")),
        *refused("PERIOD", "be a real number", "1000", None, True),
        *refused("K", "be a real number", "0", None, True),
        *refused("PERIOD", "give finite values", 0),
        *refused("K", "give finite values", -10),
        *refused("STATEFUL", "be True or False", "no", 1.5, None, 1),
        *refused(
            "SEED", "be a whole number of at least 0, below 4294967296", -1, 1.5, 2**40, "1", True
        ),
        *refused("VERBOSE", 'be 0, 1, 2 or "auto"', 7, "yes", -1, None),
        *refused(
            FILES, r"be None or a file that ends with .*\.pdf,", "x.xyz", "x", "", 5, b"x.png"
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.* encountered in")  # NumPy's on numbers that are not finite
def test_a_wrong_setting_is_named_before_anything_is_written_or_trained(
    run_main, capsys, constant, value, right
):
    named = f"(?i){constant} = {re.escape(repr(value))}.*: must {right}"
    with pytest.raises(ValueError, match=named):
        run_main(**{constant: value})
    assert "Training" not in capsys.readouterr().out
    assert os.listdir() == []


@pytest.mark.parametrize(
    "constants, named",
    [
        ({"X0": 500, "XN": 500}, "XN = 500 with X0 = 500"),
        ({"LAHEAD": 9, "X0": 7, "XN": 10, "STEP": 3}, "LAHEAD = 9 with XN = 10, X0 = 7, STEP = 3"),
        ({"X0": 7, "XN": 10, "STEP": 3}, "BATCH_SIZE = 25 with XN = 10, X0 = 7, STEP = 3"),
        ({"AMP": 1e308, "K": -1}, "amp = 1e+308 with period = 1000, k = -1"),
    ],
)
@pytest.mark.filterwarnings("ignore:.* encountered in")
def test_a_condition_on_several_settings_names_them_all(run_main, constants, named):
    with pytest.raises(ValueError, match=re.escape(named)):
        run_main(**constants)


@pytest.mark.parametrize("constant", FILES.split())
@pytest.mark.parametrize(
    "path",
    [
        "no/such/folder.png",
        ".",
        "folder.png",
        "file.txt/plot.png",
        "dangling.png",
        "x" * 300 + ".png",
        "x\0.png",
    ],
)
def test_a_path_that_cannot_be_written_is_named_before_anything_is_computed(
    run_main, tmp_path, capsys, constant, path
):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file.txt").touch()
    (tmp_path / "dangling.png").symlink_to("no/such/folder.png")
    named = re.escape(f"{constant} = {path!r}: must be a file that can be written")
    with pytest.raises(OSError, match=named):
        run_main(**{constant: path})
    assert capsys.readouterr().out == ""


def test_a_write_protected_picture_is_named_before_anything_is_computed(
    run_main, monkeypatch, capsys
):
    def protected(path, mode):
        raise PermissionError(f"Permission denied: {path}")

    monkeypatch.setattr(program, "open", protected, raising=False)  # as root may write any file
    named = "PLOT_FILE = 'stateful_lstm.png': must be a file that can be written"
    with pytest.raises(OSError, match=named):
        run_main()
    assert capsys.readouterr().out == ""


@pytest.mark.filterwarnings("ignore:.* encountered in")
def test_looking_whether_files_can_be_written_leaves_no_trace(run_main, tmp_path):
    (tmp_path / "old.png").write_bytes(b"an old picture")
    (tmp_path / "link.svg").symlink_to("new.svg")
    with pytest.raises(ValueError):
        run_main(PLOT_FILE="old.png", MODEL_FILE="link.svg", PERIOD=0)
    assert sorted(os.listdir()) == ["link.svg", "old.png"]
    assert (tmp_path / "old.png").read_bytes() == b"an old picture"


def test_a_format_that_cannot_be_written_here_is_named_before_anything_is_computed(
    run_main, monkeypatch, capsys
):
    monkeypatch.setenv("PATH", "")  # so that there is no LaTeX
    named = "PLOT_FILE = 'x.pgf': must be of a format that can be written here"
    with pytest.raises(ValueError, match=named):
        run_main(PLOT_FILE="x.pgf", MODEL_FILE=None)
    assert capsys.readouterr().out == ""


def test_two_pictures_in_one_file_are_refused_by_both_names(run_main, capsys):
    named = "PLOT_FILE = './x.svg' with MODEL_FILE = 'x.svg': must be another file"
    with pytest.raises(ValueError, match=named):
        run_main(PLOT_FILE="./x.svg", MODEL_FILE="x.svg")
    assert capsys.readouterr().out == ""
