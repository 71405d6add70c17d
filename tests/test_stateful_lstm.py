"""What the program promises, one promise a test."""

import os
import re
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import nbclient
import nbformat
import numpy as np
import pytest

import losses
import stateful_lstm as program
from stateful_lstm import keras

SCRIPT = Path(program.__file__)
WEIGHTS = (
    "lstm_1_kernel lstm_1_recurrent_kernel lstm_1_bias "
    "lstm_2_kernel lstm_2_recurrent_kernel lstm_2_bias dense_kernel dense_bias"
).split()
build_model = program.build_model
compiled = {}  # by their settings, the models that tests had


def new_model(batch_size=25, tsteps=1, units=50, stateful=True):
    """Returns what build_model does, but a model that an earlier test compiled, set back, if there is one."""
    new = build_model(batch_size, tsteps, units, stateful)
    model = compiled.setdefault((batch_size, tsteps, units, stateful), new)
    for each in (new, model):
        each.optimizer.build(each.trainable_variables)
        each.reset_states()
    for variable, value in zip(variables(model), variables(new), strict=True):
        variable.assign(value)
    return model


def variables(model):
    """Returns all that an epoch changes: weights, the optimizer's averages, states."""
    return model.variables + model.optimizer.variables + [s for layer in model.layers[:2] for s in layer.states or []]


def values(model):
    """Returns copies of what an epoch changes."""
    return [variable.numpy() for variable in variables(model)]


def assert_equal(ones, others):
    """Asserts that two lists of arrays are the same to the last bit."""
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_array_equal(one, other)


def series(samples=250, **settings):
    """Returns a short series and what is to be predicted from it."""
    cos = program.gen_cosine_amp(xn=samples, **settings)
    return cos, program.gen_expected_output(cos)


def edited_script(**constants):
    """Returns the text of the script with other constants."""
    text = SCRIPT.read_text(encoding="utf-8")
    for name, value in constants.items():
        text, found = re.subn(f"(?m)^{name} = .*", f"{name} = {value!r}", text)
        assert found == 1
    return text


