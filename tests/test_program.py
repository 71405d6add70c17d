"""The program as a whole: main(), the script as a process and in a notebook, a saved model."""

import importlib
import os
import re
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest

import helpers
import stateful_lstm as program
from helpers import PATIENCE, SCRIPT, edited_script, new_model, series
from stateful_lstm import keras


@pytest.mark.parametrize("lahead", [1, 3])
def test_both_mses_are_of_the_samples_that_have_values_ahead(run_main, monkeypatch, lahead):
    predicted = []
    predict = program.predict

    def predict_and_keep(*arguments):
        predicted.append(predict(*arguments))
        return predicted[0]

    monkeypatch.setattr(program, "predict", predict_and_keep)
    printed = run_main(LAHEAD=lahead)
    cos = program.gen_cosine_amp(xn=250)[:-lahead, 0]
    expected_output = program.gen_expected_output(program.gen_cosine_amp(xn=250), lahead)[:-lahead]
    mse = np.mean((predicted[0][:-lahead] - expected_output) ** 2)
    no_change = np.mean((cos - expected_output) ** 2)
    assert f"MSE of the prediction: {mse}\n" in printed
    assert f'MSE of "no change", the latest value: {no_change}\n' in printed
    assert f"(both without the last {lahead} of 250 samples, with no value ahead)" in printed


def test_no_change_is_from_the_latest_value_of_a_window(capsys):
    values, windows = program.gen_cosine_amp(xn=50), program.gen_cosine_amp(xn=50, tsteps=3)
    expected_output = program.gen_expected_output(values)
    for cos in (values, windows):
        program.print_mse(cos, expected_output, expected_output)
    of_values, of_windows = re.findall('"no change".*', capsys.readouterr().out)
    assert of_windows == of_values


@pytest.mark.parametrize(
    "predicted, cos, named",
    [
        ((50,), (50, 1, 1), "predicted_output has the shape (50,)"),
        ((50, 2), (50, 1, 1), "predicted_output has the shape (50, 2)"),
        ((50, 1), (50, 1, 3), "cos[:, -1] has the shape (50, 3)"),
    ],
)
def test_no_mse_is_printed_of_arrays_that_numpy_would_broadcast(capsys, predicted, cos, named):
    with pytest.raises(ValueError, match=re.escape(f"{named}: must be (50, 1)")):
        program.print_mse(np.zeros(cos), np.zeros((50, 1)), np.zeros(predicted))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("lahead", [0, 50])
def test_a_wrong_number_of_values_ahead_is_named_where_the_mse_is_printed(lahead):
    with pytest.raises(ValueError, match=f"lahead = {lahead}: must be"):
        program.print_mse(np.zeros((50, 1, 1)), np.zeros((50, 1)), np.zeros((50, 1)), lahead)


def test_a_seed_repeats_the_whole_run(run_main):
    one, other = (re.findall("(?:loss|MSE).*", run_main(SEED=5)) for _ in range(2))
    assert one == other


