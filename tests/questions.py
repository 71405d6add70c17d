"""Measures what the README answers students with: python tests/questions.py [state] [tsteps]

Both take a few minutes on two cores; the progress is shown on stderr.
"""

import sys

import numpy as np

from benchmark import seconds
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
    """Prints what the state changes: 32 seeds with and without it."""
    run = dict(seeds=SEEDS, epochs=25, look=mse)
    runs = train_all([dict(run, stateful=True), dict(run, stateful=False)])
    mses, stateless_mses = [np.array(seen) for _, seen in runs]
    cells = [spread(mses), spread(stateless_mses), interval(mses / stateless_mses)]
    heading = ["32 seeds, median (range)", "`STATEFUL = True`", "`STATEFUL = False`"]
    heading += ["mean ratio (95 % interval)"]
    print_table(heading, ["MSE of the prediction", *cells])


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


if __name__ == "__main__":
    run_parts(dict(state=state_table, tsteps=tsteps_table), sys.argv[1:])