def start_script(folder, **constants):
    """Starts the script with other constants in `folder` as a user does on a machine without a screen."""
    (folder / "edited.py").write_text(edited_script(**constants), encoding="utf-8")
    screenless = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")}
    return subprocess.Popen(
        [sys.executable, "-u", "edited.py"],
        cwd=folder,
        env=screenless,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def interrupt_at(line, process):
    """Sends Ctrl-C after the script has printed the line; returns what it prints from then on, and its errors."""
    assert line in iter(process.stdout.readline, "")
    process.send_signal(signal.SIGINT)
    return process.communicate()


@pytest.fixture
def run_main(monkeypatch, tmp_path, capsys):
    """Returns a function that runs main() with other constants in a temporary folder; it returns the output."""

    def run(**constants):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(program, "build_model", new_model)
        for name, value in {"XN": 250, "EPOCHS": 2, "VERBOSE": 2, **constants}.items():
            assert hasattr(program, name)
            monkeypatch.setattr(program, name, value)
        program.main()
        return capsys.readouterr().out

    yield run
    plt.close("all")


def test_smoke_the_whole_program_runs_on_a_short_series(run_main, tmp_path):
    printed = run_main()
    headings = [
        "Generating Data", r"Input shape: \(250, 1, 1\)", "Output shape", r"\(250, 1\)",
        'Model: "stateful_sequential.*"', "Training", "Epoch 0 / 2", r"1/1 - .* loss: .*", "Epoch 1 / 2",
        r"1/1 - .* loss: .*", "Predicting", "MSE of the prediction: .*", "MSE of .no change.*",
        "Plotting Results", "Plot: stateful_lstm.png",
    ]  # fmt: skip
    assert re.search(r"\n(?:.*\n)*?".join(headings) + r"\n$", printed)
    assert re.search(r"Training\nEpoch 0 / 2\n.*\nEpoch 1 / 2\n.*\nPredicting\n", printed)
    assert np.isfinite([float(loss) for loss in re.findall("loss: (.*)", printed)]).all()
    for panel in np.array_split(plt.imread(tmp_path / "stateful_lstm.png"), 2):
        assert panel.std() > 0.01


# The series


def test_the_series_is_that_of_the_post():
    cos = program.gen_cosine_amp(amp=3, period=40, x0=10, xn=60, k=0.01)
    x = np.arange(10, 60)
    assert cos.shape == (50, 1, 1) and cos.dtype == np.float64
    np.testing.assert_allclose(cos[:, 0, 0], 3 * np.cos(2 * np.pi * x / 40) * np.exp(-0.01 * x), rtol=1e-12)


def test_a_step_of_two_gives_twice_the_samples_two_apart():
    doubled = program.gen_cosine_amp(x0=0, xn=50, step=2)
    np.testing.assert_array_equal(doubled, program.gen_cosine_amp(x0=0, xn=200)[::2])


def test_a_sample_is_the_window_that_ends_with_its_value_oldest_first():
    windows = program.gen_cosine_amp(x0=100, xn=200, tsteps=3)
    values = program.gen_cosine_amp(x0=98, xn=200)[:, 0, 0]
    assert windows.shape == (100, 3, 1)
    np.testing.assert_array_equal(windows[0, :, 0], values[:3])
    np.testing.assert_array_equal(windows[99, :, 0], values[-3:])


def test_expected_is_the_mean_of_the_next_values_and_0_where_there_are_none():
    cos = np.arange(6.0).reshape(6, 1, 1)
    np.testing.assert_array_equal(program.gen_expected_output(cos), [[1], [2], [3], [4], [5], [0]])
    np.testing.assert_array_equal(program.gen_expected_output(cos, 3), [[2], [3], [4], [0], [0], [0]])


def test_expected_is_made_of_the_latest_values_of_windows():
    windows, values = program.gen_cosine_amp(xn=100, tsteps=7), program.gen_cosine_amp(xn=100)
    np.testing.assert_array_equal(program.gen_expected_output(windows, 5), program.gen_expected_output(values, 5))


# The model of Keras 1.2.2


@pytest.fixture(scope="module")
def recorded():
    """The run of Keras 1.2.2 in keras_1_2_2.npz, and the same run of this program from its weights."""
    run = dict(np.load(Path(__file__).with_name("keras_1_2_2.npz")))
    cos, expected_output = series(2500)
    model = new_model()
    model.set_weights([run[name] for name in WEIGHTS])
    run["before"] = program.predict(model, cos, stack=10)
    model.reset_states()
    run["losses"] = program.train(model, cos, expected_output, epochs=3, stack=10)
    run["after"] = program.predict(model, cos, stack=10)
    return run


def test_predictions_before_training_are_those_of_keras_1(recorded):
    np.testing.assert_allclose(recorded["before"], recorded["predicted_before"], rtol=0, atol=1e-5)


def test_losses_are_those_of_keras_1(recorded):
    np.testing.assert_allclose(recorded["losses"], recorded["batch_losses"].mean(axis=1), rtol=1e-4)


def test_predictions_after_training_are_those_of_keras_1(recorded):
    np.testing.assert_allclose(recorded["after"], recorded["predicted_after"], rtol=0, atol=0.1)


def gate_blocks(seed=0):
    """Returns (inputs, kernel) of the four gates of the four kernels of a new model: 16 blocks."""
    keras.utils.set_random_seed(seed)
    weights = dict(zip(WEIGHTS, build_model().get_weights(), strict=True))
    kernels = [weight for name, weight in weights.items() if "lstm" in name and "kernel" in name]
    return [(len(kernel), block) for kernel in kernels for block in np.split(kernel, 4, axis=1)]


def test_every_gate_starts_glorot_uniform_for_itself():
    blocks = gate_blocks()
    assert len(blocks) == 16
    for inputs, block in blocks:
        limit = np.sqrt(6 / (inputs + 50))
        assert 0.85 * limit < block.max() <= limit
        assert -limit <= block.min() < -0.85 * limit
        assert block.std() == pytest.approx(limit / np.sqrt(3), rel=0.2)


def test_no_two_gates_start_equal():
    blocks = [block for _, block in gate_blocks()]
    for i, block in enumerate(blocks):
        assert not any(np.array_equal(block, other) for other in blocks[:i])


def test_only_the_forget_gates_have_a_bias_at_the_start():
    weights = build_model(units=3).get_weights()
    for bias in (weights[2], weights[5]):
        np.testing.assert_array_equal(bias, [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0])


def test_a_seed_repeats_the_starting_weights():
    for (_, one), (_, other) in zip(gate_blocks(seed=3), gate_blocks(seed=3)):
        np.testing.assert_array_equal(one, other)


def test_two_seeds_give_other_starting_weights():
    for (_, one), (_, other) in zip(gate_blocks(seed=3), gate_blocks(seed=4)):
        assert not np.isclose(one, other).all()


def test_the_loss_curve_is_that_of_keras_1(monkeypatch):
    monkeypatch.setattr(program, "build_model", new_model)
    _, keras_1 = losses.read_recorded()
    ours = np.mean([losses.run(seed, epochs=8)[1] for seed in range(4)], axis=0)
    np.testing.assert_allclose(ours[:6], keras_1.mean(axis=1)[:6], rtol=0.1)
    np.testing.assert_allclose(ours[6:], keras_1.mean(axis=1)[6:8], rtol=0.2)


@pytest.mark.parametrize("tsteps, unroll", [(1, True), (2, False), (50, False)])  # 50 unrolled compile for minutes
def test_only_a_single_step_is_unrolled(tsteps, unroll):
    model = build_model(tsteps=tsteps)
    assert [layer.unroll for layer in model.layers[:2]] == [unroll, unroll]


# Training and predicting


@pytest.fixture(scope="module", params=[1, 3], ids=["tsteps 1", "tsteps 3"])
def both_ways(request):
    """The losses, weights and predictions of train and predict, and those of a plain Keras model, batch by batch."""
    keras.utils.set_random_seed(0)
    cos, expected_output = series(625, tsteps=request.param)
    model = new_model(tsteps=request.param)
    plain = keras.Sequential.from_config(keras.Sequential(model.layers).get_config())
    plain.compile(loss="mse", optimizer=keras.optimizers.RMSprop(epsilon=1e-16), jit_compile=True)
    plain.set_weights(model.get_weights())

    fast_losses = program.train(model, cos, expected_output, epochs=2, stack=10)  # stacks of 10, 10 and 5 batches
    fast = fast_losses, model.get_weights(), program.predict(model, cos, stack=10)
    plain_losses = []
    for _ in range(2):
        history = plain.fit(cos, expected_output, batch_size=25, shuffle=False, verbose=0)
        plain_losses += history.history["loss"]
        for layer in plain.layers[:2]:
            layer.reset_state()
    return fast, (plain_losses, plain.get_weights(), plain.predict(cos, batch_size=25, verbose=0))


def test_losses_are_those_of_plain_keras(both_ways):
    (fast, _, _), (plain, _, _) = both_ways
    np.testing.assert_allclose(fast, plain, rtol=1e-4)


def test_weights_are_those_of_plain_keras(both_ways):
    (_, fast, _), (_, plain, _) = both_ways
    for one, other in zip(fast, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-3)


def test_predictions_are_those_of_plain_keras(both_ways):
    (_, _, fast), (_, _, plain) = both_ways
    np.testing.assert_allclose(fast, plain, rtol=0, atol=1e-2)


def test_one_model_takes_arrays_and_stacks_in_turn():
    cos, expected_output = series()
    model = new_model()
    stacks = program.stack_batches(model, cos, expected_output)
    fits = [dict(x=cos, y=expected_output, batch_size=25), dict(x=stacks)]
    for first, second in (fits, fits[::-1]):
        model = new_model()
        for fit in (first, second):
            model.fit(**fit, shuffle=False, verbose=0)
            model.reset_states()
        predicted_output = model.predict(cos, batch_size=25, verbose=0)
        model.reset_states()
        np.testing.assert_allclose(model.predict(stacks, verbose=0), predicted_output, atol=1e-5)


def test_evaluate_of_arrays_and_of_stacks_is_the_loss_of_the_prediction():
    cos, expected_output = series()
    model = new_model()
    loss = np.mean((program.predict(model, cos) - expected_output) ** 2)
    model.reset_states()
    assert model.evaluate(cos, expected_output, batch_size=25, verbose=0) == pytest.approx(loss, rel=1e-5)
    model.reset_states()
    stacks = program.stack_batches(model, cos, expected_output)
    assert model.evaluate(stacks, verbose=0) == pytest.approx(loss, rel=1e-5)


def test_fit_validates_on_stacks_as_on_arrays():
    cos, expected_output = series()
    fits = []
    for stacked in (True, False):
        keras.utils.set_random_seed(1)
        model = new_model()
        stacks = program.stack_batches(model, cos, expected_output)
        validation = dict(validation_data=stacks)
        if not stacked:
            validation = dict(validation_data=(cos, expected_output), validation_batch_size=25)
        history = model.fit(stacks, shuffle=False, verbose=0, **validation).history
        fits.append([history["loss"], history["val_loss"]])
    np.testing.assert_allclose(*fits, rtol=1e-5)


def test_predictions_have_the_width_of_the_models_last_layer():
    cos, _ = series()
    model = program.StatefulSequential(
        [keras.Input(batch_shape=(25, 1, 1)), keras.layers.LSTM(2, stateful=True), keras.layers.Dense(3)]
    )
    model.compile(loss="mse", jit_compile=True)
    predicted_output = program.predict(model, cos)
    model.reset_states()
    np.testing.assert_allclose(predicted_output, model.predict(cos, batch_size=25, verbose=0), atol=1e-6)
    assert predicted_output.shape == (250, 3)


def test_the_states_go_on_from_one_prediction_to_the_next():
    cos, _ = series()
    model = new_model()
    first = program.predict(model, cos)
    assert np.abs(program.predict(model, cos) - first).max() > 1e-3


def test_after_a_reset_a_prediction_repeats():
    cos, _ = series()
    model = new_model()
    first = program.predict(model, cos)
    model.reset_states()
    np.testing.assert_array_equal(program.predict(model, cos), first)


def test_training_ends_with_the_states_reset():
    model = new_model()
    program.train(model, *series(), epochs=1)
    for layer in model.layers[:2]:
        assert not np.any(layer.states)


@pytest.mark.parametrize("stateful", [False, True])
def test_only_without_state_samples_do_not_depend_on_their_order(stateful):
    cos, _ = series()
    model = new_model(stateful=stateful)
    forwards = program.predict(model, cos)
    model.reset_states()
    backwards = program.predict(model, cos[::-1])
    assert np.allclose(backwards[::-1], forwards, atol=1e-5) == (not stateful)


@pytest.mark.parametrize("epochs_before", [0, 2])
def test_after_a_loss_that_is_not_finite_training_goes_on_as_if_it_had_not_been(epochs_before):
    cos, expected_output = series()
    broken = expected_output.copy()
    broken[100] = np.nan
    ends = []
    for disturbed in (False, True):
        keras.utils.set_random_seed(0)
        model = build_model()  # the optimizer of new_model has its averages, as if it had been used
        if epochs_before:
            program.train(model, cos, expected_output, epochs=epochs_before)
        if disturbed:
            weights = model.get_weights()
            with pytest.raises(FloatingPointError, match="epoch 0 is nan"):
                program.train(model, cos, broken, epochs=2)
            assert_equal(model.get_weights(), weights)
        program.train(model, cos, expected_output, epochs=2)
        ends.append(values(model))
    assert_equal(*ends)


# The whole program


def test_main_draws_expected_above_predicted_on_the_same_scale(run_main):
    run_main()
    top, bottom = plt.gcf().axes
    assert (top.get_title(), bottom.get_title()) == ("Expected", "Predicted")
    assert top.get_position().y0 > bottom.get_position().y1
    assert top.get_ylim() == bottom.get_ylim()
    _, expected_output = series()
    np.testing.assert_array_equal(top.lines[0].get_ydata(), expected_output[:, 0])
    assert len(bottom.lines[0].get_ydata()) == 250
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in (top, bottom))