def test_a_seed_repeats_what_keras_draws_too(run_main, monkeypatch):
    def build_with_dropout(batch_size, *_):
        layers = [keras.layers.LSTM(2), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
        model = program.StatefulSequential([keras.Input(batch_shape=(batch_size, 1, 1)), *layers])
        model.compile(loss="mse", optimizer="rmsprop")
        return model

    monkeypatch.setattr(helpers, "new_model", build_with_dropout)
    one, other = (re.findall("(?:loss|MSE).*", run_main(SEED=5)) for _ in range(2))
    assert one == other


def test_without_a_seed_every_run_is_another(run_main):
    one, other = (re.findall("(?:loss|MSE).*", run_main(SEED=None)) for _ in range(2))
    assert one != other


@pytest.mark.parametrize(
    "constants",
    [
        {"LAHEAD": 5},
        {"TSTEPS": 50, "BATCH_SIZE": 10, "UNITS": 20},
        {"BATCH_SIZE": 1},
        {"XN": 25},
        {"STATEFUL": False},
        {"X0": -25, "XN": 100, "STEP": 2, "AMP": 0.5, "PERIOD": 33.3, "K": 0},
        {"UNITS": 1},
        {
            "SEED": np.int64(2),
            "BATCH_SIZE": np.uint8(25),
            "UNITS": np.int8(1),
            "EPOCHS": np.uint8(2),
        },
        {"XN": np.uint8(250), "STEP": np.uint8(2), "LAHEAD": np.uint8(3), "STACK": np.uint8(10)},
        {"VERBOSE": 0},
        {"VERBOSE": "auto"},
    ],
    ids=str,
)
def test_other_settings_run(run_main, tmp_path, constants):
    printed = run_main(**constants)
    [mse] = re.findall("MSE of the prediction: (.*)", printed)
    numbers = [mse, *re.findall(r"- loss: ([\w.]+)", printed)]
    assert np.isfinite([float(number) for number in numbers]).all()
    assert (tmp_path / "stateful_lstm.png").stat().st_size > 0


def test_the_progress_counts_stacks(run_main):
    printed = run_main(XN=275, STACK=10)  # 11 batches, in two epochs and predicted
    assert re.findall("./. - ", printed) == ["2/2 - "] * 3


def test_the_script_runs_as_it_is_without_a_screen(start_script, tmp_path):
    script = start_script()
    assert script.wait() == 0, script.errors()
    assert "Warning" not in script.errors() and "Traceback" not in script.errors()
    assert re.findall("Epoch .*", script.printed()) == [f"Epoch {i} / 25" for i in range(25)]
    all_losses = [float(loss) for loss in re.findall("loss: (.*)", script.printed())]
    assert len(all_losses) == 25 and all_losses[-1] < 30
    assert plt.imread(tmp_path / "stateful_lstm.png").size > 0


def test_ctrl_c_ends_the_training_and_plots_what_is_trained(start_script, tmp_path):
    script = start_script(EPOCHS=10**9)
    script.interrupt(at="Epoch 2 / 1000000000\n", answer="Interrupted in epoch")
    assert script.wait() == 0, script.errors()
    assert "MSE of the prediction" in script.printed()
    assert plt.imread(tmp_path / "stateful_lstm.png").size > 0


def test_ctrl_c_while_predicting_says_so_in_one_line(start_script):
    script = start_script(EPOCHS=1, XN=200000)  # so that there is time for a second Ctrl-C
    script.interrupt(at="Predicting\n", answer="Interrupted", again=1)
    assert script.wait() == 130
    assert script.printed().endswith("Predicting\n\nInterrupted before the end\n")
    assert "Traceback" not in script.errors()


def python_path():
    """Returns a PYTHONPATH with the script's folder in front of what is there."""
    return os.pathsep.join([str(SCRIPT.parent), os.environ.get("PYTHONPATH", "")])


def test_a_notebook_runs_the_script_and_its_functions(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    import nbformat  # nbclient needs it

    monkeypatch.delenv("MPLBACKEND")
    monkeypatch.setenv("PYTHONPATH", python_path())
    (tmp_path / "edited.py").write_text(edited_script(XN=250, EPOCHS=2), encoding="utf-8")
    sources = [
        "%run edited.py",
        "import stateful_lstm\ncos = stateful_lstm.gen_cosine_amp(xn=250)\n"
        "model = stateful_lstm.build_model()\n"
        "expected_output = stateful_lstm.gen_expected_output(cos)",
        "losses = stateful_lstm.train(model, cos, expected_output, epochs=2)",
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
    assert re.fullmatch(epochs, printed[2])
    assert pictures == [1, 0, 0, 0, 1]


LOAD = """
import os
import stateful_lstm as program
print("imported")
print(os.environ["TF_CPP_MIN_LOG_LEVEL"])
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
import contextlib, importlib, io
with contextlib.redirect_stdout(None):  # as under pythonw
    importlib.reload(program)
print("reloaded", program.VERBOSE)
class Terminal(io.StringIO):
    def isatty(self):
        return True
with contextlib.redirect_stdout(Terminal()):
    importlib.reload(program)
print("in a terminal", program.VERBOSE)
"""


@pytest.fixture(scope="session")
def printed_by_another(tmp_path_factory):
    """The lines of a process of its own, which imports the program and loads a trained model."""
    folder = tmp_path_factory.mktemp("another")
    cos, expected_output = series()
    model = new_model()
    program.train(model, cos, expected_output, epochs=2)
    model.save(folder / "x.keras")
    np.save(folder / "predicted.npy", program.predict(model, cos))
    environment = {**os.environ, "PYTHONPATH": python_path(), "KERAS_BACKEND": "jax"}
    environment["TF_CPP_MIN_LOG_LEVEL"] = "1"
    command = [sys.executable, "-c", LOAD]
    printed = subprocess.check_output(
        command, cwd=folder, env=environment, text=True, timeout=PATIENCE
    )
    return printed.splitlines()


def test_importing_prints_nothing_and_keeps_to_tensorflow(printed_by_another):
    assert (printed_by_another[0], printed_by_another[2]) == ("imported", "tensorflow")


def test_importing_keeps_somebodys_own_level_of_tensorflows_hints(printed_by_another):
    assert printed_by_another[1] == "1"


def test_importing_asks_for_few_of_tensorflows_hints():
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "2"


def test_the_progress_is_a_line_an_epoch_and_in_a_terminal_a_bar(printed_by_another):
    assert printed_by_another[-2:] == ["reloaded 2", "in a terminal 1"]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_keras_that_runs_on_another_backend_already_is_refused_by_name(monkeypatch, backend):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    with pytest.raises(ImportError, match=f"Keras runs on {backend}, .*KERAS_BACKEND=tensorflow"):
        importlib.reload(program)


def test_a_saved_model_goes_on_in_a_new_process(printed_by_another):
    assert printed_by_another[3:-2] == ["True", "True", "True True", "Epoch 0 / 1", "1"]
