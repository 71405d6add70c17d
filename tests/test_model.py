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
    np.testing.assert_allclose(recorded["losses"], recorded["batch_losses"].mean(axis=1), rtol=2e-6)


def test_predictions_after_training_are_those_of_keras_1(recorded):
    np.testing.assert_allclose(recorded["after"], recorded["predicted_after"], rtol=0, atol=0.001)


def test_a_seed_gives_the_initial_weights_of_keras_1_to_the_last_bit(recorded):
    keras.utils.set_random_seed(11)
    for name, weight in zip(WEIGHTS, build_model().get_weights(), strict=True):
        np.testing.assert_array_equal(weight, recorded[name], err_msg=name)


def test_a_seed_gives_the_losses_of_the_same_seed_under_keras_1():
    _, keras_1 = losses.read_recorded()
    ours, _ = losses.train_seeds(losses.RECORDED, epochs=2)
    np.testing.assert_allclose(ours[0], keras_1[0], rtol=5e-5)
    assert losses.rms(ours[1] / keras_1[1]) < 0.01


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_gradient_of_tanh_is_that_of_keras_1_for_large_inputs_too(dtype):
    @program.tf.function(jit_compile=True)
    def differentiate(x):
        with program.tf.GradientTape() as tape:
            tape.watch(x)
            y = program.keras1_tanh(x)
        return y, tape.gradient(y, x)

    x = np.array([-8.5, -0.5, 0, 3, 8], dtype)
    y, gradient = [tensor.numpy() for tensor in differentiate(program.tf.constant(x))]
    expected = np.tanh(np.float64(x)).astype(dtype)
    np.testing.assert_allclose(y, expected, rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(gradient, 1 - y * y, rtol=1e-5)
    if dtype == "float32":
        assert gradient[4] == pytest.approx(4.8e-7, rel=0.01)


@pytest.mark.parametrize("epsilon", [1e-8, 1e-3])
def test_rmsprop_makes_the_steps_of_keras_1_in_float32(epsilon):
    g, rho, v, p = np.float32([1e-9, 1e-3, 1]), np.float32(0.9), 0, 0
    weights = keras.Variable(np.zeros(3), dtype="float32")
    optimizer = program.Keras1RMSprop(0.01, 0.9, epsilon)
    for _ in range(3):
        v = rho * v + (1 - rho) * g * g
        p = p - np.float32(0.01) * g / (np.sqrt(v) + np.float32(epsilon))
        optimizer.apply([keras.ops.convert_to_tensor(g)], [weights])
    [velocity] = [each.numpy() for each in optimizer.variables if "velocity" in each.path]
    np.testing.assert_allclose(velocity, v, rtol=1.5e-7)
    np.testing.assert_allclose(weights.numpy(), p, rtol=3e-7)


def test_the_model_is_compiled_by_xla():
    assert build_model().jit_compile is True


@pytest.mark.parametrize("tsteps, unroll", [(1, True), (2, False)])
def test_only_a_single_time_step_is_unrolled(tsteps, unroll):
    model = build_model(tsteps=tsteps)
    assert [layer.unroll for layer in model.layers[:2]] == [unroll, unroll]
