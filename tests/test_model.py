"""The model is that of Keras 1.2.2: its arithmetic, its starting weights, its losses."""

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
