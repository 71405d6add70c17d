"""Training and predicting, with stacks of batches as with arrays."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

import stateful_lstm as program
from helpers import build_model, new_model, series, small_model
from stateful_lstm import keras


@pytest.mark.parametrize("tsteps", [1, 3])
def test_losses_weights_and_predictions_are_those_of_plain_keras(tsteps):
    keras.utils.set_random_seed(0)
    cos, expected_output = series(tsteps=tsteps)
    model = new_model(tsteps=tsteps)
    plain = keras.Sequential.from_config(keras.Sequential(model.layers).get_config())
    plain.compile(loss="mse", optimizer=program.Keras1RMSprop(), jit_compile=False)
    plain.set_weights(model.get_weights())
    plain_losses = []
    for _ in range(2):
        history = plain.fit(cos, expected_output, batch_size=25, shuffle=False, verbose=0)
        plain_losses += history.history["loss"]
        for layer in plain.layers[:2]:
            layer.reset_state()

    losses = program.train(model, cos, expected_output, epochs=2)
    np.testing.assert_allclose(losses, plain_losses, rtol=1e-5)
    for weight, plain_weight in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(weight, plain_weight, rtol=0, atol=1e-4)
    predicted_output = program.predict(model, cos)
    plain_output = plain.predict(cos, batch_size=25, verbose=0)
    np.testing.assert_allclose(predicted_output, plain_output, rtol=0, atol=1e-3)


def test_stacks_of_any_length_give_the_same_losses_and_predictions():
    cos, expected_output = series()  # 10 batches
    results = []
    for batches_per_stack in (10, 4):  # 4, 4 and 2
        keras.utils.set_random_seed(0)
        model = new_model()
        stacks = program.stack_batches(model, cos, expected_output, batches_per_stack)
        assert len(stacks) == -(-10 // batches_per_stack)
        history = model.fit(stacks, shuffle=False, verbose=0)
        model.reset_states()
        results.append((history.history["loss"], model.predict(stacks, verbose=0)))
    (losses, predicted_output), (others, other_output) = results
    np.testing.assert_allclose(losses, others, rtol=1e-6)
    np.testing.assert_allclose(predicted_output, other_output, rtol=0, atol=1e-5)


def test_states_are_kept_beyond_the_500_batches_of_a_call():
    cos, expected_output = series(600)
    ours, plain = (small_model(batch_size=1) for _ in range(2))
    plain.set_weights(ours.get_weights())
    predicted_output = plain.predict(cos, batch_size=1, verbose=0)
    np.testing.assert_allclose(program.predict(ours, cos), predicted_output, atol=1e-5)
    plain.reset_states()
    losses = program.train(ours, cos, expected_output, epochs=1)
    history = plain.fit(cos, expected_output, batch_size=1, shuffle=False, verbose=0).history
    np.testing.assert_allclose(losses, history["loss"], rtol=1e-5)


def test_a_single_sample_can_be_predicted():
    assert program.predict(small_model(batch_size=1), np.ones((1, 1, 1)), verbose=0).shape == (1, 1)


def test_training_and_predicting_with_verbose_0_print_nothing(capsys):
    cos, expected_output = series()
    model = new_model()
    program.train(model, cos, expected_output, epochs=2, verbose=0)
    program.predict(model, cos, verbose=0)
    assert capsys.readouterr().out == ""


def test_training_and_predicting_with_verbose_2_print_a_line_each(capsys):
    cos, expected_output = series()
    model = new_model()
    program.train(model, cos, expected_output, epochs=1, verbose=2)
    assert re.fullmatch("Epoch 0 / 1\n1/1 - .*loss.*\n", capsys.readouterr().out)
    program.predict(model, cos, verbose=2)
    assert re.fullmatch("1/1 - .*\n", capsys.readouterr().out)


@pytest.mark.filterwarnings("error:.*shuffle")
def test_training_causes_no_warning_about_shuffling():
    program.train(new_model(), *series(), epochs=1)


def test_training_starts_from_zero_states():
    cos, expected_output = series()
    losses = []
    for used in (False, True):
        keras.utils.set_random_seed(0)
        model = new_model()
        if used:
            program.predict(model, cos)
        losses += program.train(model, cos, expected_output, epochs=1)
    assert losses[0] == losses[1]


# States


def test_predict_starts_from_zero_states_and_so_repeats():
    cos, _ = series()
    model = new_model()
    np.testing.assert_array_equal(program.predict(model, cos), program.predict(model, cos))


def test_keras_predict_continues_from_the_current_states():
    cos, _ = series()
    model = new_model()
    stacks = program.stack_batches(model, cos)
    first, second = (model.predict(stacks, verbose=0) for _ in range(2))
    assert np.abs(second - first).max() > 1e-3


@pytest.mark.parametrize("stateful", [False, True])
def test_only_a_stateless_model_predicts_the_same_in_reverse_order(stateful):
    cos, _ = series()
    model = new_model(stateful=stateful)
    forwards, backwards = program.predict(model, cos), program.predict(model, cos[::-1])
    assert np.allclose(backwards[::-1], forwards, atol=1e-5) == (not stateful)


def test_reset_states_reaches_layers_inside_other_layers():
    inner = keras.Sequential([keras.layers.LSTM(2, return_sequences=True, stateful=True)])
    both = keras.layers.Bidirectional(keras.layers.GRU(2, stateful=True))
    stateless = keras.layers.Bidirectional(keras.layers.GRU(2, return_sequences=True))
    layers = [inner, stateless, both]
    model = program.StatefulSequential([keras.Input(batch_shape=(25, 1, 1)), *layers])
    states = inner.layers[0].states + both.forward_layer.states + both.backward_layer.states
    model.predict(series()[0], batch_size=25, verbose=0)
    assert all(np.any(state) for state in states)
    model.reset_states()
    assert not any(np.any(state) for state in states)


# Keras's own methods


@pytest.mark.parametrize("stacks_first", [True, False])
def test_fit_and_predict_take_arrays_and_stacks_in_turn(stacks_first):
    cos, expected_output = series()
    model = small_model()
    stacks = program.stack_batches(model, cos, expected_output)
    fits = [dict(x=stacks), dict(x=cos, y=expected_output, batch_size=25)]
    for fit in fits if stacks_first else fits[::-1]:
        model.fit(**fit, shuffle=False, verbose=0)
        model.reset_states()
    predicted_output = model.predict(cos, batch_size=25, verbose=0)
    np.testing.assert_allclose(program.predict(model, cos), predicted_output, atol=1e-5)


@pytest.mark.parametrize(
    "policy, last_dtype",
    [("float32", None), ("float64", "float32"), ("mixed_float16", None)],
)
def test_stacks_give_the_losses_metrics_and_predictions_of_arrays(policy, last_dtype):
    cos, expected_output = series(50)
    usual = keras.config.dtype_policy()
    results = []
    try:
        keras.config.set_dtype_policy(policy)
        for stacked in (False, True):
            keras.utils.set_random_seed(0)
            model = program.StatefulSequential([
                keras.Input(batch_shape=(25, 1, 1)),
                keras.layers.LSTM(2, stateful=True, activation=program.keras1_tanh),
                keras.layers.Dense(2, dtype=last_dtype),
            ])
            metrics = [keras.metrics.MeanAbsoluteError(dtype="float64")]
            model.compile(program.Keras1RMSprop(), loss="mse", metrics=metrics)
            targets = np.repeat(expected_output, 2, axis=1)
            data = dict(x=cos, y=targets, batch_size=25)
            validation = dict(validation_data=(cos, targets), validation_batch_size=25)
            if stacked:
                data = dict(x=program.stack_batches(model, cos, targets, 2))
                validation = dict(validation_data=data["x"])
            history = model.fit(**data, **validation, shuffle=False, verbose=0).history
            model.reset_states()
            evaluated = model.evaluate(**data, verbose=0)
            model.reset_states()
            data.pop("y", None)
            predicted_output = model.predict(**data, verbose=0)
            results.append([*history.values(), evaluated, predicted_output])
            assert all(np.isfinite(values).all() for values in results[-1])
    finally:
        keras.config.set_dtype_policy(usual)
    for of_arrays, of_stacks in zip(*results, strict=True):
        np.testing.assert_allclose(of_stacks, of_arrays, rtol=1e-5)
    assert results[1][-1].shape == (50, 2)
    assert results[1][-1].dtype == results[0][-1].dtype


def test_callbacks_work_in_a_fit_of_several_epochs(tmp_path):
    model = small_model()
    stop = keras.callbacks.EarlyStopping("loss", patience=0, min_delta=1e9)
    save = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    stacks = program.stack_batches(model, *series())
    history = model.fit(stacks, epochs=5, verbose=0, shuffle=False, callbacks=[save, stop])
    assert len(history.history["loss"]) == 2  # the second epoch is not better by 1e9
    assert {path.name for path in tmp_path.iterdir()} == {"1.keras", "2.keras"}


def test_tensorboard_writes_a_log(tmp_path):
    pytest.importorskip("tensorboard")
    model = small_model()
    log = keras.callbacks.TensorBoard(tmp_path)
    model.fit(program.stack_batches(model, *series()), verbose=0, shuffle=False, callbacks=[log])
    assert list(tmp_path.glob("train/events*"))


def test_a_loss_that_is_not_finite_is_an_error():
    cos, expected_output = series(50)
    with pytest.raises(FloatingPointError, match="the loss of epoch 0 is inf"):
        program.train(small_model(), cos, np.full_like(expected_output, 1e25))


def test_the_error_of_a_loss_that_is_not_finite_counts_the_epochs(monkeypatch):
    model = small_model()
    histories = iter(SimpleNamespace(history={"loss": [loss]}) for loss in (2.0, 1.0, np.nan))
    monkeypatch.setattr(model, "fit", lambda *_, **settings: next(histories))
    with pytest.raises(FloatingPointError, match="the loss of epoch 2 is nan"):
        program.train(model, *series(50))


# Arrays that do not fit the model


@pytest.mark.parametrize("samples", [1, 10, 32])
@pytest.mark.parametrize("used", [False, True])
def test_arrays_in_batches_of_another_size_are_refused(samples, used):
    cos, _ = series()
    model = new_model()  # for batches of 25
    if used:  # Keras would then copy a single sample to all 25 rows
        model.predict(cos, batch_size=25, verbose=0)
    with pytest.raises((ValueError, program.tf.errors.InvalidArgumentError), match="25"):
        model.predict(cos[:samples], verbose=0)


def test_a_model_without_a_fixed_batch_size_is_refused():
    layers = [keras.Input((1, 1)), keras.layers.LSTM(2), keras.layers.Dense(1)]
    with pytest.raises(ValueError, match=re.escape("keras.Input(batch_shape=...)")):
        program.stack_batches(program.StatefulSequential(layers), *series())


def test_a_model_that_takes_no_stacks_is_refused():
    inputs = keras.Input(batch_shape=(25, 1, 1))
    with pytest.raises(ValueError, match="the model is a Sequential: must be a StatefulSequential"):
        program.train(keras.Sequential([inputs, keras.layers.LSTM(1)]), *series())


@pytest.mark.parametrize(
    "cos_shape, expected_shape, message",
    [
        ((50, 1), (50, 1), "cos has the shape (50, 1): must be (50, 1, 1)"),
        ((50, 2, 1), (50, 1), "cos has the shape (50, 2, 1): must be (50, 1, 1)"),
        ((50, 1, 1), (50,), "expected_output has the shape (50,): must be (50, 1)"),
        ((50, 1, 1), (25, 1), "expected_output has the shape (25, 1): must be (50, 1)"),
        ((60, 1, 1), (60, 1), "batch_size = 25: must divide the number of samples, 60;"),
        ((53, 1, 1), (53, 1), "53; the nearest sizes that do: 1 or 53"),
        ((0, 1, 1), (0, 1), "batch_size = 25: must divide the number of samples, 0;"),
    ],
)
def test_arrays_that_do_not_fit_the_model_are_refused(cos_shape, expected_shape, message):
    model = build_model()
    with pytest.raises(ValueError, match=re.escape(message)):
        program.train(model, np.zeros(cos_shape), np.zeros(expected_shape))
    if "expected_output" not in message:
        with pytest.raises(ValueError, match=re.escape(message)):
            program.predict(model, np.zeros(cos_shape))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])  # 1e39 is infinite as a float32
@pytest.mark.parametrize("name", ["cos", "expected_output"])
@pytest.mark.filterwarnings("ignore:overflow")
def test_values_that_are_not_finite_are_refused_before_training(name, value):
    cos, expected_output = series(tsteps=3)
    {"cos": cos[100:102, 1], "expected_output": expected_output[100:101]}[name][:] = value
    model = build_model(tsteps=3)
    message = f"{name} has values that are not finite as float32; the first is in sample 100"
    with pytest.raises(ValueError, match=message):
        program.train(model, cos, expected_output)
    if name == "cos":
        with pytest.raises(ValueError, match=message):
            program.predict(model, cos)


@pytest.mark.parametrize("shape", [(50,), (50, 2), (25, 1)])
def test_no_mse_is_printed_for_targets_or_predictions_of_another_shape(capsys, shape):
    cos, expected_output = series(50)
    message = re.escape(f"output has the shape {shape}: must be (50, 1)")
    with pytest.raises(ValueError, match="predicted_" + message):
        program.print_mse(cos, expected_output, np.zeros(shape))
    with pytest.raises(ValueError, match="expected_" + message):
        program.print_mse(cos, np.zeros(shape), np.zeros(shape))
    assert capsys.readouterr().out == ""
