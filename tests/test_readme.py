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
    monkeypatch.setattr(program.train, "__defaults__", (2, 2))  # epochs, verbose
    monkeypatch.setattr(program, "build_model", new_model)
    yield
    plt.close("all")


def test_the_snippet_about_states_finds_that_only_the_same_row_continues(short_program, capsys):
    [snippet] = get_snippets("What stateful means")
    exec(snippet, {})
    assert capsys.readouterr().out == "[3]\n"


def test_the_snippets_for_a_notebook_run_one_after_the_other(short_program, tmp_path, capsys):
    exec("\n".join(get_snippets("In a notebook or your own program")), {})
    epochs = re.findall("Epoch . / .", capsys.readouterr().out)
    assert epochs == [*["Epoch 0 / 2", "Epoch 1 / 2"], *[f"Epoch {i} / 3" for i in range(3)]]
    assert {path.name for path in tmp_path.iterdir()} == {"stateful_lstm.png", "model.keras"}


def test_training_goes_on_at_lower_rates_and_with_shuffled_samples(short_program, monkeypatch):
    names, calls = {}, []
    exec(get_snippets("In a notebook or your own program")[0], names)
    lower_rates, shuffled = get_snippets("Does the state matter?")
    train = program.train

    def record(model, cos, expected_output, epochs):
        calls.append((float(model.optimizer.learning_rate), cos, expected_output, epochs))
        return train(model, cos, expected_output, epochs)

    monkeypatch.setattr(program, "train", record)
    exec(lower_rates, names)
    assert [call[0] for call in calls] == pytest.approx([1e-4, 1e-5])
    assert [call[3] for call in calls] == [5, 5]
    calls.clear()
    exec(shuffled, names)
    pairs = sorted(zip(names["cos"].ravel(), names["expected_output"].ravel()))
    for _, cos, expected_output, epochs in calls:
        assert epochs == 1 and not np.array_equal(cos, names["cos"])
        assert sorted(zip(cos.ravel(), expected_output.ravel())) == pairs
    assert len(calls) == 5 and not np.array_equal(calls[0][1], calls[1][1])


@pytest.mark.parametrize("tsteps", [1, 4])
def test_your_own_series_becomes_samples_and_the_values_after_them(tsteps):
    first, *_ = get_snippets("Your own series")
    names = {}
    exec(first.replace("tsteps = 1", f"tsteps = {tsteps}"), names)
    x, y, k, scaled = [names[name] for name in ("x", "y", "k", "scaled")]
    assert x.shape == (1000 - tsteps, tsteps, 1) and y.shape == (1000 - tsteps, 1)
    np.testing.assert_array_equal(x[7, :, 0], scaled[7 : 7 + tsteps])
    np.testing.assert_array_equal(y[:, 0], scaled[tsteps:])
    assert y[k - 1, 0] == scaled[names["n"] - 1]  # the last target of the first part
    assert abs(scaled[: names["n"]].mean()) < 1e-9


def test_your_own_series_is_predicted_better_than_by_both_baselines(short_program, capsys):
    names = {}
    snippets = get_snippets("Your own series")
    printed = []
    for snippet in snippets:
        exec(snippet, names)
        printed += re.findall("MSE.*: (.*)", capsys.readouterr().out)
    mse, no_change, of_mean, of_forecast, of_last_value, of_repeated_mean = map(float, printed)
    assert mse < 0.8 * min(no_change, of_mean)
    assert of_forecast < 0.1 * min(of_last_value, of_repeated_mean)
    assert len(names["predicted"]) == 200 and len(names["forecast"]) == 50
    assert abs(names["prediction"] - names["expected"][-1]) < 20

    forecast = names["forecast"]
    for again in snippets[2:5]:  # as cells of a notebook are
        exec(again, names)
    np.testing.assert_allclose(names["forecast"], forecast)

    model, x = names["my_model"], names["x"]
    last, of_200, of_10 = [program.predict(model, x[-n:])[-1, 0] for n in (len(x), 200, 10)]
    assert abs(of_200 - last) < 0.001 and abs(of_10 - last) > 0.1  # standard deviations


def test_a_missing_value_that_arrives_is_replaced_by_its_prediction(short_program):
    names = {}
    first, _, _, _, arriving, _ = get_snippets("Your own series")
    exec(first, names)
    names["my_model"] = program.build_model(batch_size=1)
    names["future"] = np.array([20.0, np.nan, 20.0, 20.0])
    exec(arriving, names)
    assert np.isfinite(names["prediction"])


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
