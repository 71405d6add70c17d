"""The picture of the result and the picture of the model."""

import os
import re
import shutil
import sys
import xml.etree.ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest

import stateful_lstm as program
from helpers import series
from stateful_lstm import keras


def test_main_draws_expected_above_predicted_on_the_same_scale(run_main, monkeypatch):
    saved = []
    monkeypatch.setattr(plt.Figure, "savefig", lambda fig, *_, **settings: saved.append(fig))
    run_main()
    top, bottom = saved[-1].axes
    assert (top.get_title(), bottom.get_title()) == ("Expected", "Predicted")
    assert top.get_position().y0 > bottom.get_position().y1
    assert top.get_ylim() == bottom.get_ylim()
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


@pytest.mark.parametrize("ending", ["png", "pdf", "svg", "jpg"])
def test_the_ending_of_a_picture_says_its_format(run_main, tmp_path, ending):
    start = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml", "jpg": b"\xff\xd8"}[ending]
    run_main(PLOT_FILE=f"plot.{ending}", MODEL_FILE=f"model.{ending}")
    for name in ("plot", "model"):
        assert (tmp_path / f"{name}.{ending}").read_bytes().startswith(start)


@pytest.mark.parametrize("constant", ["PLOT_FILE", "MODEL_FILE"])
def test_none_for_a_picture_writes_none(run_main, constant):
    pictures = {"PLOT_FILE": "stateful_lstm.png", "MODEL_FILE": "stateful_lstm_model.svg"}
    printed = run_main(**{constant: None})
    del pictures[constant]
    assert os.listdir() == list(pictures.values())
    assert "No picture" not in printed and ("Plot:" in printed) == (constant == "MODEL_FILE")


def test_a_backend_that_cannot_run_fails_before_anything_is_computed(run_main, monkeypatch, capsys):
    monkeypatch.setattr(plt, "get_backend", lambda: "module://missing")
    with pytest.raises(ImportError, match="missing"):
        run_main()
    assert capsys.readouterr().out == ""


@pytest.mark.skipif(not shutil.which("dot"), reason="needs Graphviz")
def test_the_model_is_drawn_with_its_layers_and_shapes(run_main, tmp_path):
    assert "No picture" not in run_main()
    picture = xml.etree.ElementTree.parse(tmp_path / "stateful_lstm_model.svg")
    drawing = "".join(picture.getroot().itertext())
    assert drawing.count("LSTM") == 2 and drawing.count("Dense") == 1
    assert "(25, 1, 50)" in drawing


@pytest.mark.parametrize(
    "trouble, what",
    [("pydot", "pydot"), ("graphviz", '"dot" not found'), ("failing", "returned code: 3")],
)
def test_a_picture_of_the_model_that_fails_costs_one_line(
    run_main, tmp_path, monkeypatch, trouble, what
):
    if trouble == "pydot":
        monkeypatch.setitem(sys.modules, "pydot", None)
    else:
        folder = tmp_path / "bin"
        folder.mkdir()
        monkeypatch.setenv("PATH", str(folder))
        if trouble == "failing":
            (folder / "dot").write_text("#!/bin/sh\necho one >&2\necho two >&2\nexit 3\n")
            (folder / "dot").chmod(0o755)
    printed = run_main()
    line = f"No picture of the model: .*{what}.*pip install pydot.*install graphviz.*"
    assert re.search(f"params: .*\n{line}\nTraining\n", printed)
    assert "Epoch 1 / 2" in printed
    assert not (tmp_path / "stateful_lstm_model.svg").exists()


def test_a_fault_of_the_scripts_own_is_no_missing_picture(run_main, monkeypatch):
    monkeypatch.setattr(keras.utils, "model_to_dot", lambda model: None)
    with pytest.raises(TypeError, match="show_shapes"):
        run_main()
