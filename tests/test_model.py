"""The model is that of Keras 1.2.2: its arithmetic, its initial weights, its losses."""

from pathlib import Path

import numpy as np
import pytest

import losses
import stateful_lstm as program
from helpers import build_model, new_model, series
from stateful_lstm import keras

WEIGHTS = (
    "lstm_1_kernel lstm_1_recurrent_kernel lstm_1_bias "
    "lstm_2_kernel lstm_2_recurrent_kernel lstm_2_bias dense_kernel dense_bias"
).split()


@pytest.fixture(scope="module")
def recorded():
    """The run of Keras 1.2.2 in keras_1_2_2.npz, and that of this program from its weights."""
    run = dict(np.load(Path(__file__).with_name("keras_1_2_2.npz")))
    cos, expected_output = series(2500)
    model = new_model()
    model.set_weights([run[name] for name in WEIGHTS])
    run["before"] = program.predict(model, cos)
    run["losses"] = program.train(model, cos, expected_output, epochs=3)
    run["after"] = program.predict(model, cos)
    return run


def test_predictions_before_training_are_those_of_keras_1(recorded):
    np.testing.assert_allclose(recorded["before"], recorded["predicted_before"], rtol=0, atol=1e-5)


def test_losses_are_those_of_keras_1(recorded):
    np.testing.assert_allclose(recorded["losses"], recorded["batch_losses"].mean(axis=1), rtol=1e-4)


def test_predictions_after_training_are_those_of_keras_1(recorded):
    np.testing.assert_allclose(recorded["after"], recorded["predicted_after"], rtol=0, atol=0.1)


def test_a_seed_gives_the_initial_weights_of_keras_1_to_the_last_bit(recorded):
    keras.utils.set_random_seed(11)
    for name, weight in zip(WEIGHTS, build_model().get_weights(), strict=True):
        np.testing.assert_array_equal(weight, recorded[name], err_msg=name)


def test_a_seed_gives_the_losses_of_the_same_seed_under_keras_1():
    seeds = [1, 7]  # 7 shows a wrong epsilon most clearly
    _, keras_1 = losses.read_recorded()
    ours, _ = losses.train_seeds(seeds, epochs=2)
    np.testing.assert_allclose(ours[0], keras_1[0, seeds], rtol=0.003)
    np.testing.assert_allclose(ours[1], keras_1[1, seeds], rtol=0.04)


def test_only_glorot_uniform_kernels_of_lstm_and_dense_layers_are_initialized():
    glorot = keras.initializers.GlorotUniform()
    model = program.StatefulSequential([
        keras.Input(batch_shape=(25, 1, 1)),
        keras.layers.LSTM(4, return_sequences=True, name="orthogonal"),
        keras.layers.GRU(4, return_sequences=True, name="gru"),
        keras.layers.LSTM(4, kernel_initializer="ones", recurrent_initializer=glorot, name="ones"),
        keras.layers.Dense(4, kernel_initializer="zeros", name="zeros"),
        keras.layers.Dense(3, name="last"),
    ])
    before = model.get_weights()
    np.random.seed(3)
    program.initialize_weights(model)
    next_number = np.random.uniform()
    changed = []
    for weight, value in zip(model.weights, before, strict=True):
        if not np.array_equal(weight, value):
            changed.append("/".join(weight.path.split("/")[1:]))
    assert changed == [
        "orthogonal/lstm_cell/kernel",
        "ones/lstm_cell/recurrent_kernel",
        "last/kernel",
    ]
    np.random.seed(3)
    np.random.uniform(size=4 * (1 * 4) + 4 * (4 * 4) + 4 * 3)  # what these three kernels take
    assert next_number == np.random.uniform()


@pytest.mark.parametrize("tsteps, unroll", [(1, True), (2, False)])
def test_only_a_single_time_step_is_unrolled(tsteps, unroll):
    model = build_model(tsteps=tsteps)
    assert [layer.unroll for layer in model.layers[:2]] == [unroll, unroll]
