"""Prints the README's tables of losses and draws its picture: python tests/losses.py [NAME ...]

The names are seeds, differences and epochs. All three take about ten minutes on two cores; the
progress is shown on stderr.
"""

import concurrent.futures
import csv
import math
import multiprocessing
import os
import sys
import time

os.environ["MPLBACKEND"] = "agg"
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import matplotlib.pyplot as plt
import numpy as np

import stateful_lstm as program
from helpers import set_back
from stateful_lstm import keras

RECORDED = range(8)  # the seeds of the runs of Keras 1.2.2
SEEDS = range(32)  # enough to tell a difference of a few hundredths from noise
T = {8: 2.365, 32: 2.04}  # Student's t for an interval of 95 %, by the number of seeds
FIRST = 8  # epochs; later ones differ more by chance than by the model
PICTURE = os.path.join(os.path.dirname(HERE), ".github", "losses.png")


# Keras 3's settings: each function changes one setting of a new model to that of Keras 3.


def get_lstms(model):
    """Returns pairs: an LSTM layer of the model, and a new one with the defaults of Keras 3."""
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.LSTM)]
    return [(layer, keras.layers.LSTM(layer.units)) for layer in layers]


def change_nothing(model):
    pass


def use_default_gates(model):
    for layer, usual in get_lstms(model):
        layer.cell.recurrent_activation = usual.recurrent_activation


def use_hard_sigmoid_of_keras_3(model):
    for layer, _ in get_lstms(model):
        layer.cell.recurrent_activation = keras.activations.hard_sigmoid


def use_default_tanh(model):
    for layer, usual in get_lstms(model):
        layer.cell.activation = usual.activation


def use_default_rmsprop(model):
    model.compile(loss="mse", optimizer="rmsprop", jit_compile=True)


def use_default_kernels(model):
    for layer, usual in get_lstms(model):
        layer.cell.kernel.assign(usual.kernel_initializer(layer.cell.kernel.shape))


def use_default_recurrent_kernels(model):
    for layer, usual in get_lstms(model):
        layer.cell.recurrent_kernel.assign(
            usual.recurrent_initializer(layer.cell.recurrent_kernel.shape)
        )


def keep_states(model):
    model.reset_states = lambda: None


def use_all_defaults(model):
    use_default_gates(model)
    use_default_tanh(model)
    use_default_rmsprop(model)
    use_default_kernels(model)
    use_default_recurrent_kernels(model)
    keep_states(model)


DIFFERENCES = {  # in the order of the README's table
    "gates: `sigmoid`": use_default_gates,
    "gates: its `hard_sigmoid`": use_hard_sigmoid_of_keras_3,
    "gradient of tanh": use_default_tanh,
    "RMSprop's step": use_default_rmsprop,
    "kernels": use_default_kernels,
    "recurrent kernels": use_default_recurrent_kernels,
    "states after an epoch": keep_states,
    "all of Keras 3's defaults": use_all_defaults,
}


# Runs. A process trains the seeds of one setting with one model, which is compiled once.


def read_table(name):
    """Returns a table of losses: a row per epoch, its number first."""
    with open(os.path.join(HERE, name)) as file:
        _, *rows = csv.reader(file)
    return np.array(rows, float)


def read_recorded():
    """Returns the losses of losses.csv: of the post, (25,), and of Keras 1.2.2, (25, 8)."""
    table = read_table("losses.csv")
    return table[:, 1], table[:, 2:]


def train(model, cos, expected_output, epochs, shuffle):
    """Returns the loss of each epoch; before each, puts the samples into a new order if told."""
    if not shuffle:
        return program.train(model, cos, expected_output, epochs, verbose=0)
    losses = []
    for _ in range(epochs):
        order = np.random.permutation(len(cos))
        losses += program.train(model, cos[order], expected_output[order], epochs=1, verbose=0)
    return losses


def to_next_value(cos):
    """Returns the inputs and the targets of the post: the series, and the value after each."""
    return cos, program.gen_expected_output(cos)


def train_seeds(
    seeds,
    epochs=FIRST,
    change=change_nothing,
    series={},
    task=to_next_value,
    shuffle=False,
    look=None,
    **settings,
):
    """Trains each seed; returns the losses, (epochs, seeds), and what `look` returns for each.

    `change` is a function that changes a new model, `series` are arguments of gen_cosine_amp,
    `task` is a function that returns the inputs and targets for a series, `shuffle` is an argument
    of train, `settings` are those of build_model, and `look` is a function of the trained model,
    its inputs and its targets.
    """
    inputs, targets = task(program.gen_cosine_amp(tsteps=settings.get("tsteps", 1), **series))
    model, losses, seen = None, [], []
    for seed in seeds:
        keras.utils.set_random_seed(int(seed))
        new = program.build_model(**settings)
        change(new)
        if model is None:
            model = new
        else:
            set_back(model, new)
        start = time.time()
        losses.append(train(model, inputs, targets, epochs, shuffle))
        line = f"... {change.__name__} {series or ''} {settings or ''} seed {seed}:"
        line += f" loss of epoch {epochs - 1} {losses[-1][-1]:.4g} ({time.time() - start:.0f} s)"
        print(line, file=sys.stderr, flush=True)
        if look is not None:
            seen.append(look(model, inputs, targets))
    return np.transpose(losses), seen


