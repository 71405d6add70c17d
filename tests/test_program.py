"""The program as a whole: main(), the script as a process and in a notebook, a saved model."""

import os
import re
import subprocess
import sys
from unittest import mock

import matplotlib.pyplot as plt
import numpy as np
import pytest

import stateful_lstm as program
from helpers import SCRIPT, series, small_model

PATIENCE = 240  # seconds after which a process is given up


def edited_script(**constants):
    """Returns the text of the script with other constants."""
    text = SCRIPT.read_text(encoding="utf-8")
    for name, value in constants.items():
        text, found = re.subn(f"(?m)^{name} = .*", f"{name} = {value!r}", text)
        assert found == 1
    return text


def user_environment(**others):
    """Returns the environment of a user who has no screen and imports the script."""
    screen = ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")
    environment = {name: value for name, value in os.environ.items() if name not in screen}
    folders = [str(SCRIPT.parent), environment.get("PYTHONPATH", "")]
    return {**environment, "PYTHONPATH": os.pathsep.join(folders), **others}


@pytest.mark.parametrize("lahead", [1, 3])
def test_both_mses_leave_out_the_samples_that_have_no_target(capsys, lahead):
    cos = program.gen_cosine_amp(xn=50, tsteps=2)
    expected_output = program.gen_expected_output(cos, lahead)
    predicted_output = expected_output + 2
    predicted_output[-lahead:] = 99
    program.print_mse(cos, expected_output, predicted_output, lahead)
    no_change = np.mean((cos[:-lahead, 1] - expected_output[:-lahead]) ** 2)
    assert capsys.readouterr().out == (
        "MSE of the prediction: 4.0\n"
        f'MSE of "no change", the latest value: {no_change}\n'
        f"(over the first {50 - lahead} of 50 samples, as lahead is {lahead})\n"
    )


def test_no_change_predicts_the_latest_value_of_the_first_of_several_features(capsys):
    cos = np.random.default_rng(0).normal(size=(9, 2, 3))
    expected_output = program.gen_expected_output(cos)
    program.print_mse(cos, expected_output, expected_output)
    no_change = np.mean(np.diff(cos[:, 1, 0]) ** 2)
    [printed] = re.findall('"no change", the latest value: (.*)', capsys.readouterr().out)
    assert float(printed) == pytest.approx(no_change)


@pytest.mark.parametrize("seed, same", [(5, True), (0, True), (None, False)])
def test_only_a_seed_repeats_a_run(run_main, monkeypatch, seed, same):
    def build_model(*_):  # dropout uses a random generator of Keras, the weights one of NumPy
        model = small_model(program.keras.layers.Dropout(0.5))
        model.layers[-1].kernel.assign(np.random.uniform(size=(2, 1)))
        return model

    monkeypatch.setattr("helpers.new_model", build_model)
    one, other = (re.findall("(?:loss|MSE).*", run_main(SEED=seed, EPOCHS=1)) for _ in range(2))
    assert (one == other) == same


@pytest.mark.parametrize(
    "constants",
    [
        {"TSTEPS": 50, "BATCH_SIZE": 10, "UNITS": 20, "LAHEAD": 5, "VERBOSE": 1},
        {"BATCH_SIZE": 1, "XN": 50, "UNITS": 1, "STATEFUL": False, "VERBOSE": "auto"},
        {"X0": -13, "XN": 12, "STEP": 2, "AMP": 0.5, "PERIOD": 33.3, "K": 0},
        {"VERBOSE": 0},
    ],
    ids=str,
)
def test_other_settings_run(run_main, tmp_path, constants):
    printed = run_main(**constants)
    [mse] = re.findall("MSE of the prediction: (.*)", printed)
    numbers = [mse, *re.findall(r"- loss: ([\w.]+)", printed)]
    assert np.isfinite([float(number) for number in numbers]).all()
    assert (tmp_path / "stateful_lstm.png").stat().st_size > 0


def test_main_passes_every_constant_on(monkeypatch):
    names = "gen_cosine_amp gen_expected_output build_model draw_model train predict print_mse"
    called = {}
    for name in [*names.split(), "plot_results"]:
        called[name] = mock.create_autospec(getattr(program, name))
        monkeypatch.setattr(program, name, called[name])
    set_random_seed = mock.Mock()
    monkeypatch.setattr(program.keras.utils, "set_random_seed", set_random_seed)
    of_series = dict(AMP=2, PERIOD=3, X0=4, XN=104, STEP=5, K=6, TSTEPS=7)
    of_model = dict(BATCH_SIZE=50, UNITS=8, STATEFUL=False)
    others = dict(EPOCHS=9, LAHEAD=10, SEED=11, VERBOSE=0, PLOT_FILE="12.png", MODEL_FILE="13.svg")
    for name, value in {**of_series, **of_model, **others}.items():
        monkeypatch.setattr(program, name, value)

    program.main()
    cos, expected_output, model, predicted_output = [
        called[name].return_value
        for name in ("gen_cosine_amp", "gen_expected_output", "build_model", "predict")
    ]
    given = {
        "gen_cosine_amp": (2, 3, 4, 104, 5, 6, 7),
        "gen_expected_output": (cos, 10),
        "build_model": (50, 7, 8, False),
        "draw_model": (model, "13.svg"),
        "train": (model, cos, expected_output, 9, 0),
        "predict": (model, cos, 0),
        "print_mse": (cos, expected_output, predicted_output, 10),
        "plot_results": (expected_output, predicted_output, "12.png"),
    }
    for name, arguments in given.items():
        called[name].assert_called_once_with(*arguments)
    set_random_seed.assert_called_once_with(11)