@pytest.mark.parametrize("backend, windows", [("agg", ""), ("tkagg", "window {'block': True}\n")])
@pytest.mark.parametrize("path, line", [("plot.png", "Plot: plot.png\n"), (None, "")])
def test_a_window_is_shown_after_the_line_of_the_file_and_only_where_there_is_a_screen(
    monkeypatch, tmp_path, capsys, backend, windows, path, line
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "get_backend", lambda: backend)
    monkeypatch.setattr(plt, "show", lambda **how: print("window", how))
    program.plot_results(np.zeros((9, 1)), np.zeros((9, 1)), path)
    plt.close("all")
    assert capsys.readouterr().out == line + windows
    assert os.listdir() == [path] * (path is not None)


def test_a_plot_that_cannot_be_written_is_shown_all_the_same(monkeypatch, tmp_path):
    shown = []
    monkeypatch.setattr(plt, "get_backend", lambda: "tkagg")
    monkeypatch.setattr(plt, "show", lambda **how: shown.append(how))
    with pytest.raises(OSError, match="gone"):
        program.plot_results(np.zeros((9, 1)), np.zeros((9, 1)), tmp_path / "gone" / "plot.png")
    plt.close("all")
    assert shown


@pytest.mark.parametrize("ending", ["png", "pdf", "svg", "jpg"])
def test_the_ending_of_a_picture_says_its_format(run_main, tmp_path, ending):
    start = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml", "jpg": b"\xff\xd8"}[ending]
    run_main(PLOT_FILE=f"plot.{ending}", MODEL_FILE=f"model.{ending}")
    for name in ("plot", "model"):
        assert (tmp_path / f"{name}.{ending}").read_bytes().startswith(start)


