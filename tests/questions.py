"""Measures what the README answers with: python tests/questions.py [NAME ...]

The names are state, memory, tsteps and own. All of it takes about an hour on two cores; the
progress is shown on stderr.
"""

import concurrent.futures
import contextlib
import functools
import io
import itertools
import multiprocessing
import os
import re
import sys

import matplotlib.pyplot as plt
import numpy as np

from benchmark import seconds
from helpers import get_snippets
from losses import PICTURE as PICTURE_OF_LOSSES
from losses import RECORDED, SEEDS, interval, keras, print_table, program, run_parts, to_next_value
from losses import train, train_all, use_one_thread

LOWER = (1e-4, 1e-5)  # the learning rates of ten more epochs, five at each
FEW = (1, 2, 3)  # seeds
PICTURE = os.path.join(os.path.dirname(PICTURE_OF_LOSSES), "change.png")


# Tasks: each function returns the inputs and targets that the network is trained with.


def to_change(cos):
    """The target is the change to the next value; that of the last sample, which has none, is 0."""
    targets = program.gen_expected_output(cos) - cos[:, -1]
    targets[-1] = 0
    return cos, targets


def to_change_from_small_inputs(cos):
    """The same, but the inputs are divided by 100."""
    _, targets = to_change(cos)
    return cos / 100, targets


def to_current_value(cos):
    """The target is the latest value of the sample itself."""
    return cos, cos[:, -1]


