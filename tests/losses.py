"""Prints the README's tables of losses, all trained here on the full series: python tests/losses.py

It shows each run as it ends, on stderr, and takes about four minutes on two cores.
"""

import contextlib
import csv
import io
import os
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import stateful_lstm as program
from stateful_lstm import keras

SEEDS = range(8)  # those of the recorded runs
FIRST = 8  # the epochs that tell one model from another; what comes later is noise


# Runs


def read_table(name):
    """Returns a table of losses without its heading, a row an epoch, the epoch first."""
    with open(os.path.join(HERE, name)) as file:
        _, *rows = csv.reader(file)
    return np.array(rows, float)


def read_recorded():
    """Returns losses.csv: the losses of the post, (25,), and of the runs of Keras 1.2.2, (25, 8)."""
    table = read_table("losses.csv")
    return table[:, 1], table[:, 2:]


def run(seed, stateful=True, batch_size=25, epochs=FIRST):
    """Runs the program's parts without their output; returns the model and the epochs' losses."""
    keras.utils.set_random_seed(seed)
    cos = program.gen_cosine_amp()
    model = program.build_model(batch_size=batch_size, stateful=stateful)
    with contextlib.redirect_stdout(io.StringIO()):
        losses = program.train(model, cos, program.gen_expected_output(cos), epochs)
    setting = f"STATEFUL = {stateful}, BATCH_SIZE = {batch_size}, SEED = {seed}"
    print(f"... {setting}: loss of epoch {epochs - 1} {losses[-1]:.2f}", file=sys.stderr, flush=True)
    return model, losses


def get_losses(runs):
    """Returns the losses of runs, (epochs, seeds)."""
    return np.transpose([losses for _, losses in runs])


def square_errors(model):
    """Returns the square error of each sample's prediction from reset states, (49999,)."""
    cos = program.gen_cosine_amp()
    model.reset_states()
    predicted_output = program.predict(model, cos, verbose=0)
    return ((predicted_output - program.gen_expected_output(cos)) ** 2)[: -program.LAHEAD, 0]


def square_errors_one_by_one(model):
    """Returns what square_errors does, of a model with the same weights and a batch size of 1."""
    alone = program.build_model(batch_size=1)
    alone.set_weights(model.get_weights())
    return square_errors(alone)


# Tables


def rms(ratios):
    """Returns the root mean square of the differences of ratios from 1."""
    return np.sqrt(np.mean((ratios - 1) ** 2))


def spread(values):
    """Returns a table's cell with the median of the values and their range."""
    return f"{np.median(values):.1f} ({np.min(values):.1f} to {np.max(values):.1f})"


def print_table(*rows):
    """Prints rows of cells as a table in Markdown, the first as its heading."""
    heading, *others = rows
    print()
    for cells in [heading, ["---"] * len(heading), *others]:
        print("|", " | ".join(str(cell) for cell in cells), "|")


def print_seed_by_seed(losses):
    """Prints the post, Keras 1.2.2 and this program, from this program's losses, (epochs, seeds)."""
    published, recorded = read_recorded()
    recorded, losses = recorded[:FIRST], losses[:FIRST]
    again = read_table("losses_again.csv")[:, 1:]
    rows = []
    for i in range(FIRST):
        mean = recorded[i].mean()
        row = [i, f"{published[i]:.1f}", f"{mean:.1f}", f"{losses[i].mean():.1f}"]
        row += [f"{losses[i].mean() / mean:.3f}", f"{again[i].mean() / mean:.3f}"]
        row += [f"{rms(losses[i] / recorded[i]):.4f}", f"{rms(again[i] / recorded[i]):.4f}"]
        rows.append(row)
    heading = ["epoch", "the post", "Keras 1.2.2", "this program"]
    heading += ["ratio: this program", "Keras 1.2.2 again"]
    heading += ["seed by seed: this program", "Keras 1.2.2 again"]
    print_table(heading, *rows)


def print_stateful(losses, errors):
    """Trains with STATEFUL = False too, and prints both."""
    stateless = [run(seed, stateful=False, epochs=25) for seed in SEEDS]
    stateless_losses = get_losses(stateless)
    rows = [[i, spread(losses[i]), spread(stateless_losses[i])] for i in (0, 2, 4, 7, 24)]
    mses = [spread([error.mean() for error in errors])]
    mses.append(spread([square_errors(model).mean() for model, _ in stateless]))
    heading = ["epoch", "`STATEFUL = True`, median (range)", "`STATEFUL = False`, median (range)"]
    print_table(heading, *rows, ["MSE of the prediction", *mses])


def print_batch_sizes(default):
    """Trains four seeds with other batch sizes too, and prints their last losses and MSEs."""
    rows = []
    for batch_size, epochs in ((25, 25), (250, 25), (250, 250)):
        runs = default[:4]
        if batch_size != 25:
            runs = [run(seed, batch_size=batch_size, epochs=epochs) for seed in SEEDS[:4]]
        cells = [spread(get_losses(runs)[-1])]
        cells.append(spread([square_errors(model).mean() for model, _ in runs]))
        cells.append(spread([square_errors_one_by_one(model).mean() for model, _ in runs]))
        rows.append([f"{batch_size}, {epochs}", *cells])
    heading = ["`BATCH_SIZE`, `EPOCHS`", "last loss", "MSE of the prediction", "with `batch_size=1`"]
    print_table(heading, *rows)


def main():
    default = [run(seed, epochs=25) for seed in SEEDS]
    losses = get_losses(default)
    errors = [square_errors(model) for model, _ in default]
    print_seed_by_seed(losses)
    print_stateful(losses, errors)
    print_batch_sizes(default)


if __name__ == "__main__":
    main()