@pytest.mark.parametrize("constant", ["PLOT_FILE", "MODEL_FILE"])
def test_none_for_a_picture_writes_none(run_main, constant):
    pictures = {"PLOT_FILE": "stateful_lstm.png", "MODEL_FILE": "stateful_lstm_model.svg"}
    printed = run_main(**{constant: None})
    del pictures[constant]
    assert os.listdir() == list(pictures.values())
    assert "No picture" not in printed and ("Plot:" in printed) == (constant == "MODEL_FILE")


def test_main_compares_with_predicting_no_change(run_main):
    cos, expected_output = series()
    mse = np.mean((cos[:, 0] - expected_output) ** 2)
    assert f'MSE of "no change", the latest value: {mse}\n' in run_main()


def test_a_seed_repeats_the_whole_run(run_main):
    assert re.findall("(?:loss|MSE).*", run_main(SEED=5)) == re.findall("(?:loss|MSE).*", run_main(SEED=5))


def test_without_a_seed_every_run_is_another(run_main):
    assert re.findall("(?:loss|MSE).*", run_main(SEED=None)) != re.findall("(?:loss|MSE).*", run_main(SEED=None))


@pytest.mark.parametrize(
    "constants",
    [
        {"LAHEAD": 5},
        {"TSTEPS": 3, "BATCH_SIZE": 10, "UNITS": 20},
        {"TSTEPS": 50},
        {"BATCH_SIZE": 1},
        {"XN": 25},
        {"STATEFUL": False},
        {"X0": -25, "XN": 100, "STEP": 2, "AMP": 0.5, "PERIOD": 33.3, "K": 0},
        {"UNITS": 1},
        {"SEED": np.int64(2), "BATCH_SIZE": np.int64(25)},
        {"VERBOSE": 0},
        {"VERBOSE": "auto"},
    ],
    ids=str,
)
def test_other_settings_run(run_main, tmp_path, constants):
    printed = run_main(**constants)
    [mse] = re.findall("MSE of the prediction: (.*)", printed)
    assert np.isfinite([float(number) for number in [mse, *re.findall(r"- loss: ([\w.]+)", printed)]]).all()
    assert (tmp_path / "stateful_lstm.png").stat().st_size > 0


