"""Prints the README's tables of losses, all trained here on the full series: python tests/losses.py

It shows each run as it ends, on stderr, and takes about eight minutes on two cores.
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


# What Keras 3 does otherwise. Each function leaves one thing in a new model as Keras 3 has it.


def get_lstms(model):
    """Returns pairs of an LSTM layer of the model and a new one as Keras 3 makes it unless told."""
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.LSTM)]
    return [(layer, keras.layers.LSTM(layer.units)) for layer in layers]


def leave_gates(model):
    for layer, usual in get_lstms(model):
        layer.cell.recurrent_activation = usual.recurrent_activation


def take_its_hard_sigmoid(model):
    for layer, _ in get_lstms(model):
        layer.cell.recurrent_activation = keras.activations.hard_sigmoid


def leave_epsilon(model):
    model.optimizer.epsilon = keras.optimizers.RMSprop().epsilon


def leave_kernels(model):
    for layer, usual in get_lstms(model):
        layer.cell.kernel.assign(usual.kernel_initializer(layer.cell.kernel.shape))


def leave_recurrent_kernels(model):
    for layer, usual in get_lstms(model):
        layer.cell.recurrent_kernel.assign(
            usual.recurrent_initializer(layer.cell.recurrent_kernel.shape)
        )


def leave_states(model):
    model.reset_states = lambda: None


def leave_all(model):
    for leave in (leave_gates, leave_epsilon, leave_kernels, leave_recurrent_kernels, leave_states):
        leave(model)


DIFFERENCES = [  # what, Keras 1.2.2, Keras 3 unless told, the line that restores it, what leaves it
    (
        "gates",
        "hard sigmoid, clip(0.2 x + 0.5, 0, 1)",
        "`sigmoid`",
        "`recurrent_activation=keras1_hard_sigmoid`",
        leave_gates,
    ),
    (
        "`hard_sigmoid`, the trap behind it",
        "slope 0.2",
        "slope 1/6",
        "the same",
        take_its_hard_sigmoid,
    ),
    (
        "RMSprop's step",
        "g / (sqrt(v) + 1e-8)",
        "g / sqrt(v + 1e-7)",
        "`RMSprop(epsilon=1e-16)`",
        leave_epsilon,
    ),
    (
        "kernels",
        "Glorot uniform, gate by gate",
        "Glorot uniform, four gates as one",
        "`initialize_weights(model)`",
        leave_kernels,
    ),
    (
        "recurrent kernels",
        "Glorot uniform, gate by gate",
        "orthogonal",
        '`recurrent_initializer="glorot_uniform"`, `initialize_weights(model)`',
        leave_recurrent_kernels,
    ),
    (
        "states after an epoch",
        "`model.reset_states()`",
        "the model has no such method: they run on",
        "`StatefulSequential.reset_states`",
        leave_states,
    ),
    (
        "all: the post's lines as they stand",
        "",
        "",
        "",
        leave_all,
    ),
]


# Runs


def read_table(name):
    """Returns a table of losses without its heading, a row an epoch, the epoch first."""
    with open(os.path.join(HERE, name)) as file:
        _, *rows = csv.reader(file)
    return np.array(rows, float)


def read_recorded():
    """Returns losses.csv: the post's losses, (25,), and those of Keras 1.2.2's runs, (25, 8)."""
    table = read_table("losses.csv")
    return table[:, 1], table[:, 2:]


def run(seed, stateful=True, batch_size=25, epochs=FIRST, change=None):
    """Runs the program's parts without their output; returns the model and the epochs' losses.

    `change` is a function that changes the model before it is trained.
    """
    keras.utils.set_random_seed(seed)
    cos = program.gen_cosine_amp()
    model = program.build_model(batch_size=batch_size, stateful=stateful)
    if change is not None:
        change(model)
    with contextlib.redirect_stdout(io.StringIO()):
        losses = program.train(model, cos, program.gen_expected_output(cos), epochs)
    setting = f"STATEFUL = {stateful}, BATCH_SIZE = {batch_size}, SEED = {seed}"
    if change is not None:
        setting = f"{setting}, {change.__name__}"
    line = f"... {setting}: loss of epoch {epochs - 1} {losses[-1]:.2f}"
    print(line, file=sys.stderr, flush=True)
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


def fifths_of_an_epoch(model):
    """Trains one epoch more, takes it back, and returns the loss of each fifth of the series."""
    cos = program.gen_cosine_amp()
    fifths = program.stack_batches(model, cos, program.gen_expected_output(cos), stack=400)
    means = []  # of the fifths so far

    def keep(_, logs):
        means.append(logs["loss"])

    callback = keras.callbacks.LambdaCallback(on_train_batch_end=keep)
    weights = model.get_weights()
    model.reset_states()
    model.fit(fifths, shuffle=False, verbose=0, callbacks=[callback])
    model.reset_states()
    model.set_weights(weights)
    sums = np.multiply(means, [1, 2, 3, 4, 5])
    return np.diff(sums, prepend=0)


# Tables


def rms(ratios):
    """Returns the root mean square of the differences of ratios from 1."""
    return np.sqrt(np.mean((ratios - 1) ** 2))


def spread(values):
    """Returns a table's cell with the median of the values and their range."""
    numbers = [np.median(values), np.min(values), np.max(values)]
    median, least, most = [f"{n:.1f}" if n >= 1 else f"{n:.2g}" for n in numbers]
    return f"{median} ({least} to {most})"


