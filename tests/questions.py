"""Measures what the README answers students with: python tests/questions.py [NAME ...]

The names are those of the functions that end in _table, without the ending. All of it takes about
half an hour on two cores; what is done is shown on stderr.
"""

import sys

import numpy as np

from benchmark import seconds
from losses import RECORDED, SEEDS, interval, keras, print_table, program, run_parts, train_all


def spread(values):
    """Returns a cell: the median of the values and their range."""
    median, least, most = [f"{n:.3g}" for n in (np.median(values), np.min(values), np.max(values))]
    return f"{median} ({least} to {most})"


# What is looked at in a trained model


def square_errors(model, cos):
    """Returns the square error of each sample's prediction from reset states, without the last."""
    model.reset_states()
    predicted_output = program.predict(model, cos, verbose=0)
    model.reset_states()
    return ((predicted_output - program.gen_expected_output(cos)) ** 2)[:-1, 0]


def mse(model, cos):
    """Returns the MSE of the prediction."""
    return square_errors(model, cos).mean()


def both_mses(model, cos):
    """Returns the MSE of the prediction, and that of a model with batches of one sample."""
    one = program.build_model(batch_size=1)
    one.set_weights(model.get_weights())
    return mse(model, cos), mse(one, cos)


def losses_of_fifths(model, cos):
    """Returns the loss of each fifth of the series in one epoch more."""
    expected_output = program.gen_expected_output(cos)
    stacks = program.stack_batches(model, cos, expected_output, steps_per_execution=len(cos) // 125)
    means = []  # of the fifths so far

    def keep(_, logs):
        means.append(logs["loss"])

    callback = keras.callbacks.LambdaCallback(on_train_batch_end=keep)
    model.fit(stacks, shuffle=False, verbose=0, callbacks=[callback])
    return np.diff(np.multiply(means, [1, 2, 3, 4, 5]), prepend=0)


def at_twenty(model, cos):
    """Returns the predictions where the series is 20, first on the way down and then up."""
    model.reset_states()
    predicted_output = program.predict(model, cos, verbose=0)[:, 0]
    values = cos[:, -1, 0]
    predictions = []
    for falls in (True, False):
        k = np.flatnonzero((values[:-1] > 20) == falls)
        k = k[(values[k + 1] > 20) != falls][0]  # the first of two samples with 20 between them
        share = (20 - values[k]) / (values[k + 1] - values[k])
        predictions.append((1 - share) * predicted_output[k] + share * predicted_output[k + 1])
    return predictions


def forecast(model, cos):
    """Returns 5,000 values beyond the end, each predicted from the one predicted before it."""
    one = program.build_model(batch_size=1)
    one.set_weights(model.get_weights())
    value = program.predict(one, cos, verbose=0)[-1:]
    values = []
    for _ in range(5000):
        values.append(value[0, 0])
        value = one.predict_on_batch(value[:, np.newaxis])
    return np.array(values)


def look_at_state(model, cos):
    """Returns what the tables of the state want of a model."""
    errors = square_errors(model, cos)
    errors_of_fifths = [fifth.mean() for fifth in np.array_split(errors, 5)]
    at = at_twenty(model, cos)
    model.reset_states()
    fifths = [losses_of_fifths(model, cos), errors_of_fifths]
    return dict(at_twenty=at, mse=errors.mean(), fifths=fifths)


def mses_of_seen_and_rest(model, cos):
    """Returns the MSEs of the series' first 40,000 samples and of the 10,000 after them."""
    whole = program.gen_cosine_amp()
    expected_output = program.gen_expected_output(whole)
    errors = square_errors(model, whole)
    unchanged = ((whole[40000:-1, 0, 0] - expected_output[40000:-1, 0]) ** 2).mean()
    return errors[: len(cos)].mean(), errors[len(cos) :].mean(), unchanged


# Tables


def state_table():
    """Prints what the state does, and where the series is learned: 32 seeds each."""
    stateful, stateless = dict(stateful=True), dict(stateful=False)
    run = dict(seeds=SEEDS, epochs=25, look=look_at_state)
    runs = [dict(run, **stateful), dict(run, **stateless)]
    (losses, seen), (stateless_losses, stateless_seen) = train_all(runs)
    rows = {f"loss of epoch {i}": (losses[i], stateless_losses[i]) for i in (0, 2, 7, 24)}
    mses = [np.array([look["mse"] for look in looks]) for looks in (seen, stateless_seen)]
    rows["MSE of the prediction"] = mses
    cells = [[name, spread(a), spread(b), interval(a / b)] for name, (a, b) in rows.items()]
    heading = ["32 seeds", "`STATEFUL = True`, median (range)", "`STATEFUL = False`, the same"]
    print_table([*heading, "mean ratio (95 % interval)"], *cells)

    down, up = np.transpose([look["at_twenty"] for look in seen])
    stateless_down, stateless_up = np.transpose([look["at_twenty"] for look in stateless_seen])
    print_table(
        ["predicted where the series is 20", "on the way down", "on the way up", "up minus down"],
        ["`STATEFUL = True`", spread(down), spread(up), spread(up - down)],
        [
            "`STATEFUL = False`",
            spread(stateless_down),
            spread(stateless_up),
            spread(stateless_up - stateless_down),
        ],
    )

    once_more, errors = np.array([look["fifths"] for look in seen]).transpose(1, 2, 0)
    rows = [["the whole series", spread(once_more.mean(axis=0)), spread(errors.mean(axis=0))]]
    for i, name in enumerate(["first", "second", "third", "fourth", "last"]):
        rows.append([f"its {name} fifth", spread(once_more[i]), spread(errors[i])])
    heading = ["32 seeds, median (range)", "loss while training goes on", "MSE of the prediction"]
    print_table(heading, *rows)


def batches_table():
    """Prints what a batch size of 250 does, and what predicting with batches of one costs."""
    settings = {"25, 25": {}, "250, 25": dict(batch_size=250), "250, 250": dict(batch_size=250)}
    runs = []
    for name, sizes in settings.items():
        epochs = int(name.split(", ")[1])
        runs.append(dict(seeds=RECORDED[:4], epochs=epochs, look=both_mses, **sizes))
    rows = []
    for name, (losses, seen) in zip(settings, train_all(runs)):
        rows.append([name, spread(losses[-1]), *[spread(mses) for mses in np.transpose(seen)]])
    heading = ["`BATCH_SIZE`, `EPOCHS`", "last loss", "MSE", "MSE with `batch_size=1`"]
    print_table(heading, *rows)


def tsteps_table():
    """Prints what more time steps change and cost, on 5,000 samples."""
    series = dict(xn=5000)
    run = dict(seeds=RECORDED, epochs=25, series=series, look=mse)
    (ones, mses), (tens, mses_of_tens) = train_all([run, dict(run, tsteps=10)])
    rows = {1: [spread(ones[-1]), spread(mses)], 10: [spread(tens[-1]), spread(mses_of_tens)]}
    rows[50] = ["", ""]  # only timed
    for tsteps, cells in rows.items():
        cos = program.gen_cosine_amp(tsteps=tsteps, **series)
        model = program.build_model(tsteps=tsteps)
        times = []
        for _ in range(3):
            times.append(
                seconds(program.train, model, cos, program.gen_expected_output(cos), epochs=1)
            )
        cells += [f"{times[0] - min(times):.1f}", f"{min(times):.2f}"]
    heading = ["`TSTEPS`", "loss of epoch 24", "MSE", "s to compile", "s an epoch"]
    print_table(heading, *[[tsteps, *cells] for tsteps, cells in rows.items()])


def scale_table():
    """Prints what a series of amplitude 1 does: losses over the square of the amplitude."""
    amplitudes = (100, 1)
    runs = [dict(seeds=RECORDED, epochs=25, series=dict(amp=amp), look=mse) for amp in amplitudes]
    rows = []
    for amp, (losses, mses) in zip(amplitudes, train_all(runs)):
        cells = [losses[0], losses[-1], np.array(mses)]
        rows.append([amp, *[spread(numbers / amp**2) for numbers in cells]])
    print_table(["`AMP`", "loss of epoch 0 / AMP^2", "of epoch 24", "MSE / AMP^2"], *rows)


def forecast_table():
    """Prints what becomes of predictions from predictions, beyond the end of the series."""
    [(_, seen)] = train_all([dict(seeds=RECORDED, epochs=25, look=forecast)])
    values = np.transpose(seen)  # (steps, seeds)
    rows = []
    for seed in RECORDED:
        last = values[-1000:, seed]
        first = [f"{values[k, seed]:.3g}" for k in (0, 10, 100, 1000)]
        rows.append([seed, *first, f"{last.min():.3g} to {last.max():.3g}"])
    print_table(["seed", "1st", "11th", "101st", "1001st", "the last 1,000 of 5,000"], *rows)


def rest_table():
    """Prints the MSEs of a training on the first 40,000 samples that goes on into the rest."""
    run = dict(seeds=RECORDED, epochs=25, series=dict(xn=40000), look=mses_of_seen_and_rest)
    [(_, seen)] = train_all([run])
    cells = [spread(mses) for mses in np.transpose(seen)]
    heading = ["8 seeds, median (range)", "the first 40,000", "the rest", '"no change" in the rest']
    print_table(heading, ["MSE of the prediction", *cells])


if __name__ == "__main__":
    parts = dict(
        state=state_table,
        batches=batches_table,
        tsteps=tsteps_table,
        scale=scale_table,
        forecast=forecast_table,
        rest=rest_table,
    )
    run_parts(parts, sys.argv[1:])
