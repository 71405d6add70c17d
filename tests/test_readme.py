"""What the README says can be typed as it stands."""

import os
import re
import subprocess
import sys
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


def test_the_snippets_for_a_notebook_run_one_after_the_other(short_program, tmp_path, capsys):
    exec("\n".join(get_snippets("In a notebook or your own program")), {})
    epochs = re.findall("Epoch . / .", capsys.readouterr().out)
    assert epochs == [*["Epoch 0 / 2", "Epoch 1 / 2"], *[f"Epoch {i} / 3" for i in range(3)]]
    assert {path.name for path in tmp_path.iterdir()} == {"stateful_lstm.png", "model.keras"}


def test_the_change_is_learned_at_lower_rates_and_added_to_the_value(short_program, monkeypatch):
    names, calls = {}, []
    exec(get_snippets("In a notebook or your own program")[0], names)
    train = program.train

    def record(model, cos, targets, **settings):
        calls.append((float(model.optimizer.learning_rate), targets, settings))
        return train(model, cos, targets, **settings)

    monkeypatch.setattr(program, "train", record)
    [snippet] = get_snippets("Does the state matter?")
    exec(snippet, names)
    cos, values = names["cos"], names["cos"][:, 0]
    for _, targets, _ in calls:
        np.testing.assert_array_equal(targets[:-1], np.diff(values, axis=0))
        assert targets[-1] == 0
    assert [call[0] for call in calls] == pytest.approx([1e-3, 1e-4, 1e-5])
    assert [call[2] for call in calls] == [{}, {"epochs": 5}, {"epochs": 5}]
    added = values + program.predict(names["model"], cos, verbose=0)
    np.testing.assert_allclose(names["predicted_output"], added)


OWN = get_snippets("Your own series")
LOAD, FUNCTIONS, CHOOSE, TRAIN, PREDICT, FORECAST, CHECK, ALL, SAVE, GO_ON, MANY, LAYERS = OWN
RANDOM = np.random.default_rng(0).normal(size=90)
SEASON = np.arange(90) + 9 * np.sin(np.arange(90) * np.pi / 6) + RANDOM / 9
SERIES = {0: RANDOM, 1: np.cumsum(RANDOM), 12: SEASON}  # by the lag that fits


def run_short(values, *snippets):
    """Runs snippets with a series that has a season of 12, and one epoch at each rate."""
    code = re.sub("(?m)^values = 20.*", "", LOAD + FUNCTIONS + "".join(snippets))
    for text, short in (("season = 1 ", "season = 12 "), ("(1e-4, 33), (1e-5, 17)", "(1e-4, 1)")):
        code = code.replace(text, short)
    names = dict(values=values)
    exec(code, names)
    return names


@pytest.mark.parametrize("lag", SERIES)
def test_the_lag_is_the_one_whose_differences_vary_least(lag):
    assert run_short(SERIES[lag], CHOOSE)["lag"] == lag


@pytest.mark.parametrize("lag", SERIES)
def test_the_samples_and_targets_are_scaled_differences(short_program, lag):
    values = SERIES[lag]
    names = run_short(values, CHOOSE, TRAIN)
    differences = names["mean"] + names["deviation"] * names["samples"][:, 0, 0]
    guesses = values[: 72 - lag] if lag else 0
    np.testing.assert_allclose(guesses + differences, values[lag:72], atol=1e-9)
    x, y, k, n = [names[name] for name in ("x", "y", "k", "n")]
    assert n == 57 and len(x) == len(y) == 72 - lag - 1
    np.testing.assert_array_equal(y[:-1], x[1:, 0])
    np.testing.assert_array_equal(y[k - 1], names["samples"][n - lag - 1, 0])  # of value n - 1
    of_the_first_part = names["samples"][: n - lag]
    assert of_the_first_part.mean() == pytest.approx(0, abs=1e-9)
    assert of_the_first_part.std() == pytest.approx(1)


def test_a_list_or_a_column_becomes_a_series_whose_missing_values_are_filled(capsys):
    for values in ([1, None, 3, 4], [[1], [np.nan], [3], [4]]):
        names = run_short(values)
        np.testing.assert_array_equal(names["values"], [1, 2, 3, 4])
        assert "missing: 1" in capsys.readouterr().out


def test_predictions_of_large_values_keep_their_digits(short_program):
    names = run_short(1e9 + SERIES[1], CHOOSE, TRAIN)
    known = names["series"].tolist()  # as numbers of a loaded model, which are not NumPy's
    names["mean"], names["deviation"] = names["mean"].item(), names["deviation"].item()
    assert abs(names["predict_next"](known) - known[-1]) < 9
    assert type(names["predict_next"](known)) is float


