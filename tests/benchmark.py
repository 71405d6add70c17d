"""Times this program against plain Keras 3, in turn on one machine.

    python tests/benchmark.py [NAME ...]

The names are epoch, long and whole. All of it takes about five minutes on two cores.
"""

import contextlib
import io
import os
import resource
import subprocess
import sys
import tempfile
import time

os.environ["MPLBACKEND"] = "agg"
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import stateful_lstm as program
from losses import run_parts
from stateful_lstm import keras

ROUNDS = 6
LONG = 5_000_000  # samples of the long series


def seconds(function, *arguments, **settings):
    """Returns the wall-clock seconds of a call, and hides what it prints."""
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        function(*arguments, **settings)
    return time.perf_counter() - start


def build_plain(unroll=False, **switches):
    """Returns the post's model with the defaults of Keras 3."""
    model = keras.Sequential([
        keras.Input(batch_shape=(25, 1, 1)),
        keras.layers.LSTM(50, return_sequences=True, stateful=True, unroll=unroll),
        keras.layers.LSTM(50, stateful=True, unroll=unroll),
        keras.layers.Dense(1),
    ])
    model.compile(loss="mse", optimizer="rmsprop", **switches)
    return model


def fit_plain(model, cos, expected_output):
    """Trains one epoch as the post does."""
    model.fit(cos, expected_output, batch_size=25, epochs=1, shuffle=False, verbose=2)
    for layer in model.layers[:2]:
        layer.reset_state()


def run_plain():
    """Runs the post's whole program under plain Keras 3."""
    cos = program.gen_cosine_amp()
    expected_output = program.gen_expected_output(cos)
    model = build_plain()
    for _ in range(25):
        fit_plain(model, cos, expected_output)
    predicted_output = model.predict(cos, batch_size=25, verbose=2)
    program.plot_results(expected_output, predicted_output, "plain.png")


def run_long():
    """Trains on the long series; prints the seconds of its second epoch and MiB of memory."""
    cos = program.gen_cosine_amp(xn=LONG)
    expected_output = program.gen_expected_output(cos)
    model = program.build_model()
    _, second = (seconds(program.train, model, cos, expected_output, epochs=1) for _ in range(2))
    print(second, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def run_alone(function):
    """Runs a function of this file in a process of its own; returns its seconds and last line."""
    print(f"... {function} in a process of its own", flush=True)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        code = f"import sys; sys.path.insert(0, {HERE!r}); import benchmark; benchmark.{function}()"
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return time.perf_counter() - start, done.stdout.splitlines()[-1]


def time_epoch():
    """Prints the seconds of an epoch, measured in turn for all ways, and of predicting."""
    cos = program.gen_cosine_amp()
    expected_output = program.gen_expected_output(cos)
    switched = build_plain(unroll=True, jit_compile=True, steps_per_execution=2000)
    plain, ours = build_plain(), program.build_model()
    epochs = {
        "plain Keras 3, as in the post": lambda: fit_plain(plain, cos, expected_output),
        "Keras's own switches": lambda: fit_plain(switched, cos, expected_output),
        "this program": lambda: program.train(ours, cos, expected_output, epochs=1),
    }
    times = {name: [] for name in epochs}
    for i in range(ROUNDS):  # in turn, so that a slow minute of the machine is slow for all
        for name, epoch in epochs.items():
            times[name].append(seconds(epoch))
        latest = [f"{t[-1]:.2f}" for t in times.values()]
        print(f"... round {i + 1} of {ROUNDS}:", *latest, "s", flush=True)
    predicting = seconds(program.predict, ours, cos)
    best = {name: min(t) for name, t in times.items()}
    epoch = best["this program"]
    print("\n| one epoch | best, s | times this program | first, compiling included, s |")
    print("|---|---|---|---|")
    for name, t in times.items():
        print(f"| {name} | {best[name]:.2f} | {best[name] / epoch:.1f} | {t[0]:.1f} |")
    print(f"\nPredicting, compiling included: {predicting:.2f} s, {predicting / epoch:.1f} epochs")


def time_long():
    """Prints the seconds of an epoch of a long series, and the ratio of the times per sample."""
    model, cos = program.build_model(), program.gen_cosine_amp()
    expected_output = program.gen_expected_output(cos)
    times = [seconds(program.train, model, cos, expected_output, epochs=1) for _ in range(ROUNDS)]
    _, line = run_alone("run_long")
    long, memory = map(float, line.split())
    a_sample = long / LONG * 50000 / min(times)
    print(f"{LONG} samples: {long:.1f} s an epoch, {memory:.0f} MiB,", end=" ")
    print(f"{a_sample:.2f} times as long per sample")


def time_whole():
    """Prints the seconds of the whole program, and of the post's program under plain Keras."""
    whole, _ = run_alone("program.main")
    whole_plain, _ = run_alone("run_plain")
    print(f"Whole run, from import to plot: {whole:.1f} s,", end=" ")
    print(f"plain Keras {whole_plain:.1f} s, {whole_plain / whole:.1f} times that")


if __name__ == "__main__":
    run_parts(dict(epoch=time_epoch, long=time_long, whole=time_whole), sys.argv[1:])
