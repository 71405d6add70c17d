"""Measures what the README answers with: python tests/questions.py [state] [tsteps] [own]

All three take about an hour on two cores; the progress is shown on stderr.
"""

import contextlib
import functools
import io
import itertools
import re
import sys

import numpy as np

from benchmark import seconds
from helpers import get_snippets
from losses import RECORDED, SEEDS, interval, print_table, program, run_parts, train, train_all

LOWER = (1e-4, 1e-5)  # the learning rates of ten more epochs, five at each


def spread(values):
    """Returns a cell: the median of the values and their range."""
    median, low, high = [f"{n:.3g}" for n in (np.median(values), np.min(values), np.max(values))]
    return f"{median} ({low} to {high})"


def mse(model, cos):
    """Returns the MSE of the predictions of a trained model, without the last sample."""
    predicted_output = program.predict(model, cos, verbose=0)
    return np.mean((predicted_output - program.gen_expected_output(cos))[:-1] ** 2)


def go_on(model, cos, shuffle, rates=LOWER):
    """Returns the MSE of a trained model, and that after five more epochs at each of the rates."""
    first = mse(model, cos)
    for rate in rates:
        model.optimizer.learning_rate = rate
        train(model, cos, program.gen_expected_output(cos), 5, shuffle)
    return first, mse(model, cos)


def state_table():
    """Prints what the state, the order of the samples and the learning rate change."""
    rows = {"the post's series": {}}
    for period in (50, 100, 130, 200, 1000):
        rows[f"sine, period {period}"] = dict(series=dict(amp=1, period=period, k=0))
    rows["sine, period 50, batches of 20"] = dict(rows["sine, period 50"], batch_size=20)
    rows["sine, period 100, batches of 50"] = dict(rows["sine, period 100"], batch_size=50)
    rows["sine, period 100, amplitude 100"] = dict(series=dict(period=100, k=0))
    kinds = list(itertools.product((True, False), (False, True)))  # stateful, shuffle
    runs = []
    for name, settings in rows.items():
        seeds = SEEDS if settings == {} else RECORDED
        for stateful, shuffle in kinds:
            look = functools.partial(go_on, shuffle=shuffle)
            kind = dict(stateful=stateful, shuffle=shuffle, look=look)
            runs.append(dict(settings, seeds=seeds, epochs=25, **kind))
    same_rate = functools.partial(go_on, shuffle=False, rates=(0.001, 0.001))
    *cells, (_, at_the_same_rate) = train_all([*runs, dict(runs[0], look=same_rate)])

    _, mses = np.transpose(at_the_same_rate)
    print("The post's series in order with state, ten more epochs at 0.001:", spread(mses))
    heading = ["series"]
    for state, order in itertools.product(("with state", "without"), ("in order", "shuffled")):
        heading += [f"{state}, {order}", "lower rates"]
    lines = []
    for k, (name, settings) in enumerate(rows.items()):
        mses = [np.transpose(seen) for _, seen in cells[4 * k : 4 * k + 4]]  # (2, seeds) of each
        cos = program.gen_cosine_amp(**settings.get("series", {}))
        no_change = np.mean((cos[1:] - cos[:-1]) ** 2)
        lines.append([name, *[spread(m) for pair in mses for m in pair], f"{no_change:.3g}"])
        ratio = interval(mses[0][1] / mses[3][1])
        print(f"{name}, after the lower rates, with state in order / without shuffled: {ratio}")
    print_table([*heading, '"no change"'], *lines)