@pytest.mark.parametrize("lag", SERIES)
def test_one_value_at_a_time_is_predicted_as_all_at_once(short_program, lag):
    names = run_short(SERIES[lag], CHOOSE, TRAIN, PREDICT)
    series, n, k = [names[name] for name in ("series", "n", "k")]
    program.predict(names["my_model"], names["x"][:k], verbose=0)
    one_by_one = [names["predict_next"](list(series[:i])) for i in range(n, len(series))]
    np.testing.assert_allclose(one_by_one, names["predicted"], rtol=1e-4)
    np.testing.assert_array_equal(names["expected"], series[n:])


def test_your_own_series_is_predicted_better_than_by_simple_guesses(short_program, capsys):
    names, printed = {}, []
    for snippet in (LOAD, FUNCTIONS, CHOOSE, TRAIN, PREDICT, FORECAST, CHECK):
        exec(snippet, names)
        printed += re.findall("MSE.*: (.*)", capsys.readouterr().out)
    mse, of_mean, no_change, of_forecast, of_repeated_mean, of_last_value = map(float, printed)
    assert mse < 0.8 * min(no_change, of_mean)
    assert of_forecast < 0.5 * min(of_last_value, of_repeated_mean)
    predicted, forecast = names["predicted"], names["forecast"]
    assert len(predicted) == 200 and len(forecast) == 50
    for again in (PREDICT, FORECAST):  # as cells of a notebook are
        exec(again, names)
    np.testing.assert_allclose(names["predicted"], predicted)
    np.testing.assert_allclose(names["forecast"], forecast)


def test_a_season_is_compared_with_the_season_before(short_program, capsys):
    names = run_short(SEASON, CHOOSE, TRAIN, PREDICT, FORECAST, CHECK)
    printed = dict(re.findall("(MSE.*): (.*)", capsys.readouterr().out))
    before = np.mean((SEASON[57 - 12 : 72 - 12] - SEASON[57:72]) ** 2)
    assert float(printed["MSE of the value 12 before"]) == pytest.approx(before)
    repeated = np.mean((np.resize(SEASON[60:72], 18) - SEASON[72:]) ** 2)
    assert float(printed["MSE of the last 12, repeated"]) == pytest.approx(repeated)
    assert len(names["forecast"]) == 18


def test_the_model_of_tomorrow_is_trained_on_all_values(short_program, monkeypatch):
    trained = []
    train = program.train
    monkeypatch.setattr(program, "train", lambda *a, **b: trained.append(a[1]) or train(*a, **b))
    names = run_short(SERIES[1], CHOOSE, TRAIN, ALL, TRAIN, FORECAST)
    differences = np.diff(SERIES[1])
    scaled = (differences - differences.mean()) / differences.std()
    np.testing.assert_allclose(trained[-1][:, 0, 0], scaled[:-1])
    assert names["known"][:90] == list(SERIES[1]) and len(names["forecast"]) == 18
    with pytest.raises(ValueError):  # the values kept back are no longer after the series
        exec(CHECK, names)


def test_a_saved_model_goes_on_in_a_new_process(short_program, tmp_path):
    names = run_short(np.resize(SEASON, 700), CHOOSE, TRAIN, ALL, TRAIN, SAVE)
    program.predict(names["my_model"], names["x"], verbose=0)
    known, expected = list(names["series"]), []
    for value in (15.4, None, 15.1):
        expected.append(names["predict_next"](known))
        known.append(value or expected[-1])
    loading = "\n".join(re.findall("(?m)^(?:import|from) .*", LOAD))
    code = "\n".join([loading, FUNCTIONS, GO_ON])
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parent)}
    command = [sys.executable, "-c", code]
    printed = subprocess.check_output(command, cwd=tmp_path, env=environment, text=True)
    predictions = [float(value) for value in re.findall("Predicted: (.*) arrived", printed)]
    np.testing.assert_allclose(predictions, expected, atol=0.001 * names["deviation"])


def test_several_series_are_predicted_each_from_its_own_values(short_program):
    names = run_short(SERIES[1], MANY)
    outputs, x = names["outputs"], names["x_of_many"].copy()
    np.testing.assert_allclose(names["scaled"].std(axis=0), [1, 1])
    x.reshape(89, 2)[:, 1] = 0
    others = program.predict(names["model_of_many"], x, verbose=0).reshape(89, 2)
    np.testing.assert_array_equal(others[:, 0], outputs[:, 0])
    assert np.any(others[:, 1] != outputs[:, 1])


def test_the_snippet_with_layers_of_your_own_runs(short_program):
    names = run_short(SERIES[1], CHOOSE, TRAIN, LAYERS)
    assert names["gru"].output_shape == (1, 1)


def test_the_steps_of_the_guide_are_a_list_of_seven():
    text = (SCRIPT.parent / "tests" / "PORTING.md").read_text(encoding="utf-8")
    steps = text.split("## Steps\n")[1].split("\n## ")[0]
    assert re.findall(r"(?m)^(\d)\. ", steps) == list("1234567")


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
