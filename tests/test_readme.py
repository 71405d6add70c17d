"""What the README says can be typed as it stands."""

import re
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pytest

import stateful_lstm as program
from helpers import SCRIPT, get_snippets, new_model

README = SCRIPT.with_name("README.md").read_text(encoding="utf-8")


@pytest.fixture
def short_program(monkeypatch, tmp_path):
    """The program with a short series and two epochs unless told otherwise, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(program, "gen_cosine_amp", partial(program.gen_cosine_amp, xn=250))
    monkeypatch.setattr(program, "train", partial(program.train, epochs=2, verbose=2))
    monkeypatch.setattr(program, "build_model", new_model)
    yield
    plt.close("all")


def test_the_snippets_for_a_notebook_run_one_after_the_other(short_program, tmp_path, capsys):
    exec("\n".join(get_snippets("In a notebook or your own program")), {})
    epochs = re.findall("Epoch . / .", capsys.readouterr().out)
    assert epochs == [*["Epoch 0 / 2", "Epoch 1 / 2"], *[f"Epoch {i} / 3" for i in range(3)]]
    assert {path.name for path in tmp_path.iterdir()} == {"stateful_lstm.png", "model.keras"}


@pytest.mark.parametrize("tsteps", [1, 4])
def test_your_own_series_becomes_samples_and_the_values_after_them(tsteps):
    first, *_ = get_snippets("Your own series")
    names = dict(np=np)
    exec(first.replace("tsteps = 1", f"tsteps = {tsteps}"), names)
    x, y, k, scaled = [names[name] for name in ("x", "y", "k", "scaled")]
    assert x.shape == (4000 - tsteps, tsteps, 1) and y.shape == (4000 - tsteps, 1)
    np.testing.assert_array_equal(x[7, :, 0], scaled[7 : 7 + tsteps])
    np.testing.assert_array_equal(y[:, 0], scaled[tsteps:])
    assert y[k - 1, 0] == scaled[names["n"] - 1]  # the last target of the first part
    assert abs(scaled[: names["n"]].mean()) < 1e-9


def test_your_own_series_is_predicted_better_than_by_no_change(short_program, capsys):
    names = dict(np=np, plt=plt, stateful_lstm=program, keras=program.keras)
    exec("\n".join(get_snippets("Your own series")), names)
    printed = capsys.readouterr().out
    mse, no_change, of_forecast, of_last_value = map(float, re.findall("MSE.*: (.*)", printed))
    assert mse < 0.7 * no_change
    assert of_forecast < 0.1 * of_last_value
    assert len(names["predicted"]) == 800 and len(names["forecast"]) == 50
    assert "Epoch 3/3" in printed and "val_loss" in printed


def test_the_links_between_the_documents_lead_somewhere():
    folder = SCRIPT.parent
    for path in [folder / "README.md", *(folder / "tests").glob("*.md")]:
        text = path.read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https)([^)]*)\)", text):
            file, _, anchor = target.partition("#")
            linked = (path.parent / file) if file else path
            assert linked.exists(), target
            if anchor:
                headings = re.findall(r"(?m)^#+ (.*)$", linked.read_text(encoding="utf-8"))
                anchors = [re.sub("[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in headings]
                assert anchor in anchors, target


def test_continuous_integration_runs_the_test_command():
    [command] = re.findall("(?m)^    (.*bin/pytest .*)$", README)
    assert command in (SCRIPT.parent / ".ci" / "run").read_text().splitlines()


def test_every_constant_is_named():
    constants = re.findall(r"(?m)^([A-Z0-9_]+) = ", SCRIPT.read_text(encoding="utf-8"))
    section = README.split("## Constants")[1].split("##")[0]
    for name in constants:
        assert f"`{name}`" in section
