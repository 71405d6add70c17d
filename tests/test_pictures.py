"""The picture of the result and the picture of the model."""

import os
import re
import sys
import xml.etree.ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest

import stateful_lstm as program
from helpers import needs_graphviz, new_model, series
from stateful_lstm import keras


def test_main_draws_expected_above_predicted_on_the_same_scale(run_main, monkeypatch):
    saved = []
    monkeypatch.setattr(plt.Figure, "savefig", lambda fig, *_, **settings: saved.append(fig))
    run_main()
    top, bottom = saved[-1].axes
    assert (top.get_title(), bottom.get_title()) == ("Expected", "Predicted")
    assert top.get_position().y0 > bottom.get_position().y1
    assert top.get_ylim() == bottom.get_ylim()
    top.set_xlim(10, 20)  # as in a window
    assert bottom.get_xlim() == (10, 20)
    _, expected_output = series()
    np.testing.assert_array_equal(top.lines[0].get_ydata(), expected_output[:, 0])
    assert len(bottom.lines[0].get_ydata()) == 250
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in (top, bottom))


@pytest.mark.parametrize(
    "backend, windows",
    [
        ("agg", ""),
        ("pdf", ""),
        ("tkagg", "window {'block': True}\n"),
        ("inline", "window {'block': True}\n"),
    ],
)
@pytest.mark.parametrize("path, line", [("plot.png", "Plot: plot.png\n"), (None, "")])
def test_a_window_is_shown_after_the_line_of_the_file_and_only_where_there_is_a_screen(
    monkeypatch, tmp_path, capsys, backend, windows, path, line
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "get_backend", lambda: backend)
    monkeypatch.setattr(plt, "show", lambda **how: print("window", how))
    program.plot_results(np.zeros((9, 1)), np.zeros((9, 1)), path)
    plt.close("all")
    assert capsys.readouterr().out == line + windows
    assert os.listdir() == [path] * (path is not None)


def test_a_picture_that_is_not_shown_is_closed(tmp_path):
    for _ in range(3):
        program.plot_results(np.zeros((9, 1)), np.zeros((9, 1)), tmp_path / "plot.png")
    assert plt.get_fignums() == []


def test_a_window_is_shown_inside_of_somebodys_except_too(monkeypatch):
    shown = []
    monkeypatch.setattr(plt, "get_backend", lambda: "tkagg")
    monkeypatch.setattr(plt, "show", lambda **how: shown.append(how))
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        program.plot_results(np.zeros((9, 1)), np.zeros((9, 1)), None)
    plt.close("all")
    assert shown


def test_a_plot_that_cannot_be_written_is_shown_all_the_same(monkeypatch, tmp_path):
    shown = []
    monkeypatch.setattr(plt, "get_backend", lambda: "tkagg")
    monkeypatch.setattr(plt, "show", lambda **how: shown.append(how))
    with pytest.raises(OSError, match="gone"):
        program.plot_results(np.zeros((9, 1)), np.zeros((9, 1)), tmp_path / "gone" / "plot.png")
    plt.close("all")
    assert shown


