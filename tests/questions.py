"""Measures what the README answers with: python tests/questions.py [state] [tsteps] [own]

All three take about forty minutes on two cores; the progress is shown on stderr.
"""

import contextlib
import io
import re
import sys

import numpy as np

from benchmark import seconds
from helpers import get_snippets
from losses import RECORDED, SEEDS, interval, print_table, program, run_parts, train_all


def spread(values):
    """Returns a cell: the median of the values and their range."""
    median, low, high = [f"{n:.3g}" for n in (np.median(values), np.min(values), np.max(values))]
    return f"{median} ({low} to {high})"


def mse(model, cos):
    """Returns the MSE of the predictions of a trained model, without the last sample."""
    predicted_output = program.predict(model, cos, verbose=0)
    return np.mean((predicted_output - program.gen_expected_output(cos))[:-1] ** 2)


def state_table():
    """Prints what the state and the order of the samples change, on two series."""
    run = dict(seeds=SEEDS, epochs=25, look=mse)
    sine = dict(amp=1, period=100, k=0)
    rows = {}
    for name, series in {"the post's series": {}, "a sine of period 100": sine}.items():
        runs = [
            dict(run, series=series, stateful=stateful, shuffle=shuffle)
            for stateful in (True, False)
            for shuffle in (False, True)
        ]
        mses = [np.array(seen) for _, seen in train_all(runs)]
        cos = program.gen_cosine_amp(**series)
        no_change = np.mean((cos[1:] - cos[:-1]) ** 2)
        rows[name] = [*map(spread, mses), f"{no_change:.3g}"]
        ratio = interval(mses[0] / mses[3])
        print(f"{name}, with state in order / without state shuffled: {ratio}")
    heading = ["MSE of 32 seeds, median (range)", "with state, in order", "with state, shuffled"]
    heading += ["without state, in order", "without state, shuffled", '"no change"']
    print_table(heading, *[[name, *cells] for name, cells in rows.items()])


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


def get_series():
    """Returns the series for the README's recipe; those of statsmodels only if it is installed."""
    x = np.arange(4050)
    sine, noise = 20 + 5 * np.sin(x / 19), np.random.default_rng(0).normal(0, 0.3, 4050)
    series = {"the README's": sine + noise, "without noise": sine}
    series["with a second sine"] = sine + 2 * np.sin(x / 5)
    try:
        from statsmodels import datasets
    except ImportError:
        return series
    series["sunspots"] = datasets.sunspots.load_pandas().data["SUNACTIVITY"].to_numpy()
    months = datasets.elnino.load_pandas().data.iloc[:, 1:].to_numpy().ravel()
    series["El Nino"] = months[np.isfinite(months)]
    series["CO2, differences"] = np.diff(datasets.co2.load_pandas().data["co2"].interpolate())
    return series


def run_recipe(values, seed, constant_rate):
    """Runs the README's snippets 1 to 4; returns its MSE and that of its forecast, as ratios."""
    code = "\n".join(get_snippets("Your own series")[:4])
    code = re.sub("(?m)^values = .*", "", code).replace("seed(1)", f"seed({seed})")
    if constant_rate:
        code = code.replace("[(1e-4, 20000), (1e-5, 10000)]", "[(1e-4, 30000)]")
    names = dict(np=np, stateful_lstm=program, keras=program.keras, plt=program.plt, values=values)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, names)
    mse, no_change, of_forecast, of_last_value = map(
        float, re.findall("MSE.*: (.*)", printed.getvalue())
    )
    return mse / no_change, of_forecast / of_last_value


def own_series_table():
    """Prints what the README's recipe gives on its series and on those it was not made for."""
    rows = []
    for name, values in get_series().items():
        mses, forecasts = zip(*[run_recipe(values, seed, False) for seed in (1, 2, 3)])
        constant_mses, _ = zip(*[run_recipe(values, seed, True) for seed in (1, 2, 3)])
        columns = (mses, constant_mses, forecasts)
        rows.append([name, *[", ".join(f"{n:.2g}" for n in column) for column in columns]])
        print("...", *rows[-1], file=sys.stderr, flush=True)
    heading = ["series, seeds 1 to 3", 'MSE / "no change"', "with the rate 1e-4 throughout"]
    print_table([*heading, "MSE of the forecast / last value repeated"], *rows)


if __name__ == "__main__":
    run_parts(dict(state=state_table, tsteps=tsteps_table, own=own_series_table), sys.argv[1:])