def test_the_progress_counts_stacks(run_main):
    assert re.findall("./. - ", run_main(XN=275, STACK=10)) == ["2/2 - "] * 3  # 11 batches, in two epochs and predicted


def test_a_backend_that_cannot_run_fails_before_anything_is_computed(run_main, monkeypatch, capsys):
    monkeypatch.setattr(plt, "get_backend", lambda: "module://missing")
    with pytest.raises(ImportError, match="missing"):
        run_main()
    assert capsys.readouterr().out == ""


def test_the_script_runs_as_it_is_without_a_screen(tmp_path):
    process = start_script(tmp_path)
    printed, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "Warning" not in errors and "Traceback" not in errors
    assert re.findall("Epoch .*", printed) == [f"Epoch {i} / 25" for i in range(25)]
    all_losses = [float(loss) for loss in re.findall("loss: (.*)", printed)]
    assert len(all_losses) == 25 and all_losses[-1] < 30
    assert plt.imread(tmp_path / "stateful_lstm.png").size > 0


def test_ctrl_c_ends_the_training_and_plots_what_is_trained(tmp_path):
    process = start_script(tmp_path, EPOCHS=10**9)
    printed, errors = interrupt_at("Epoch 2 / 1000000000\n", process)
    assert process.returncode == 0, errors
    assert "Interrupted in epoch 2" in printed and "MSE of the prediction" in printed
    assert plt.imread(tmp_path / "stateful_lstm.png").size > 0