def use_one_thread():
    """Limits a process to one thread; the losses stay the same."""
    program.tf.config.threading.set_intra_op_parallelism_threads(1)


def train_all(settings):
    """Returns what `train_seeds` does for each dict of its arguments; uses all cores."""
    context = multiprocessing.get_context("spawn")
    pieces = math.ceil(2 * os.cpu_count() / len(settings))  # of the seeds of each
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), context, use_one_thread) as pool:
        futures = []
        for each in settings:
            parts = np.array_split(each["seeds"], min(pieces, len(each["seeds"])))
            futures.append([pool.submit(train_seeds, **{**each, "seeds": part}) for part in parts])
        results = []
        for parts in futures:
            losses, seen = zip(*[part.result() for part in parts])
            results.append((np.concatenate(losses, axis=1), sum(seen, [])))
    return results


# Tables


def rms(ratios):
    """Returns the root mean square of the differences of ratios from 1."""
    return np.sqrt(np.mean((ratios - 1) ** 2))


def interval(ratios):
    """Returns a cell: the mean of 8 or 32 ratios, by logarithms, and its 95 % interval."""
    logs = np.log(ratios)
    half = T[len(logs)] * logs.std(ddof=1) / np.sqrt(len(logs))
    mean, least, most = np.exp([logs.mean(), logs.mean() - half, logs.mean() + half])
    digits = 4 if half < 0.001 else 3
    return f"{mean:.{digits}f} ({least:.{digits}f} to {most:.{digits}f})"


def print_table(*rows):
    """Prints rows of cells as a table in Markdown, the first as its heading."""
    heading, *others = rows
    print()
    for cells in [heading, ["---"] * len(heading), *others]:
        print("|", " | ".join(str(cell) for cell in cells), "|", flush=True)


def seeds_table():
    """Prints the post, Keras 1.2.2 on two machines and this program, each seed with itself."""
    published, recorded = read_recorded()
    again = read_table("losses_again.csv")[:, 1:]
    [(losses, _)] = train_all([dict(seeds=RECORDED)])
    rows = []
    for i in range(FIRST):
        mean = recorded[i].mean()
        row = [i, f"{published[i]:.1f}", f"{mean:.1f}", f"{losses[i].mean():.1f}"]
        row += [f"{rms(losses[i] / recorded[i]):.2g}", f"{rms(again[i] / recorded[i]):.2g}"]
        rows.append(row)
    heading = ["epoch", "the post", "Keras 1.2.2", "this program"]
    heading += ["difference: this program", "Keras 1.2.2 again"]
    print_table(heading, *rows)


def differences_table():
    """Prints the effect of each difference, alone, on the losses."""
    changes = [change_nothing, *DIFFERENCES.values()]
    runs = [dict(seeds=SEEDS, epochs=4, change=change) for change in changes]
    (usual, _), *others = train_all(runs)
    rows = []
    for name, (losses, _) in zip(DIFFERENCES, others):
        rows.append([name, *[interval(losses[i] / usual[i]) for i in (0, 3)]])
    print_table(["Keras 3's setting", "epoch 0", "epoch 3"], *rows)


def epochs_picture():
    """Draws the losses of all epochs: Keras 1.2.2, this program, and Keras 3 by default."""
    _, recorded = read_recorded()
    changes = (change_nothing, use_all_defaults)
    runs = train_all([dict(seeds=RECORDED, epochs=25, change=change) for change in changes])
    (losses, _), (by_default, _) = runs
    fig, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
    curves = {
        "Keras 3 by default": (by_default, dict(color="C1", linestyle=":", marker="^")),
        "Keras 1.2.2": (recorded, dict(color="black", linewidth=4, alpha=0.4)),
        "this program": (losses, dict(color="C0", linestyle="--", marker="o")),
    }
    for name, (values, style) in curves.items():
        ax.plot(np.median(values, axis=1), label=name, markersize=4, **style)
    ax.set(yscale="log", xlabel="epoch", ylabel="loss (MSE)", title="Median of the seeds 0 to 7")
    ticks = [3, 5, 10, 20, 50, 100, 200, 300]
    ax.set_yticks(ticks, [str(tick) for tick in ticks])
    ax.set_yticks([], minor=True)
    ax.legend()
    fig.savefig(PICTURE, dpi=100)
    print("Picture:", PICTURE)


def run_parts(parts, names):
    """Runs the functions with these names, or all of them, one after the other."""
    for name in names:
        if name not in parts:
            sys.exit(f"{name}: must be one of {', '.join(parts)}")
    for name in names or parts:
        parts[name]()


if __name__ == "__main__":
    parts = dict(seeds=seeds_table, differences=differences_table, epochs=epochs_picture)
    run_parts(parts, sys.argv[1:])