def to_value_ago(cos, distance):
    """Each of 25 rows reads random values; the target is the value `distance` samples ago."""
    samples, tsteps, _ = cos.shape
    values = np.random.default_rng(0).uniform(-1, 1, (samples // 25 + 10, 25))
    windows = np.lib.stride_tricks.sliding_window_view(values, tsteps, axis=0)
    inputs = windows[-(samples // 25) :].reshape(samples, tsteps, 1)
    return inputs, values[10 - distance : len(values) - distance].reshape(samples, 1)


def use_adam(model):
    model.compile(loss="mse", optimizer=keras.optimizers.Adam(0.001), jit_compile=True)


# What the state is good for


def shorten(number):
    """Returns a number with two digits, without an exponent: 1800, 0.0042."""
    return f"{float(f'{number:.2g}'):g}"


def spread(values):
    """Returns a cell: the median of the values and their range."""
    median, low, high = map(shorten, (np.median(values), np.min(values), np.max(values)))
    return f"{median} ({low} to {high})"


def mse(model, inputs, targets):
    """Returns the MSE of a trained model in order, without the last sample, which has no target.

    It is the same for the change as for the value that the change is added to.
    """
    return np.mean((program.predict(model, inputs, verbose=0) - targets)[:-1] ** 2)


def go_on(model, inputs, targets, shuffle=False, rates=LOWER):
    """Returns the MSE of a trained model, and that after five more epochs at each of the rates."""
    first = mse(model, inputs, targets)
    for rate in rates:
        model.optimizer.learning_rate = rate
        train(model, inputs, targets, 5, shuffle)
    return first, mse(model, inputs, targets)


def mse_of_no_change(settings):
    """Returns the MSE of "no change" on the series of a run."""
    cos = program.gen_cosine_amp(**settings.get("series", {}))
    return np.mean((cos[1:] - cos[:-1]) ** 2)


def measure(runs):
    """Returns arrays of shape (2, seeds): MSEs over that of "no change", after 25 and 35 epochs."""
    results = train_all([dict(dict(epochs=25, look=go_on), **run) for run in runs])
    return [np.transpose(mses) / mse_of_no_change(run) for run, (_, mses) in zip(runs, results)]


def count_below(ratios):
    """Returns a cell: how many of the seeds are better than "no change"."""
    return f"{np.sum(ratios < 1)} of {len(ratios)}"


SINE = dict(amp=1, k=0)
STATE_RUNS = {
    "the post's": dict(seeds=SEEDS),
    "decay, period 100": dict(series=dict(period=100)),
    "period 1000": dict(series=dict(SINE, period=1000)),
    "period 100": dict(series=dict(SINE, period=100)),
    "period 50, batches of 20": dict(series=dict(SINE, period=50), batch_size=20),
    "period 50, batches of 25": dict(series=dict(SINE, period=50)),
    "period 100, batches of 50": dict(series=dict(SINE, period=100), batch_size=50),
}
TARGETS = {"next value": to_next_value, "change": to_change}
WITHOUT = dict(stateful=False, shuffle=True, look=functools.partial(go_on, shuffle=True))


def state_table():
    """Prints what the state is worth, by series and target."""
    rows, runs = [], []
    for name, settings in STATE_RUNS.items():
        for target, task in TARGETS.items():
            rows.append([name, target])
            runs.append(dict(dict(seeds=RECORDED, task=task), **settings))
            runs.append(dict(settings, seeds=FEW, task=task, **WITHOUT))
    ratios = measure(runs)
    for row, (first, lower), (_, without) in zip(rows, ratios[::2], ratios[1::2]):
        row += [spread(first), spread(lower), interval(lower), count_below(lower), spread(without)]
    heading = ["series", "target", "with state, 25 epochs", "with state", "mean", "below 1"]
    print_table([*heading, "without state"], *rows)


def ways_table():
    """Prints what else a reader may change on the post's series."""
    change = dict(task=to_change)
    same_rate = functools.partial(go_on, rates=(0.001, 0.001))
    runs = {
        "next value, ten more epochs at 0.001": dict(look=same_rate),
        "next value, Adam": dict(change=use_adam),
        "next value, amplitude 1": dict(series=dict(amp=1)),
        "next value, without state, in order": dict(stateful=False),
        "next value, with state, shuffled": dict(WITHOUT, stateful=True),
        "current value": dict(task=to_current_value),
        "current value, without state, shuffled": dict(WITHOUT, task=to_current_value),
        "change, ten more epochs at 0.001": dict(change, look=same_rate),
        "change, Adam": dict(change, change=use_adam),
        "change, amplitude 1": dict(change, series=dict(amp=1)),
        "change, inputs divided by 100": dict(task=to_change_from_small_inputs, seeds=SEEDS),
        "change, batches of 250": dict(change, batch_size=250),
        "change, without state, in order": dict(change, stateful=False),
        "change, with state, shuffled": dict(change, **dict(WITHOUT, stateful=True)),
        "change, without state, shuffled, `TSTEPS` 2": dict(change, tsteps=2, **WITHOUT),
    }
    ratios = measure([dict(dict(seeds=FEW), **run) for run in runs.values()])
    rows = []
    for name, (first, lower) in zip(runs, ratios):
        rows.append([name, spread(first), spread(lower), count_below(lower)])
    print_table(["target and settings", "25 epochs", "35 epochs", "below 1"], *rows)


def periods_table():
    """Prints for which periods the state helps, in batches of 25."""
    series = {f"period {p}": dict(SINE, period=p) for p in (25, 40, 70, 130, 200, 500)}
    for period in (70, 200, 2000):
        series[f"decay, period {period}"] = dict(period=period)
    series["decay of 0.0003, period 1000"] = dict(k=0.0003)
    runs = [dict(seeds=FEW, series=settings) for settings in series.values()]
    ratios = measure([dict(run, task=task) for task in TARGETS.values() for run in runs])
    rows = zip(series, ratios[: len(runs)], ratios[len(runs) :])
    cells = [[name, spread(value[1]), spread(change[1])] for name, value, change in rows]
    print_table(["series", *TARGETS], *cells)


def go_on_and_predict(model, inputs, targets, shuffle=False):
    """Returns the predictions of a trained model after ten more epochs at lower rates."""
    go_on(model, inputs, targets, shuffle)
    return program.predict(model, inputs, verbose=0)


def change_picture():
    """Draws the change of the post's series: as it is, and as predicted with and without state."""
    without = dict(WITHOUT, look=functools.partial(go_on_and_predict, shuffle=True))
    runs = [dict(look=go_on_and_predict), without]
    results = train_all([dict(run, task=to_change, seeds=[1], epochs=25) for run in runs])
    [(_, [with_state]), (_, [without_state])] = results
    _, expected = to_change(program.gen_cosine_amp())
    fig, ax = plt.subplots(figsize=(8, 3.5), layout="constrained")
    curves = {
        "expected": (expected, dict(color="0.7", linewidth=5)),
        "predicted with state": (with_state, dict(color="C0")),
        "predicted without state": (without_state, dict(color="C1", linestyle="--")),
    }
    samples = np.arange(10000, 13000)
    for name, (values, style) in curves.items():
        ax.plot(samples, values[samples], label=name, **style)
    ax.set(xlabel="sample", ylabel="change to the next value")
    ax.legend(ncol=3, loc="lower center", bbox_to_anchor=(0.5, 1))  # above the curves
    fig.savefig(PICTURE, dpi=100)
    print("Picture:", PICTURE)


def state_parts():
    """Prints and draws all of the above."""
    for part in (state_table, ways_table, periods_table, change_picture):
        part()


def memory_table():
    """Prints how much of a value some samples ago the network recalls: 0 all, 1 nothing."""
    distances = (1, 2, 3, 5)
    ways = {
        1: dict(seeds=RECORDED, series=dict(xn=20000)),
        10: dict(tsteps=10, seeds=FEW, series=dict(xn=10000)),
    }
    runs = []
    for settings in ways.values():
        for distance in distances:
            task = functools.partial(to_value_ago, distance=distance)
            runs.append(dict(settings, task=task, epochs=25, look=go_on))
    results = iter(train_all(runs))
    rows = []
    for way in ways:
        mses = [np.transpose(seen)[1] for _, seen in itertools.islice(results, len(distances))]
        rows.append([way, *[spread(3 * values) for values in mses]])  # the variance is 1 / 3
    print_table(["`TSTEPS`", *[f"{distance} ago" for distance in distances]], *rows)


def tsteps_table():
    """Prints what more time steps change and cost, on 5,000 samples."""
    series = dict(xn=5000)
    runs = [dict(seeds=RECORDED, epochs=25, series=series, look=go_on, tsteps=n) for n in (1, 10)]
    rows = []
    for run, (_, mses) in zip(runs, train_all(runs)):
        cos, expected_output = to_next_value(program.gen_cosine_amp(tsteps=run["tsteps"], **series))
        arrays = program.build_model(tsteps=run["tsteps"]), cos, expected_output
        times = [seconds(program.train, *arrays, epochs=1) for _ in range(3)]
        cells = [spread(mse_of_all) for mse_of_all in np.transpose(mses)]
        rows.append([run["tsteps"], *cells, f"{min(times):.2f}"])
    print_table(["`TSTEPS`", "MSE after 25 epochs", "lower", "s per epoch"], *rows)


AIR_PASSENGERS = """112 118 132 129 121 135 148 148 136 119 104 118 115 126 141 135 125 149
170 170 158 133 114 140 145 150 178 163 172 178 199 199 184 162 146 166 171 180 193 181 183 218 230
242 209 191 172 194 196 196 236 235 229 243 264 272 237 211 180 201 204 188 235 227 234 264 302 293
259 229 203 229 242 233 267 269 270 315 364 347 312 274 237 278 284 277 317 313 318 374 413 405 355
306 271 306 315 301 356 348 355 422 465 467 404 347 305 336 340 318 362 348 363 435 491 505 404 359
310 337 360 342 406 396 420 472 548 559 463 407 362 405 417 391 419 461 472 535 622 606 508 461 390
432"""  # a thousand a month, 1949 to 1960


def iterate(step, *first, count):
    """Returns a series of `count` values: the first ones, and then what `step` makes of it."""
    values = list(first)
    while len(values) < count:
        values.append(step(values))
    return np.array(values)


def get_series():
    """Returns the series for the README's recipe by name, with the length of a season or 1."""
    random, x = np.random.default_rng(0), np.arange(4050)
    sine = 20 + 5 * np.sin(x / 19)
    noisy = sine + random.normal(0, 0.3, 4050)  # its first 1,050 values are the README's
    load = 100 + 20 * np.sin(x * np.pi / 12) + 10 * np.sin(x * np.pi / 84)
    walk = np.cumsum(random.normal(size=2001))
    week = np.resize([0, 2, 1, 5, 9, -6, -8], 600)
    year = 8 * np.sin(x[:84] * np.pi / 6)
    passengers = np.array(AIR_PASSENGERS.split(), float)

    def mackey_glass(v):
        return 0.9 * v[-1] + 0.2 * v[-18] / (1 + v[-18] ** 10)

    series = {
        "the README's": (noisy[:1050], 1),
        "the same, 4,050 values": (noisy, 1),
        "without noise": (sine, 1),
        "with a second sine": (sine + 2 * np.sin(x / 5), 1),
        "hourly load": ((load + random.normal(0, 5, 4050))[:1200], 24),
        "logistic map": (iterate(lambda v: 3.9 * v[-1] * (1 - v[-1]), 0.4, count=2000), 1),
        "random walk": (walk[:800], 1),
        "random walk, differences": (np.diff(walk), 1),
        "autoregression": (iterate(lambda v: 0.7 * v[-1] + random.normal(), 0.0, count=170), 1),
        "Mackey-Glass": (iterate(mackey_glass, *[1.2] * 18, count=800), 1),
        "counts": (1.0 * random.poisson(1 + np.sin(x[:500] * np.pi / 15)), 30),
        "sales, with a trend": (week + 0.05 * x[:600] + random.normal(0, 2, 600), 7),
        "seven years of months": (50 + 0.3 * x[:84] + year + random.normal(0, 1.5, 84), 12),
        "air passengers": (passengers, 12),
        "air passengers, logarithms": (np.log(passengers), 12),
    }
    shifted = iterate(lambda v: 0.8 * v[-1] + random.normal(), 0.0, count=600)
    shifted[450:] += 12
    series["a level that shifts"] = shifted, 1

    from statsmodels import datasets

    def load_column(name, column):
        return getattr(datasets, name).load_pandas().data[column].interpolate().to_numpy(float)

    temperatures = datasets.elnino.load_pandas().data.iloc[:, 1:].to_numpy(float).ravel()
    series["El Nino"] = temperatures[np.isfinite(temperatures)], 12
    series["CO2"] = load_column("co2", "co2"), 52
    series["sunspots"] = load_column("sunspots", "SUNACTIVITY"), 11
    series["Nile"] = load_column("nile", "volume"), 1
    series["price of copper"] = load_column("copper", "COPPERPRICE"), 1
    series["money in Denmark"] = load_column("danish_data", "lrm"), 4
    series["interest in Germany"] = load_column("interest_inflation", "R"), 4
    for name in ("realgdp", "realinv", "unemp", "infl", "tbilrate"):
        series[f"macrodata, {name}"] = load_column("macrodata", name), 1
    return series


def run_recipe(values, seed, season, lag=None):
    """Returns the names that the README's snippets 1 to 7 define; sets the lag if it is given."""
    code = "\n".join(get_snippets("Your own series")[:7])
    changes = {
        "(?m)^values = 20.*": "",
        r"seed\(1\)": f"seed({seed})",
        "season = 1 ": f"season = {season} ",
    }
    if lag is not None:
        changes["lag = min.*"] = f"lag = {lag}"
    for pattern, new in changes.items():
        code, found = re.subn(pattern, new, code)
        assert found == 1, pattern
    names = dict(values=values)
    with contextlib.redirect_stdout(io.StringIO()):
        exec(code, names)
    program.plt.close("all")
    return names


def autoregression(series, n, horizon, season):
    """Returns the predictions and the forecast of an autoregression, fitted to the first part."""
    from statsmodels.tsa.ar_model import AutoReg, ar_select_order

    longest = min(max(20, season + 2), n // 4)
    lags = ar_select_order(series[:n], longest, ic="aic").ar_lags or 0
    fitted = AutoReg(series[:n], lags).fit()
    model = AutoReg(series, lags)
    return [
        model.predict(fitted.params, n, len(series) - 1),
        model.predict(fitted.params, len(series), len(series) + horizon - 1),
    ]


def own_series_row(name):
    """Returns the cells of one series: MSEs over those of the best of the three guesses."""
    values, season = get_series()[name]
    runs = [run_recipe(values, seed, season) for seed in FEW]
    n, lag, horizon, series, future, expected = [
        runs[0][key] for key in ("n", "lag", "horizon", "series", "future", "expected")
    ]

    def get_mses(predicted, forecast):
        return np.array([np.mean((predicted - expected) ** 2), np.mean((forecast - future) ** 2)])

    mean_of_first = series[:n].mean()
    mses_of_guesses = [get_mses(mean_of_first, mean_of_first)]
    for each in {1, season}:
        repeated = np.resize(series[-each:], horizon)
        mses_of_guesses.append(get_mses(series[n - each : -each], repeated))
    best = np.min(mses_of_guesses, axis=0)  # of the prediction, and of the forecast

    def compare(predicted, forecast):
        return get_mses(predicted, forecast) / best

    ratios = [compare(run["predicted"], run["forecast"]) for run in runs]
    mean = [np.mean([run[key] for run in runs], axis=0) for key in ("predicted", "forecast")]
    cells = [*np.max(ratios, axis=0), *compare(*mean)]
    cells += [*compare(*autoregression(series, n, horizon, season))]
    if season not in (1, lag):
        runs = [run_recipe(values, seed, season, lag=season) for seed in FEW]
        ratios = [compare(run["predicted"], run["forecast"]) for run in runs]
        cells += [*np.max(ratios, axis=0)]
    row = [name, len(values), season, lag, *map(shorten, cells)]
    print("...", *row, file=sys.stderr, flush=True)
    return row


def own_series_table():
    """Prints what the README's recipe gives on its series and on those it was not made for."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), context, use_one_thread) as pool:
        rows = list(pool.map(own_series_row, get_series()))
    heading = ["series", "values", "season", "lag"]
    for way in ("recipe", "mean of three seeds", "autoregression", "lag of a season"):
        heading += [way, "its forecast"]
    print_table(heading, *[row + [""] * (len(heading) - len(row)) for row in rows])


if __name__ == "__main__":
    parts = dict(state=state_parts, memory=memory_table, tsteps=tsteps_table, own=own_series_table)
    run_parts(parts, sys.argv[1:])