def test_ctrl_c_while_predicting_says_so_in_one_line(tmp_path):
    process = start_script(tmp_path, EPOCHS=1, XN=5000)
    printed, errors = interrupt_at("Predicting\n", process)
    assert process.returncode == 130
    assert printed == "\nInterrupted before the end\n"
    assert "Traceback" not in errors


def test_ctrl_c_while_drawing_says_so_in_one_line_and_opens_no_window(tmp_path, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt.Figure, "savefig", interrupt)
    monkeypatch.setattr(plt, "get_backend", lambda: "tkagg")
    monkeypatch.setattr(plt, "switch_backend", lambda backend: None)
    monkeypatch.setattr(plt, "show", lambda **how: print("window", how))
    with pytest.raises(SystemExit) as exit:
        exec(compile(edited_script(EPOCHS=1, XN=250), "edited.py", "exec"), {"__name__": "__main__"})
    plt.close("all")
    assert exit.value.code == 130
    assert capsys.readouterr().out.endswith("Plotting Results\n\nInterrupted before the end\n")


# Wrong settings


def refused(constants, right, *wrong):
    """Returns the parameters of the test below for values of one or more constants that are wrong."""
    return [(constant, value, right) for constant in constants.split() for value in wrong]


COUNTS = "BATCH_SIZE TSTEPS UNITS EPOCHS LAHEAD STEP STACK"
FILES = "PLOT_FILE MODEL_FILE"


@pytest.mark.parametrize(
    "constant, value, right",
    [
        *refused(COUNTS, "be a whole number of at least 1", 0, -1, 2.5, "3", None, True),
        *refused("BATCH_SIZE", "divide the number of samples, 250, as 5 or 10 would", 7),
        *refused("BATCH_SIZE", "divide the number of samples, 250, as 25 or 50 would", 32),
        *refused("BATCH_SIZE", "divide the number of samples, 250, as 250 or none would", 10**12),
        *refused("LAHEAD", "be a whole number of at least 1, below 250", 250),
        *refused("XN", "be a whole number of at least 1", 0, 2.5, "250", None, True),
        *refused("X0", "be a whole number", 0.5, "0", None, False),
        *refused("AMP", "be a real number", "100", None, True, np.inf, np.nan, 1j),
        *refused("PERIOD", "be a real number", "1000", None, True),
        *refused("K", "be a real number", "0", None, True),
        *refused("PERIOD", "give finite values", 0),
        *refused("K", "give finite values", -10),
        *refused("STATEFUL", "be True or False", "no", 1.5, None, 1),
        *refused("SEED", "be a whole number of at least 0, below 4294967296", -1, 1.5, 2**40, "1", True),
        *refused("VERBOSE", 'be 0, 1, 2 or "auto"', 7, "yes", -1, None),
        *refused(FILES, r"be None or a file that ends with .*\.pdf,", "x.xyz", "x", "", 5, b"x.png"),
    ],
)
@pytest.mark.filterwarnings("ignore:.* encountered in")  # NumPy's own words on numbers that are not finite
def test_a_wrong_setting_is_named_before_anything_is_written_or_trained(run_main, capsys, constant, value, right):
    with pytest.raises(ValueError, match=f"(?i){constant} = {re.escape(repr(value))}.*: must {right}"):
        run_main(**{constant: value})
    assert "Training" not in capsys.readouterr().out
    assert os.listdir() == []


