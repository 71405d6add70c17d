"""Prints the README's tables: this program beside Keras 1.2.2, STATEFUL True beside False, other batch sizes.

    python tests/losses.py

It trains the full series with eight seeds for each of the two, which takes a few minutes, and with four
for the batch sizes, which takes about as long.
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

SEEDS = range(8)


def read_recorded():
    """Returns losses.csv: the losses of the post, shape (25,), and of the Keras 1.2.2 runs, (25, 8)."""
    with open(os.path.join(HERE, "losses.csv")) as file:
        _, *rows = csv.reader(file)
    table = np.array(rows, float)
    return table[:, 1], table[:, 2:]


def predict_mse(model, batch_size):
    """Returns the MSE of the prediction of the full series from reset states."""
    cos = program.gen_cosine_amp()
    model.reset_states()
    predicted_output = program.predict(model, cos, batch_size, verbose=0)
    return np.mean((predicted_output - program.gen_expected_output(cos)) ** 2)


def run(seed, stateful=True, batch_size=program.BATCH_SIZE, epochs=program.EPOCHS):
    """Runs the program's parts without their output; returns the model and the epochs' losses."""
    with contextlib.redirect_stdout(io.StringIO()):
        program.keras.utils.set_random_seed(seed)
        cos = program.gen_cosine_amp()
        model = program.build_model(batch_size=batch_size, stateful=stateful)
        losses = program.train(model, cos, program.gen_expected_output(cos), batch_size, epochs)
    return model, losses


def spread(values):
    """Returns a table's cell with the median of the values and their range."""
    return f"{np.median(values):.1f} ({np.min(values):.1f} to {np.max(values):.1f})"


def main():
    runs = {True: [], False: []}  # by STATEFUL: for each seed its losses, then its MSE
    for stateful in runs:
        for seed in SEEDS:
            model, losses = run(seed, stateful)
            mse = predict_mse(model, program.BATCH_SIZE)
            runs[stateful].append([*losses, mse])
            print(f"STATEFUL = {stateful}, SEED = {seed}: last loss {losses[-1]:.2f}, MSE {mse:.2f}", flush=True)

    published, recorded = read_recorded()
    ours = np.mean(runs[True], axis=0)
    print("\n| epoch | the post | Keras 1.2.2, mean of 8 runs | this program, mean of 8 seeds | ratio |")
    print("|---|---|---|---|---|")
    for epoch in range(8):
        theirs, mean = recorded[epoch].mean(), ours[epoch]
        print(f"| {epoch} | {published[epoch]:.1f} | {theirs:.1f} | {mean:.1f} | {mean / theirs:.3f} |")

    print("\n| epoch | STATEFUL = True, median (range) | STATEFUL = False, median (range) |\n|---|---|---|")
    for row in (0, 1, 2, 3, 4, 5, 6, 7, -2, -1):
        cells = [spread(np.array(table)[:, row]) for table in runs.values()]
        name = {-2: program.EPOCHS - 1, -1: "MSE of the prediction"}.get(row, row)
        print(f"| {name} | {cells[0]} | {cells[1]} |")

    print("\n| `BATCH_SIZE`, `EPOCHS` | last loss | MSE of the prediction | with `batch_size=1` |\n|---|---|---|---|")
    alone = program.build_model(batch_size=1)
    for batch_size, epochs in ((25, 25), (250, 25), (250, 250)):
        rows = []  # for each seed
        for seed in SEEDS[:4]:
            model, losses = run(seed, batch_size=batch_size, epochs=epochs)
            alone.set_weights(model.get_weights())
            rows.append([losses[-1], predict_mse(model, batch_size), predict_mse(alone, 1)])
        print(f"| {batch_size}, {epochs} |", " | ".join(map(spread, np.transpose(rows))), "|", flush=True)


if __name__ == "__main__":
    main()