def test_ctrl_c_ends_the_training_and_the_program_continues(run_main, monkeypatch, tmp_path):
    fit = program.StatefulSequential.fit
    epochs = []

    def fit_one_epoch(*arguments, **settings):
        if epochs:
            raise KeyboardInterrupt
        epochs.append(fit(*arguments, **settings))
        return epochs[0]

    monkeypatch.setattr(program.StatefulSequential, "fit", fit_one_epoch)
    printed = run_main(EPOCHS=5)
    interrupted = "Interrupted: predicting with what the model has learned so far\nPredicting\n"
    assert interrupted in printed and "Epoch 2" not in printed
    assert "MSE of the prediction" in printed
    assert plt.imread(tmp_path / "stateful_lstm.png").size > 0


def test_only_ctrl_c_is_reported_as_an_interruption(run_main, monkeypatch, capsys):
    monkeypatch.setattr(program, "train", mock.Mock(side_effect=RuntimeError("no memory")))
    with pytest.raises(RuntimeError, match="no memory"):
        run_main()
    assert "Interrupted" not in capsys.readouterr().out


def test_ctrl_c_in_a_function_is_not_caught(monkeypatch):
    def interrupt(*_, **settings):
        raise KeyboardInterrupt

    model = small_model()
    monkeypatch.setattr(model, "fit", interrupt)
    with pytest.raises(KeyboardInterrupt):
        program.train(model, *series())


def test_the_script_runs_without_a_screen(tmp_path):
    command = [sys.executable, SCRIPT]
    settings = dict(cwd=tmp_path, env=user_environment(), text=True, capture_output=True)
    done = subprocess.run(command, timeout=PATIENCE, **settings)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr and "Traceback" not in done.stderr
    assert re.findall("Epoch .*", done.stdout) == [f"Epoch {i} / 25" for i in range(25)]
    losses = [float(loss) for loss in re.findall("loss: (.*)", done.stdout)]
    assert len(losses) == 25 and losses[-1] < 30  # a line per epoch, no bar
    assert plt.imread(tmp_path / "stateful_lstm.png").size > 0


def test_a_notebook_runs_the_script_and_its_functions(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    import nbformat  # nbclient needs it

    monkeypatch.delenv("MPLBACKEND")
    monkeypatch.setenv("PYTHONPATH", user_environment()["PYTHONPATH"])
    (tmp_path / "edited.py").write_text(edited_script(XN=250, EPOCHS=2), encoding="utf-8")
    sources = [
        "%run edited.py",
        "import stateful_lstm\ncos = stateful_lstm.gen_cosine_amp(xn=250)\n"
        "model = stateful_lstm.build_model()\n"
        "expected_output = stateful_lstm.gen_expected_output(cos)",
        "predicted_output = stateful_lstm.predict(model, cos)",
        "stateful_lstm.plot_results(expected_output, predicted_output)",
    ]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    notebook = nbformat.v4.new_notebook(cells=cells)
    resources = {"metadata": {"path": tmp_path}}
    nbclient.NotebookClient(notebook, timeout=PATIENCE, resources=resources).execute()
    outputs = [cell.outputs for cell in notebook.cells]
    printed = ["".join(o.text for o in cell if o.get("name") == "stdout") for cell in outputs]
    pictures = [sum("image/png" in o.get("data", {}) for o in cell) for cell in outputs]
    epochs = r"Epoch 0 / 2\n1/1 - .* loss: .*\nEpoch 1 / 2\n1/1 - .* loss: .*\n"
    assert re.search(f"Training\n{epochs}Predicting\n", printed[0])
    assert re.fullmatch("1/1 - .*\n", printed[2])
    assert pictures == [1, 0, 0, 1]


LOAD = """
import stateful_lstm as program
print("imported")
import keras, numpy as np
print(keras.backend.backend())
model = keras.models.load_model("x.keras")
cos = program.gen_cosine_amp(xn=250)
print(np.array_equal(program.predict(model, cos, verbose=0), np.load("predicted.npy")))
print(program.train(model, cos, program.gen_expected_output(cos), epochs=1, verbose=0))
"""


def test_a_saved_model_continues_in_a_new_process_on_tensorflow(tmp_path):
    cos, expected_output = series()
    model = small_model()
    program.train(model, cos, expected_output, epochs=1)
    model.save(tmp_path / "x.keras")
    np.save(tmp_path / "predicted.npy", program.predict(model, cos))
    environment = user_environment(KERAS_BACKEND="jax", MPLBACKEND="agg")
    command = [sys.executable, "-c", LOAD]
    settings = dict(cwd=tmp_path, env=environment, text=True, timeout=PATIENCE)
    printed = subprocess.check_output(command, **settings).splitlines()
    losses = program.train(model, cos, expected_output, epochs=1)
    assert printed == ["imported", "tensorflow", "True", str(losses)]