@pytest.mark.parametrize("constant", ["PLOT_FILE", "MODEL_FILE"])
@pytest.mark.parametrize("path", ["no/such/folder.png", "."])
def test_a_path_that_cannot_be_written_is_named_before_anything_is_computed(run_main, capsys, constant, path):
    with pytest.raises(OSError, match=f"{constant} = {path!r}: must be a file that can be written"):
        run_main(**{constant: path})
    assert capsys.readouterr().out == ""


def test_a_write_protected_picture_is_named_before_anything_is_computed(run_main, tmp_path, monkeypatch, capsys):
    (tmp_path / "stateful_lstm.png").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: path != "stateful_lstm.png")  # root may write any file
    with pytest.raises(OSError, match="PLOT_FILE = 'stateful_lstm.png': must be a file that can be written"):
        run_main()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "functions, setting, right",
    [
        ("train predict stack_batches", {"stack": 0}, "stack = 0: must be a whole number of at least 1"),
        ("train predict", {"verbose": 7}, 'verbose = 7: must be 0, 1, 2 or "auto"'),
        ("train", {"epochs": 0}, "epochs = 0: must be a whole number of at least 1"),
    ],
)
def test_a_wrong_argument_is_named_and_leaves_the_model_as_it_was(functions, setting, right):
    cos, expected_output = series()
    model = new_model()
    program.predict(model, cos)  # so that the states are not 0
    before = values(model)
    calls = {
        "train": partial(program.train, model, cos, expected_output),
        "predict": partial(program.predict, model, cos),
        "stack_batches": partial(program.stack_batches, model, cos),
    }
    for function in functions.split():
        with pytest.raises(ValueError, match=right):
            calls[function](**setting)
    assert_equal(values(model), before)


@pytest.mark.parametrize(
    "cos_shape, expected_shape, name",
    [
        ((50, 1), (50, 1), "cos"),
        ((50, 2, 1), (50, 1), "cos"),
        ((50, 1, 1), (50,), "expected_output"),
        ((50, 1, 1), (25, 1), "expected_output"),
        ((0, 1, 1), (0, 1), "batch_size"),
    ],
)
def test_arrays_of_a_wrong_shape_are_named(cos_shape, expected_shape, name):
    model = build_model()
    with pytest.raises(ValueError, match=name):
        program.train(model, np.zeros(cos_shape), np.zeros(expected_shape))
    if name == "cos":
        with pytest.raises(ValueError, match=r"cos has the shape .*: must be \(50, 1, 1\)"):
            program.predict(model, np.zeros(cos_shape))


# What a reader asks


LOAD = """
import stateful_lstm as program
print("imported")
import keras, numpy as np
print(keras.backend.backend())
model = keras.models.load_model("x.keras")
cos = program.gen_cosine_amp(xn=250)
predicted_output = program.predict(model, cos, verbose=0)
print(np.array_equal(predicted_output, np.load("predicted.npy")))
model.reset_states()
print(np.array_equal(predicted_output, program.predict(model, cos, verbose=0)))
print(type(model) is program.StatefulSequential, model.jit_compile)
print(len(program.train(model, cos, program.gen_expected_output(cos), epochs=1, verbose=0)))
"""


@pytest.fixture(scope="module")
def printed_by_another(tmp_path_factory):
    """The lines that a process of its own prints, which imports the program and loads a model that was trained."""
    folder = tmp_path_factory.mktemp("another")
    cos, expected_output = series()
    model = new_model()
    program.train(model, cos, expected_output, epochs=2)
    model.save(folder / "x.keras")
    np.save(folder / "predicted.npy", program.predict(model, cos))
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parent), "KERAS_BACKEND": "jax"}
    command = [sys.executable, "-c", LOAD]
    return subprocess.check_output(command, cwd=folder, env=environment, text=True).splitlines()


def test_importing_prints_nothing_and_keeps_to_tensorflow(printed_by_another):
    assert printed_by_another[:2] == ["imported", "tensorflow"]


