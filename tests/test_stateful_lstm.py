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


def series(samples, **settings):
    """Returns a short series and what is to be predicted from it."""
    cos = program.gen_cosine_amp(xn=samples, **settings)
    return cos, program.gen_expected_output(cos)


def start_script(folder):
    """Starts the script as a user does, on a machine without a screen, in `folder`."""
    screenless = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")}
    return subprocess.Popen(
        [sys.executable, "-u", SCRIPT],
        cwd=folder,
        env=screenless,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_code(code, folder):
    """Runs Python code that imports the program, in a process of its own; returns what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parent)}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture
def run_main(monkeypatch, tmp_path, capsys):
    """Returns a function that runs main() with other constants in a temporary folder; it returns the output."""

    def run(**constants):
        monkeypatch.chdir(tmp_path)
        for name, value in {"XN": 250, "EPOCHS": 2, **constants}.items():
            assert hasattr(program, name)
            monkeypatch.setattr(program, name, value)
        program.main()
        return capsys.readouterr().out

    yield run
    plt.close("all")


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
    model = program.build_model()
    model.set_weights([run[name] for name in WEIGHTS])
    run["before"] = program.predict(model, cos)
    model.reset_states()
    run["losses"] = program.train(model, cos, expected_output, epochs=3)
    run["after"] = program.predict(model, cos)
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
    weights = dict(zip(WEIGHTS, program.build_model().get_weights(), strict=True))
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
    weights = program.build_model(units=3).get_weights()
    for bias in (weights[2], weights[5]):
        np.testing.assert_array_equal(bias, [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0])


def test_a_seed_repeats_the_starting_weights():
    for (_, one), (_, other) in zip(gate_blocks(seed=3), gate_blocks(seed=3)):
        np.testing.assert_array_equal(one, other)


def test_two_seeds_give_other_starting_weights():
    for (_, one), (_, other) in zip(gate_blocks(seed=3), gate_blocks(seed=4)):
        assert not np.isclose(one, other).all()


def test_the_loss_curve_is_that_of_keras_1():
    _, keras_1 = losses.read_recorded()
    ours = np.mean([losses.run(seed, stateful=True, epochs=8)[0] for seed in range(4)], axis=0)
    np.testing.assert_allclose(ours[:6], keras_1.mean(axis=1)[:6], rtol=0.1)
    np.testing.assert_allclose(ours[6:], keras_1.mean(axis=1)[6:8], rtol=0.2)


# Training and predicting


@pytest.fixture(scope="module", params=[1, 3], ids=["tsteps 1", "tsteps 3"])
def both_ways(request):
    """The losses, weights and predictions of train and predict, and those of a plain Keras model, batch by batch."""
    keras.utils.set_random_seed(0)
    cos, expected_output = series(2500, tsteps=request.param)
    model = program.build_model(tsteps=request.param)
    plain = keras.Sequential.from_config(keras.Sequential(model.layers).get_config())
    plain.compile(loss="mse", optimizer=keras.optimizers.RMSprop(epsilon=1e-16), jit_compile=True)
    plain.set_weights(model.get_weights())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "stack_batches", partial(program.stack_batches, stack=30))  # 30, 30, 30 and 10
        fast_losses = program.train(model, cos, expected_output, epochs=2)
        fast = fast_losses, model.get_weights(), program.predict(model, cos)
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


def test_keras_fit_evaluate_and_predict_take_plain_arrays():
    cos, expected_output = series(250)
    model = program.build_model()
    model.fit(cos, expected_output, batch_size=25, shuffle=False, verbose=0)
    model.reset_states()
    loss = model.evaluate(cos, expected_output, batch_size=25, verbose=0)
    model.reset_states()
    predicted_output = model.predict(cos, batch_size=25, verbose=0)
    assert loss == pytest.approx(np.mean((predicted_output - expected_output) ** 2), rel=1e-5)


def test_one_model_takes_batches_and_stacks_in_turn():
    cos, expected_output = series(250)
    model = program.build_model()
    plain = model.predict(cos, batch_size=25, verbose=0)
    model.reset_states()
    stacks = program.stack_batches(model, 25, cos, expected_output)
    np.testing.assert_allclose(model.predict(stacks, verbose=0), plain, atol=1e-5)
    model.fit(cos, expected_output, batch_size=25, shuffle=False, verbose=0)
    model.fit(stacks, shuffle=False, verbose=0)


def test_the_states_go_on_from_one_prediction_to_the_next():
    cos, _ = series(250)
    model = program.build_model()
    first = program.predict(model, cos)
    assert np.abs(program.predict(model, cos) - first).max() > 1e-3


def test_after_a_reset_a_prediction_repeats():
    cos, _ = series(250)
    model = program.build_model()
    first = program.predict(model, cos)
    model.reset_states()
    np.testing.assert_array_equal(program.predict(model, cos), first)


def test_training_ends_with_the_states_reset():
    cos, expected_output = series(250)
    model = program.build_model()
    program.train(model, cos, expected_output, epochs=1)
    first = program.predict(model, cos)
    model.reset_states()
    np.testing.assert_array_equal(program.predict(model, cos), first)


@pytest.mark.parametrize("stateful", [False, True])
def test_only_without_state_samples_do_not_depend_on_their_order(stateful):
    cos, _ = series(250)
    model = program.build_model(stateful=stateful)
    forwards = program.predict(model, cos)
    model.reset_states()
    backwards = program.predict(model, cos[::-1])
    assert np.allclose(backwards[::-1], forwards, atol=1e-5) == (not stateful)


def test_a_loss_that_is_not_finite_stops_the_training_and_keeps_the_weights():
    cos, expected_output = series(250)
    model = program.build_model()
    program.train(model, cos, expected_output, epochs=1)
    weights = model.get_weights()
    expected_output[100] = np.nan
    with pytest.raises(FloatingPointError, match="epoch 0 is nan"):
        program.train(model, cos, expected_output, epochs=2)
    for kept, weight in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(kept, weight)


# The whole program


def test_main_prints_the_headings_of_the_post_and_one_line_an_epoch(run_main):
    printed = run_main(XN=2500)
    headings = [
        "Generating Data", r"Input shape: \(2500, 1, 1\)", "Output shape", r"\(2500, 1\)", 'Model: "stateful_sequential.*"',
        "Training", "Epoch 0 / 2", r"1/1 - .* loss: .*", "Epoch 1 / 2", r"1/1 - .* loss: .*", "Predicting",
        "MSE of the prediction: .*", "MSE of .no change.*", "Plotting Results", "Plot: stateful_lstm.png",
    ]  # fmt: skip
    assert re.search(r"\n(?:.*\n)*?".join(headings) + r"\n$", printed)
    assert re.search(r"Training\nEpoch 0 / 2\n.*\nEpoch 1 / 2\n.*\nPredicting\n", printed)


def test_main_draws_expected_above_predicted_on_the_same_scale(run_main, tmp_path):
    run_main()
    top, bottom = plt.gcf().axes
    assert (top.get_title(), bottom.get_title()) == ("Expected", "Predicted")
    assert top.get_position().y0 > bottom.get_position().y1
    assert top.get_ylim() == bottom.get_ylim()
    _, expected_output = series(250)
    np.testing.assert_array_equal(top.lines[0].get_ydata(), expected_output[:, 0])
    assert len(bottom.lines[0].get_ydata()) == 250
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in (top, bottom))
    picture = plt.imread(tmp_path / "stateful_lstm.png")
    for panel in np.array_split(picture, 2):
        assert panel.std() > 0.01


@pytest.mark.parametrize("backend, windows", [("agg", 0), ("tkagg", 1)])
def test_a_window_is_shown_only_where_there_is_a_screen(monkeypatch, tmp_path, backend, windows):
    shown = []
    monkeypatch.setattr(plt, "get_backend", lambda: backend)
    monkeypatch.setattr(plt, "show", lambda: shown.append(True))
    program.plot_results(np.zeros((9, 1)), np.zeros((9, 1)), tmp_path / "plot.png")
    plt.close("all")
    assert len(shown) == windows


def test_main_compares_with_predicting_no_change(run_main):
    cos, expected_output = series(250)
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
        {"XN": 251 * 25},
        {"STATEFUL": False},
        {"X0": -100, "XN": 100, "STEP": 2, "AMP": 0.5, "PERIOD": 33.3, "K": 0},
        {"UNITS": 1},
    ],
    ids=str,
)
def test_other_settings_run(run_main, tmp_path, constants):
    printed = run_main(**constants)
    assert np.isfinite([float(loss) for loss in re.findall("loss: (.*)", printed)]).all()
    assert (tmp_path / "stateful_lstm.png").stat().st_size > 0


@pytest.mark.parametrize("tsteps, unroll", [(1, True), (2, False), (50, False)])  # 50 unrolled compile for minutes
def test_only_a_single_step_is_unrolled(tsteps, unroll):
    model = program.build_model(tsteps=tsteps)
    assert [layer.unroll for layer in model.layers[:2]] == [unroll, unroll]


@pytest.mark.parametrize(
    "constant, value, right",
    [
        *[
            (constant, value, "whole number of at least 1")
            for constant in ("BATCH_SIZE", "TSTEPS", "UNITS", "EPOCHS", "LAHEAD", "STEP")
            for value in (0, -1, 2.5, "3", None)
        ],
        ("BATCH_SIZE", 7, "must divide the number of samples, 250"),
        ("LAHEAD", 250, "below the number of samples, 250"),
        ("XN", 0, "xn above x0"),
        ("XN", 2.5, "whole numbers"),
        ("X0", 250, "xn above x0"),
        ("X0", 0.5, "whole numbers"),
        ("XN", "250", "whole numbers"),
        ("AMP", "100", "must be numbers"),
        ("AMP", np.inf, "must give finite values"),
        ("PERIOD", 0, "must give finite values"),
        ("K", -10, "must give finite values"),
        ("SEED", -1, "whole number of at least 0"),
        ("SEED", 1.5, "whole number of at least 0"),
    ],
)
@pytest.mark.filterwarnings("ignore:.* encountered in")  # NumPy's own words on numbers that are not finite
def test_a_wrong_setting_is_named_before_the_training(run_main, capsys, constant, value, right):
    with pytest.raises(ValueError, match=f"(?i){constant} = {re.escape(repr(value))}.*{right}"):
        run_main(**{constant: value})
    assert "Training\nEpoch" not in capsys.readouterr().out


@pytest.mark.parametrize("constant", ["PLOT_FILE", "MODEL_FILE"])
@pytest.mark.parametrize("path", ["no/such/folder.png", "."])
def test_a_path_that_cannot_be_written_is_named_before_the_training(run_main, capsys, constant, path):
    with pytest.raises(OSError, match=f"{constant} = {path!r}: must be a file that can be written"):
        run_main(**{constant: path})
    assert "Training" not in capsys.readouterr().out


def test_a_write_protected_picture_is_named_before_the_training(run_main, tmp_path, monkeypatch):
    (tmp_path / "stateful_lstm.png").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: path != "stateful_lstm.png")  # root may write any file
    with pytest.raises(OSError, match="PLOT_FILE = 'stateful_lstm.png': must be a file that can be written"):
        run_main()


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
    model = program.build_model()
    with pytest.raises(ValueError, match=name):
        program.train(model, np.zeros(cos_shape), np.zeros(expected_shape))
    if name == "cos":
        with pytest.raises(ValueError, match=r"cos has the shape .*: must be \(50, 1, 1\)"):
            program.predict(model, np.zeros(cos_shape))


def test_a_batch_size_that_is_not_the_models_is_named():
    with pytest.raises(ValueError, match="batch_size = 10: .* be that of the model, 25"):
        program.predict(program.build_model(batch_size=25), np.zeros((50, 1, 1)), batch_size=10)


def test_a_wrong_stack_is_named():
    with pytest.raises(ValueError, match="stack = 0: must be a whole number of at least 1"):
        program.stack_batches(program.build_model(), 25, np.zeros((50, 1, 1)), stack=0)


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
    process = start_script(tmp_path)
    for line in process.stdout:
        if line == "Epoch 2 / 25\n":
            process.send_signal(signal.SIGINT)
            break
    printed, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "Interrupted in epoch 2" in printed and "MSE of the prediction" in printed
    assert plt.imread(tmp_path / "stateful_lstm.png").size > 0


def test_importing_prints_nothing_and_keeps_to_tensorflow(tmp_path):
    code = "import os; os.environ['KERAS_BACKEND'] = 'jax'; import stateful_lstm, keras; assert keras.backend.backend() == 'tensorflow'"
    assert run_code(code, tmp_path) == ""


# What a reader asks


SAVE = """
import numpy as np, stateful_lstm as program
cos = program.gen_cosine_amp(xn=2500)
model = program.build_model()
program.train(model, cos, program.gen_expected_output(cos), epochs=2)
model.save("x.keras")
np.save("predicted.npy", program.predict(model, cos))
"""

LOAD = """
import numpy as np, stateful_lstm as program, keras
model = keras.models.load_model("x.keras")
cos = program.gen_cosine_amp(xn=2500)
predicted_output = program.predict(model, cos)
print(np.array_equal(predicted_output, np.load("predicted.npy")))
model.reset_states()
print(np.array_equal(predicted_output, program.predict(model, cos)))
print(type(model) is program.StatefulSequential, model.jit_compile)
print(len(program.train(model, cos, program.gen_expected_output(cos), epochs=1)))
"""


def test_a_saved_model_goes_on_in_a_new_process(tmp_path):
    run_code(SAVE, tmp_path)
    printed = run_code(LOAD, tmp_path)
    assert [line for line in printed.splitlines() if "/" not in line] == ["True", "True", "True True", "1"]


def test_callbacks_work_in_a_fit_of_several_epochs(tmp_path):
    cos, expected_output = series(250)
    model = program.build_model()
    history = model.fit(
        program.stack_batches(model, 25, cos, expected_output),
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


@pytest.mark.parametrize("missing", ["pydot", "graphviz"])
def test_without_pydot_or_graphviz_one_line_says_what_to_install(run_main, tmp_path, monkeypatch, missing):
    if missing == "pydot":
        monkeypatch.setattr("keras.src.utils.model_visualization.pydot", None)
    else:
        monkeypatch.setenv("PATH", "")
    printed = run_main()
    assert re.findall("No picture.*", printed) == re.findall(f"No picture of the model: .*install {missing}.*", printed)
    assert "Epoch 1 / 2" in printed
    assert not (tmp_path / "stateful_lstm_model.svg").exists()
