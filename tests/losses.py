"""Prints the README's tables of losses: this program beside Keras 1.2.2, and STATEFUL True beside False.

    python tests/losses.py

It trains the full series with eight seeds for each of the two, which takes a few minutes.
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


def run(seed, stateful, epochs=program.EPOCHS):
    """Runs the program's parts without their output; returns its losses and the prediction's MSE."""
    with contextlib.redirect_stdout(io.StringIO()):
        program.keras.utils.set_random_seed(seed)
        cos = program.gen_cosine_amp()
        expected_output = program.gen_expected_output(cos)
        model = program.build_model(stateful=stateful)
        losses = program.train(model, cos, expected_output, epochs=epochs)
        predicted_output = program.predict(model, cos)
    return losses, np.mean((predicted_output - expected_output) ** 2)


def main():
    runs = {True: [], False: []}  # by STATEFUL: for each seed its losses, then its MSE
    for stateful in runs:
        for seed in SEEDS:
            losses, mse = run(seed, stateful)
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
        cells = []
        for table in runs.values():
            values = np.array(table)[:, row]
            cells.append(f"{np.median(values):.1f} ({values.min():.1f} to {values.max():.1f})")
        name = {-2: program.EPOCHS - 1, -1: "MSE of the prediction"}.get(row, row)
        print(f"| {name} | {cells[0]} | {cells[1]} |")


if __name__ == "__main__":
    main()