def test_a_saved_model_goes_on_in_a_new_process(printed_by_another):
    assert printed_by_another[2:] == ["True", "True", "True True", "Epoch 0 / 1", "1"]


def test_callbacks_work_in_a_fit_of_several_epochs(tmp_path):
    model = new_model()
    history = model.fit(
        program.stack_batches(model, *series()),
        epochs=5,
        verbose=0,
        shuffle=False,
        callbacks=[
            keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras"),
            keras.callbacks.TensorBoard(tmp_path / "logs"),
            keras.callbacks.EarlyStopping("loss", patience=0, min_delta=1e9),
        ],
    )
    assert len(history.history["loss"]) == 2  # no epoch is better than the first one by 1e9
    assert {path.name for path in tmp_path.glob("*.keras")} == {"1.keras", "2.keras"}
    assert list(tmp_path.glob("logs/train/events*"))


@pytest.mark.skipif(not shutil.which("dot"), reason="needs Graphviz")
def test_the_model_is_drawn_with_its_layers_and_shapes(run_main, tmp_path):
    assert "No picture" not in run_main()
    drawing = "".join(xml.etree.ElementTree.parse(tmp_path / "stateful_lstm_model.svg").getroot().itertext())
    assert drawing.count("LSTM") == 2 and drawing.count("Dense") == 1
    assert "(25, 1, 50)" in drawing


@pytest.mark.parametrize(
    "trouble, what", [("pydot", "pydot"), ("graphviz", '"dot" not found'), ("failing", "returned code: 3")]
)
def test_a_picture_of_the_model_that_fails_costs_one_line(run_main, tmp_path, monkeypatch, trouble, what):
    if trouble == "pydot":
        monkeypatch.setitem(sys.modules, "pydot", None)
    else:
        folder = tmp_path / "bin"
        folder.mkdir()
        monkeypatch.setenv("PATH", str(folder))
        if trouble == "failing":
            (folder / "dot").write_text("#!/bin/sh\necho one >&2\necho two >&2\nexit 3\n")
            (folder / "dot").chmod(0o755)
    printed = run_main()
    line = f"No picture of the model: .*{what}.*pip install pydot.*install graphviz.*"
    assert re.search(f"params: .*\n{line}\nTraining\n", printed)
    assert "Epoch 1 / 2" in printed
    assert not (tmp_path / "stateful_lstm_model.svg").exists()


def test_a_fault_of_the_scripts_own_is_no_missing_picture(run_main, monkeypatch):
    monkeypatch.setattr(keras.utils, "model_to_dot", lambda model: None)
    with pytest.raises(TypeError, match="show_shapes"):
        run_main()


def test_a_notebook_runs_the_script_and_its_functions(tmp_path, monkeypatch):
    monkeypatch.delenv("MPLBACKEND")
    monkeypatch.setenv("PYTHONPATH", str(SCRIPT.parent))
    (tmp_path / "edited.py").write_text(edited_script(XN=250, EPOCHS=2), encoding="utf-8")
    sources = [
        "%run edited.py",
        "import stateful_lstm\ncos = stateful_lstm.gen_cosine_amp(xn=250)\nmodel = stateful_lstm.build_model()\n"
        "expected_output = stateful_lstm.gen_expected_output(cos)",
        "losses = stateful_lstm.train(model, cos, expected_output, epochs=2)",
        "predicted_output = stateful_lstm.predict(model, cos)",
        "stateful_lstm.plot_results(expected_output, predicted_output)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    nbclient.NotebookClient(notebook, resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [cell.outputs for cell in notebook.cells]
    printed = ["".join(o.text for o in cell if o.get("name") == "stdout") for cell in outputs]
    pictures = [sum("image/png" in o.get("data", {}) for o in cell) for cell in outputs]
    epochs = r"Epoch 0 / 2\n1/1 - .* loss: .*\nEpoch 1 / 2\n1/1 - .* loss: .*\n"
    assert re.search(f"Training\n{epochs}Predicting\n", printed[0])
    assert re.fullmatch(epochs, printed[2])
    assert pictures == [1, 0, 0, 0, 1]