def print_table(*rows):
    """Prints rows of cells as a table in Markdown, the first as its heading."""
    heading, *others = rows
    print()
    for cells in [heading, ["---"] * len(heading), *others]:
        print("|", " | ".join(str(cell) for cell in cells), "|")


def print_seed_by_seed(losses):
    """Prints the post, Keras 1.2.2 and this program, whose losses are given, (epochs, seeds)."""
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


def compare(losses):
    """Returns a row's last cells: ratios of means to those of Keras 1.2.2, the rms in epoch 0."""
    _, recorded = read_recorded()
    ratios = [losses[i].mean() / recorded[i].mean() for i in (0, 3, 7)]
    return [f"{ratio:.3f}" for ratio in ratios] + [f"{rms(losses[0] / recorded[0]):.4f}"]


def print_differences(losses):
    """Trains with each thing left as Keras 3 has it, and prints what that does to the losses."""
    others = get_losses([run(seed + len(SEEDS)) for seed in SEEDS])
    rows = [
        ["nothing: the program as it is", "", "", "", *compare(losses)],
        ["nothing, but eight other seeds", "", "", "", *compare(others)],
    ]
    for *words, leave in DIFFERENCES:
        rows.append([*words, *compare(get_losses([run(seed, change=leave) for seed in SEEDS]))])
    heading = ["what", "Keras 1.2.2", "Keras 3 unless told", "what restores it"]
    print_table(heading + ["epoch 0", "epoch 3", "epoch 7", "seed by seed, epoch 0"], *rows)


def print_fifths(default, errors):
    """Prints the loss of one epoch more and the MSE of the prediction, by fifths of the series."""
    losses = np.array([fifths_of_an_epoch(model) for model, _ in default])
    mses = np.array([[fifth.mean() for fifth in np.array_split(error, 5)] for error in errors])
    rows = [["the whole series", spread(losses.mean(axis=1)), spread(mses.mean(axis=1))]]
    for i, name in enumerate(["first", "second", "third", "fourth", "last"]):
        rows.append([f"its {name} fifth", spread(losses[:, i]), spread(mses[:, i])])
    heading = ["median of 8 seeds (range)", "loss of one epoch more", "MSE of the prediction"]
    print_table(heading, *rows)


def print_stateful(losses, errors):
    """Trains with STATEFUL = False too, and prints both."""
    stateless = [run(seed, stateful=False, epochs=25) for seed in SEEDS]
    stateless_losses = get_losses(stateless)
    rows = [[i, spread(losses[i]), spread(stateless_losses[i])] for i in (0, 2, 7, 24)]
    mses = [spread([error.mean() for error in errors])]
    mses.append(spread([square_errors(model).mean() for model, _ in stateless]))
    heading = ["epoch", "`STATEFUL = True`, median (range)", "`STATEFUL = False`, median (range)"]
    print_table(heading, *rows, ["MSE of the prediction", *mses])


def print_batch_sizes(default):
    """Trains four seeds with other batch sizes too, and prints their last losses and MSEs."""
    runs = {"25, 25": default}
    for epochs in (25, 250):
        runs[f"250, {epochs}"] = [run(seed, batch_size=250, epochs=epochs) for seed in SEEDS[:4]]
    rows = []
    for setting, seeds in runs.items():
        mses = [square_errors(model).mean() for model, _ in seeds]
        mses_alone = [square_errors_one_by_one(model).mean() for model, _ in seeds]
        last = get_losses(seeds)[-1]
        rows.append([setting, len(seeds), spread(last), spread(mses), spread(mses_alone)])
    heading = ["`BATCH_SIZE`, `EPOCHS`", "seeds", "last loss", "MSE", "MSE with `batch_size=1`"]
    print_table(heading, *rows)


def main():
    default = [run(seed, epochs=25) for seed in SEEDS]
    losses = get_losses(default)
    errors = [square_errors(model) for model, _ in default]
    print_seed_by_seed(losses)
    print_differences(losses)
    print_fifths(default, errors)
    print_stateful(losses, errors)
    print_batch_sizes(default)


if __name__ == "__main__":
    main()
