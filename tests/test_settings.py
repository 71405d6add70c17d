"""Wrong constants are named before anything is written or trained."""

import concurrent.futures
import os
import re
import socket

import numpy as np
import pytest

import stateful_lstm as program
from helpers import needs_graphviz


def refused(constants, right, *wrong):
    """Returns parameters of the test below: values of one or more constants that are wrong."""
    return [(constant, value, right) for constant in constants.split() for value in wrong]


COUNTS = "BATCH_SIZE TSTEPS UNITS EPOCHS LAHEAD STEP STACK"
NO_PICTURES = ["x.xyz", "x", "", 5, b"x.png"]


@pytest.mark.parametrize(
    "constant, value, right",
    [
        *refused(COUNTS, "be a whole number of at least 1", 0, -1, 2.5, "3", None, True),
        *refused(COUNTS, "be a whole number of at least 1, below 2**63", 2**63),
        *refused(
            "BATCH_SIZE",
            "divide the number of samples, 250, as 25 or 50 would (or leave out 26 samples)",
            32,
        ),
        *refused("BATCH_SIZE", "divide the number of samples, 250, as 5 or 10 would (or", 7),
        *refused("BATCH_SIZE", "divide the number of samples, 250, as 250 would", 10**12),
        *refused("LAHEAD", "be below the number of samples, 250", 250),
        *refused("XN", "be above X0", 0, -3),
        *refused("X0", "be above X0", 250),
        *refused("X0 XN", "be a whole number", 0.5, "0", None, False, 10**20, -(10**20)),
        *refused("X0", "keep x within 2**53 of 0", -(2**60)),
        *refused("STEP", "keep x within 2**53 of 0", 2**60),
        *refused("TSTEPS", "keep x within 2**53 of 0", 2**60),
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
        *refused("PLOT_FILE", "be None or a file that ends with .", *NO_PICTURES),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_wrong_constant_is_named_before_anything_is_printed_or_written(
    run_main, capsys, constant, value, right
):
    named = re.escape(f"{constant} = {value!r}") + ".*" + re.escape(f": must {right}")
    with pytest.raises(ValueError, match=named):
        run_main(**{constant: value})
    assert capsys.readouterr().out == ""
    assert os.listdir() == []


@pytest.mark.parametrize("value", NO_PICTURES)
def test_a_wrong_name_of_the_models_picture_is_named_before_anything_is_printed(
    run_main, capsys, pydot, value
):
    named = re.escape(f"MODEL_FILE = {value!r}: must be None or a file that ends with ")
    with pytest.raises(ValueError, match=named + ".*[.]svg,"):
        run_main(MODEL_FILE=value)
    assert capsys.readouterr().out == ""


def test_sizes_are_suggested_for_a_prime_number_of_samples_too(run_main):
    with pytest.raises(ValueError, match=r"as 1 or 251 would \(or leave out 1 samples\)"):
        run_main(XN=251)


@pytest.mark.parametrize("value", [0, 1, 2, "auto"])
def test_each_of_keras_kinds_of_progress_is_taken(value):
    program.check_verbose(verbose=value)


def test_sizes_are_suggested_for_a_square_number_of_samples_too(run_main):
    with pytest.raises(ValueError, match=r"as 16 or 20 would \(or leave out 1 samples\)"):
        run_main(XN=400, BATCH_SIZE=19)


@pytest.mark.parametrize(
    "constants, named",
    [
        ({"X0": 500, "XN": 500}, "XN = 500 with X0 = 500"),
        ({"LAHEAD": 9, "X0": 7, "XN": 10, "STEP": 3}, "LAHEAD = 9 with XN = 10, X0 = 7, STEP = 3"),
        ({"X0": 7, "XN": 10, "STEP": 3}, "BATCH_SIZE = 25 with XN = 10, X0 = 7, STEP = 3"),
        ({"AMP": 1e308, "K": -1}, "AMP = 1e+308 with PERIOD = 1000, K = -1"),
    ],
)
def test_a_condition_on_several_settings_names_them_all(run_main, constants, named):
    with pytest.raises(ValueError, match=re.escape(named)):
        run_main(**constants)


UNWRITABLE = [
    "no/such/folder.png",
    "folder.png",
    "file.txt/plot.png",
    "dangling.png",
    "x\0.png",
    "fifo.png",
    "x" * 300 + ".png",
    "socket.png",
    "device.png",
]


@pytest.fixture
def obstacles(tmp_path, monkeypatch):
    """Makes what stands in the way of some paths."""
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file.txt").touch()
    (tmp_path / "dangling.png").symlink_to("no/such/folder.png")
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    monkeypatch.chdir(tmp_path)  # as a socket's name must be short
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket.png")


@pytest.mark.parametrize("path", [*UNWRITABLE, "."])
def test_a_plot_that_cannot_be_written_is_named_before_anything_is_printed(
    run_main, capsys, obstacles, path
):
    named = re.escape(f"PLOT_FILE = {path!r}: must be a file that can be written")
    with pytest.raises(OSError, match=named):
        run_main(PLOT_FILE=path)
    assert capsys.readouterr().out == ""


@needs_graphviz
@pytest.mark.parametrize("path", UNWRITABLE[:6])
def test_a_picture_of_the_model_that_cannot_be_written_costs_a_line(
    run_main, obstacles, pydot, path
):
    printed = run_main(MODEL_FILE=path)
    line = re.escape(f"No picture of the model: MODEL_FILE = {path!r} cannot be written (")
    assert re.search(f"params: .*\n{line}.*\nTraining\n", printed)
    assert "Plot: stateful_lstm.png" in printed


def test_a_folder_without_leave_to_write_is_named(run_main, monkeypatch, capsys):
    def protected(path, mode):
        raise PermissionError(f"Permission denied: {path}")

    monkeypatch.setattr(program, "open", protected, raising=False)
    with pytest.raises(OSError, match="PLOT_FILE = 'x.png': must be a file that can be written"):
        run_main(PLOT_FILE="x.png")
    assert capsys.readouterr().out == ""


def test_several_processes_can_try_one_path_at_a_time(tmp_path):
    def try_often(_):
        for _ in range(300):
            program.try_to_write(tmp_path / "plot.png")

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(try_often, range(4)))
    assert list(tmp_path.iterdir()) == []


def test_a_write_protected_picture_is_named_before_anything_is_computed(
    run_main, monkeypatch, capsys
):
    def protected(path, mode):
        if mode == "xb":
            raise FileExistsError
        raise PermissionError(f"Permission denied: {path}")

    monkeypatch.setattr(program, "open", protected, raising=False)  # as root may write any file
    named = "PLOT_FILE = 'stateful_lstm.png': must be a file that can be written"
    with pytest.raises(OSError, match=named):
        run_main()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("path", ["old.png", "new.png", "link.png"])
def test_looking_whether_a_plot_can_be_written_leaves_no_trace(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.png").write_bytes(b"an old picture")
    (tmp_path / "link.png").symlink_to("other.png")
    program.check_plot_file(path)
    assert sorted(os.listdir()) == ["link.png", "old.png"]
    assert (tmp_path / "old.png").read_bytes() == b"an old picture"


def test_a_format_that_cannot_be_written_here_is_named_before_anything_is_computed(
    run_main, monkeypatch, capsys
):
    monkeypatch.setenv("PATH", "")  # so that there is no LaTeX
    named = "PLOT_FILE = 'x.pgf': must be of a format that can be written here"
    with pytest.raises(ValueError, match=named):
        run_main(PLOT_FILE="x.pgf", MODEL_FILE=None)
    assert capsys.readouterr().out == ""


def test_two_pictures_in_one_file_are_refused_by_both_names(run_main, capsys, pydot):
    named = "PLOT_FILE and MODEL_FILE must be two files, and not './x.svg' and 'x.svg'"
    with pytest.raises(ValueError, match=named):
        run_main(PLOT_FILE="./x.svg", MODEL_FILE="x.svg")
    assert capsys.readouterr().out == ""
