"""Prints the README's tables: this program beside Keras 1.2.2, STATEFUL True beside False, other batch sizes.

    python tests/losses.py

It trains the full series with eight seeds for each of the two and with four for the other batch sizes,
which takes a few minutes.
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

RUNS = (True, 25, 25, 8), (False, 25, 25, 8), (True, 250, 25, 4), (True, 250, 250, 4)  # the last: seeds


def read_recorded():
    """Returns losses.csv: the losses of the post, shape (25,), and of the Keras 1.2.2 runs, (25, 8)."""
    with open(os.path.join(HERE, "losses.csv")) as file:
        _, *rows = csv.reader(file)
    table = np.array(rows, float)
    return table[:, 1], table[:, 2:]


def predict_mse(model):
    """Returns the MSE of the prediction of the full series from reset states."""
    cos = program.gen_cosine_amp()
    model.reset_states()
    predicted_output = program.predict(model, cos, verbose=0)
    return np.mean((predicted_output - program.gen_expected_output(cos)) ** 2)


def run(seed, stateful=True, batch_size=program.BATCH_SIZE, epochs=program.EPOCHS):
    """Runs the program's parts without their output; returns the model and the epochs' losses."""
    with contextlib.redirect_stdout(io.StringIO()):
        program.keras.utils.set_random_seed(seed)
        cos = program.gen_cosine_amp()
        model = program.build_model(batch_size=batch_size, stateful=stateful)
        losses = program.train(model, cos, program.gen_expected_output(cos), epochs)
    return model, losses


def measure(seed, stateful, batch_size, epochs):
    """Returns the losses of a run and the MSE of its prediction, with its batch size and with one of 1."""
    model, losses = run(seed, stateful, batch_size, epochs)
    alone = program.build_model(batch_size=1, stateful=stateful)
    alone.set_weights(model.get_weights())
    mse, mse_alone = predict_mse(model), predict_mse(alone)
    print(f"STATEFUL = {stateful}, BATCH_SIZE = {batch_size}, EPOCHS = {epochs}, SEED = {seed}:", end=" ")
    print(f"last loss {losses[-1]:.2f}, MSE {mse:.2f}", flush=True)
    return [*losses, mse, mse_alone]


def spread(values):
    """Returns a table's cell with the median of the values and their range."""
    return f"{np.median(values):.1f} ({np.min(values):.1f} to {np.max(values):.1f})"


def main():
    runs = {  # by STATEFUL, BATCH_SIZE and EPOCHS: for each seed the losses and both MSEs of the prediction
        (stateful, batch_size, epochs): [measure(seed, stateful, batch_size, epochs) for seed in range(seeds)]
        for stateful, batch_size, epochs, seeds in RUNS
    }
    default = np.array(runs[True, 25, 25])
    stateless = np.array(runs[False, 25, 25])

    published, recorded = read_recorded()
    ours = default.mean(axis=0)
    print("\n| epoch | the post | Keras 1.2.2, mean of 8 runs | this program, mean of 8 seeds | ratio |")
    print("|---|---|---|---|---|")
    for epoch in range(8):
        theirs, mean = recorded[epoch].mean(), ours[epoch]
        print(f"| {epoch} | {published[epoch]:.1f} | {theirs:.1f} | {mean:.1f} | {mean / theirs:.3f} |")

    print("\n| epoch | STATEFUL = True, median (range) | STATEFUL = False, median (range) |\n|---|---|---|")
    for row in (0, 1, 2, 3, 4, 5, 6, 7, 24, 25):
        name = "MSE of the prediction" if row == 25 else row
        print(f"| {name} | {spread(default[:, row])} | {spread(stateless[:, row])} |")

    print("\n| `BATCH_SIZE`, `EPOCHS` | last loss | MSE of the prediction | with `batch_size=1` |\n|---|---|---|---|")
    for (stateful, batch_size, epochs), rows in runs.items():
        if stateful:  # of four seeds the last loss and the two MSEs
            print(f"| {batch_size}, {epochs} |", " | ".join(map(spread, np.transpose(rows[:4])[-3:])), "|")


if __name__ == "__main__":
    main()