def tsteps_table():
    """Prints what more time steps change and cost, on 5,000 samples."""
    series = dict(xn=5000)
    run = dict(seeds=RECORDED, epochs=25, series=series, look=mse)
    (ones, mses), (tens, mses_of_tens) = train_all([run, dict(run, tsteps=10)])
    rows = {1: [spread(ones[-1]), spread(mses)], 10: [spread(tens[-1]), spread(mses_of_tens)]}
    for tsteps, cells in rows.items():
        cos = program.gen_cosine_amp(tsteps=tsteps, **series)
        arrays = program.build_model(tsteps=tsteps), cos, program.gen_expected_output(cos)
        times = [seconds(program.train, *arrays, epochs=1) for _ in range(3)]
        cells.append(f"{min(times):.2f}")
    heading = ["`TSTEPS`", "loss of epoch 24, median (range)", "MSE of the prediction"]
    heading += ["s per epoch"]
    print_table(heading, *[[tsteps, *cells] for tsteps, cells in rows.items()])


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
    """Returns the series for the README's recipe by name, with the length of a season or None."""
    random, x = np.random.default_rng(0), np.arange(4050)
    sine = 20 + 5 * np.sin(x / 19)
    noisy = sine + random.normal(0, 0.3, 4050)  # its first 1,050 values are the README's
    load = 100 + 20 * np.sin(x * np.pi / 12) + 10 * np.sin(x * np.pi / 84)
    walk = np.cumsum(random.normal(size=2001))
    passengers = np.array(AIR_PASSENGERS.split(), float)

    def mackey_glass(v):
        return 0.9 * v[-1] + 0.2 * v[-18] / (1 + v[-18] ** 10)

    series = {
        "the README's": (noisy[:1050], None),
        "the same, 4,050 values": (noisy, None),
        "without noise": (sine, None),
        "with a second sine": (sine + 2 * np.sin(x / 5), None),
        "hourly load": ((load + random.normal(0, 5, 4050))[:1200], 24),
        "logistic map": (iterate(lambda v: 3.9 * v[-1] * (1 - v[-1]), 0.4, count=2000), None),
        "random walk, differences": (np.diff(walk), None),
        "walk with drift, differences": (0.5 + np.diff(walk[:171]), None),
        "autoregression": (iterate(lambda v: 0.7 * v[-1] + random.normal(), 0.0, count=170), None),
        "air passengers, log differences": (np.diff(np.log(passengers)), 12),
        # these, sales and inflation were not used to choose the recipe
        "Mackey-Glass": (iterate(mackey_glass, *[1.2] * 18, count=800), None),
        "counts": (1.0 * random.poisson(1 + np.sin(x[:500] * np.pi / 15)), 30),
    }
    week = np.resize([0, 2, 1, 5, 9, -6, -8], 600)
    series["sales, with a trend"] = week + 0.05 * x[:600] + random.normal(0, 2, 600), 7
    series["sales, differences"] = np.diff(series["sales, with a trend"][0]), 7
    try:
        from statsmodels import datasets
    except ImportError:
        return series

    def load_data(name):
        return getattr(datasets, name).load_pandas().data

    temperatures = load_data("elnino").iloc[:, 1:].to_numpy().ravel()
    series["sunspots"] = load_data("sunspots")["SUNACTIVITY"].to_numpy(), 11
    series["El Nino"] = temperatures[np.isfinite(temperatures)], 12
    series["CO2, differences"] = np.diff(load_data("co2")["co2"].interpolate()), 52
    series["GDP, differences"] = np.diff(load_data("macrodata")["realgdp"]), None
    series["unemployment, differences"] = np.diff(load_data("macrodata")["unemp"]), None
    series["Nile"] = load_data("nile")["volume"].to_numpy(), None
    series["inflation"] = load_data("macrodata")["infl"].to_numpy(), None
    return series


def run_recipe(values, seed, tsteps):
    """Returns the names that the README's snippets 1 to 4 define."""
    code = "\n".join(get_snippets("Your own series")[:4])
    code = re.sub("(?m)^values = .*", "", code).replace("seed(1)", f"seed({seed})")
    code = code.replace("tsteps = 1 ", f"tsteps = {tsteps} ")
    if len(values) < 150:
        code = code.replace("-50", "-12")
    names = dict(values=values)
    with contextlib.redirect_stdout(io.StringIO()):
        exec(code, names)
    return names


def mean_square(errors, add_up):
    """Returns the MSE of a forecast; errors of differences add up in the series itself."""
    return np.mean((np.cumsum(errors) if add_up else errors) ** 2)


def own_series_table():
    """Prints what the README's recipe gives on its series and on those it was not made for."""
    rows = []
    for name, (values, season) in get_series().items():
        add_up = "differences" in name
        ways = []  # the runs of three seeds, for each number of time steps
        for tsteps in [1] if season is None else [1, season]:
            ways.append([run_recipe(values, seed, tsteps) for seed in (1, 2, 3)])
        n, mean, series, future = [ways[0][0][key] for key in ("n", "mean", "series", "future")]
        no_change = np.mean((series[n - 1 : -1] - series[n:]) ** 2)
        baseline = min(no_change, np.mean((mean - series[n:]) ** 2))
        last = 0 if add_up else series[-1]
        forecast_baseline = min(mean_square(guess - future, add_up) for guess in (last, mean))
        cells = []
        for runs in ways:
            mses = [np.mean((run["predicted"] - run["expected"]) ** 2) for run in runs]
            mses_of_forecast = [mean_square(run["forecast"] - future, add_up) for run in runs]
            cells += [max(mses) / baseline, max(mses_of_forecast) / forecast_baseline]
        if season is not None:
            a_season_ago = np.mean((series[n - season : -season] - series[n:]) ** 2)
            repeated = mean_square(np.resize(series[-season:], len(future)) - future, add_up)
            cells += [a_season_ago / baseline, repeated / forecast_baseline]
        rows.append([name, n, *[f"{cell:.2g}" for cell in cells]])
        print("...", *rows[-1], file=sys.stderr, flush=True)
    heading = ["series", "values for training"]
    for way in ("recipe", "`tsteps` of a season", "the season before"):
        heading += [way, "its forecast"]
    print_table(heading, *rows)


if __name__ == "__main__":
    run_parts(dict(state=state_table, tsteps=tsteps_table, own=own_series_table), sys.argv[1:])
