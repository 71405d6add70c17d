"""The plot of the result and the picture of the model."""

import os
import re
import shutil
import xml.etree.ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest

import stateful_lstm as program
from helpers import series, small_model

needs_graphviz = pytest.mark.skipif(not shutil.which("dot"), reason="needs Graphviz")


def test_expected_is_plotted_above_predicted_on_the_same_scale(monkeypatch):
    shown = []
    monkeypatch.setattr(plt, "show", lambda block: shown.append(plt.gcf()))
    _, expected_output = series()
    program.plot_results(expected_output, expected_output / 2, path=None)
    top, bottom = shown[0].axes
    assert (top.get_title(), bottom.get_title()) == ("Expected", "Predicted")
    assert top.get_position().y0 > bottom.get_position().y1
    np.testing.assert_array_equal(top.lines[0].get_ydata(), expected_output[:, 0])
    np.testing.assert_array_equal(bottom.lines[0].get_ydata(), expected_output[:, 0] / 2)
    assert top.get_ylim() == bottom.get_ylim()
    top.set_xlim(10, 20)  # as a user zooms in
    assert bottom.get_xlim() == (10, 20)
    for ax in (top, bottom):
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("sample", "value")


@pytest.mark.parametrize("interactive", [False, True])
@pytest.mark.parametrize("path, line", [("plot.png", "Plot: plot.png\n"), (None, "")])
def test_the_plot_is_shown_after_its_file_is_written_and_kept_only_where_it_is_interactive(
    monkeypatch, tmp_path, capsys, interactive, path, line
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "isinteractive", lambda: interactive)  # as with `%matplotlib widget`
    monkeypatch.setattr(plt, "show", lambda block: print(f"show(block={block})"))
    program.plot_results(np.zeros((9, 1)), np.zeros((9, 1)), path)
    figures = plt.get_fignums()
    plt.close("all")
    assert capsys.readouterr().out == line + "show(block=True)\n"
    assert bool(figures) == interactive
    assert os.listdir() == ([path] if path else [])


FORMATS = {"png": b"\x89PNG", "PDF": b"%PDF", "svg": b"<?xml", "jpg": b"\xff\xd8"}


@pytest.mark.parametrize("ending, start", FORMATS.items())
def test_the_ending_of_the_plot_file_gives_its_format(tmp_path, ending, start):
    path = tmp_path / f"plot.{ending}"
    program.plot_results(np.zeros((9, 1)), np.zeros((9, 1)), path)
    assert path.read_bytes().startswith(start)


@needs_graphviz
@pytest.mark.parametrize("ending", ["png", "PDF", "svg"])
def test_the_ending_of_the_model_file_gives_its_format(tmp_path, ending):
    pytest.importorskip("pydot")
    program.draw_model(small_model(), tmp_path / f"model.{ending}")
    assert (tmp_path / f"model.{ending}").read_bytes().startswith(FORMATS[ending])


@needs_graphviz
def test_the_model_is_drawn_with_its_layers_and_shapes(run_main, tmp_path):
    pytest.importorskip("pydot")
    assert "\nDrawing: model.svg\nTraining\n" in run_main(MODEL_FILE="model.svg")
    picture = xml.etree.ElementTree.parse(tmp_path / "model.svg")
    drawing = "".join(picture.getroot().itertext())
    assert drawing.count("LSTM") == 2 and drawing.count("Dense") == 1
    assert "(25, 1, 50)" in drawing


@pytest.mark.parametrize(
    "missing, path, reason",
    [
        ("pydot", "model.svg", "pydot"),
        ("Graphviz", "model.svg", '"dot" not found'),
        ("nothing", "no/such/folder.svg", "No such file or directory"),
        ("nothing", "model.xyz", "returned code: 1"),
    ],
)
def test_a_drawing_that_fails_prints_why_and_the_run_continues(
    run_main, monkeypatch, missing, path, reason
):
    if missing == "pydot":
        monkeypatch.setattr("keras.src.utils.model_visualization.pydot", None)
    else:
        pytest.importorskip("pydot")
    if missing == "Graphviz":
        monkeypatch.setenv("PATH", "")
    elif missing == "nothing" and not shutil.which("dot"):
        pytest.skip("needs Graphviz")
    printed = run_main(MODEL_FILE=path)
    message = f"Leaving out {path}, a drawing that needs pydot and Graphviz: .*{reason}.*"
    assert re.search(f"\n{message}\nTraining\n", printed)
    assert os.listdir() == ["stateful_lstm.png"]


def test_files_of_none_are_not_written(run_main):
    printed = run_main(PLOT_FILE=None, MODEL_FILE=None)
    assert not re.search("Plot:|Drawing:|Leaving out", printed)
    assert os.listdir() == []