def test_ctrl_c_while_drawing_ends_the_program_and_opens_no_window(run_main, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "check_constants", lambda: None)  # it asks the true backend
    monkeypatch.setattr(plt, "get_backend", lambda: "tkagg")
    monkeypatch.setattr(plt, "show", lambda **how: print("window", how))
    monkeypatch.setattr(plt.Figure, "savefig", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_main()
    assert capsys.readouterr().out.endswith("Plotting Results\n")


PNG = b"\x89PNG"
FORMATS = {"png": PNG, "PNG": PNG, "pdf": b"%PDF", "svg": b"<?xml", "jpg": b"\xff\xd8"}


@pytest.mark.parametrize("ending, start", FORMATS.items())
def test_the_ending_of_a_plot_says_its_format(run_main, tmp_path, ending, start):
    run_main(PLOT_FILE=f"plot.{ending}")
    assert (tmp_path / f"plot.{ending}").read_bytes().startswith(start)


@needs_graphviz
@pytest.mark.parametrize("ending", ["PNG", "pdf", "svg"])
def test_the_ending_of_the_models_picture_says_its_format(tmp_path, pydot, ending):
    program.draw_model(new_model(), tmp_path / f"model.{ending}")
    assert (tmp_path / f"model.{ending}").read_bytes().startswith(FORMATS[ending])


def test_none_for_the_plot_writes_none(run_main):
    assert "Plot:" not in run_main(PLOT_FILE=None)
    assert os.listdir() == []


def test_none_for_the_picture_of_the_model_draws_none_and_says_nothing(run_main):
    printed = run_main(MODEL_FILE=None)
    assert "No picture" not in printed and "Plot:" in printed
    assert os.listdir() == ["stateful_lstm.png"]


def test_a_backend_that_cannot_run_fails_before_anything_is_computed(run_main, monkeypatch, capsys):
    monkeypatch.setattr(plt, "get_backend", lambda: "module://missing")
    with pytest.raises(ImportError, match="missing"):
        run_main()
    assert capsys.readouterr().out == ""


@needs_graphviz
def test_the_model_is_drawn_with_its_layers_and_shapes(run_main, tmp_path, pydot):
    assert "No picture" not in run_main(MODEL_FILE="model.svg")
    picture = xml.etree.ElementTree.parse(tmp_path / "model.svg")
    drawing = "".join(picture.getroot().itertext())
    assert drawing.count("LSTM") == 2 and drawing.count("Dense") == 1
    assert "(25, 1, 50)" in drawing


def assert_no_picture(run_main, what):
    """Asserts that a run says in one line what is missing, and goes on."""
    printed = run_main(MODEL_FILE="model.svg")
    line = f"No picture of the model: .*{what}.*pip install pydot.*install graphviz.*"
    assert re.search(f"params: .*\n{line}\nTraining\n", printed)
    assert "Plot: stateful_lstm.png" in printed
    assert not os.path.exists("model.svg")


def test_without_pydot_a_line_says_that_the_model_is_not_drawn(run_main, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydot", None)
    assert_no_picture(run_main, "pydot")


def test_without_graphviz_a_line_says_that_the_model_is_not_drawn(run_main, monkeypatch, pydot):
    monkeypatch.setenv("PATH", "")
    assert_no_picture(run_main, '"dot" not found')


def test_a_graphviz_that_fails_costs_one_line(run_main, tmp_path, monkeypatch, pydot):
    (tmp_path / "dot").write_text("#!/bin/sh\necho one >&2\necho two >&2\nexit 3\n")
    (tmp_path / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert_no_picture(run_main, "returned code: 3")


def test_a_graphviz_that_draws_nothing_costs_one_line(run_main, monkeypatch, pydot):
    monkeypatch.setattr(pydot.Dot, "create", lambda *_, **settings: b"")  # as under `python -O`
    assert_no_picture(run_main, "Graphviz drew nothing")


@needs_graphviz
def test_an_old_picture_of_the_model_stays_where_no_new_one_can_be_drawn(
    run_main, tmp_path, monkeypatch, pydot
):
    (tmp_path / "model.svg").write_bytes(b"an old picture")
    monkeypatch.setenv("PATH", "")
    assert "No picture" in run_main(MODEL_FILE="model.svg")
    assert (tmp_path / "model.svg").read_bytes() == b"an old picture"


def test_a_plot_does_not_wait_for_the_reader_of_a_fifo(tmp_path):
    os.mkfifo(tmp_path / "fifo.png")
    with pytest.raises(OSError, match="no regular file"):
        program.plot_results(np.zeros((9, 1)), np.zeros((9, 1)), tmp_path / "fifo.png")


def test_a_fault_of_the_scripts_own_is_no_missing_picture(run_main, monkeypatch, pydot):
    monkeypatch.setattr(keras.utils, "model_to_dot", lambda model: None)
    with pytest.raises(TypeError, match="show_shapes"):
        run_main(MODEL_FILE="model.svg")
