"""Training and predicting, with stacks of batches as with arrays."""

import re

import numpy as np
import pytest

import stateful_lstm as program
from helpers import assert_equal, build_model, new_model, series, small_model, values
from stateful_lstm import keras


# 25 batches are stacks of 10, 10 and 5; 20 are stacks of one length, which compiles faster.
@pytest.mark.parametrize("tsteps, samples", [(1, 625), (3, 500)])
def test_losses_weights_and_predictions_are_those_of_plain_keras(tsteps, samples):
    keras.utils.set_random_seed(0)
    cos, expected_output = series(samples, tsteps=tsteps)
    model = new_model(tsteps=tsteps)
    plain = keras.Sequential.from_config(keras.Sequential(model.layers).get_config())
    plain.compile(loss="mse", optimizer=program.Keras1RMSprop(), jit_compile=True)
    plain.set_weights(model.get_weights())
    plain_losses = []
    for _ in range(2):
        history = plain.fit(cos, expected_output, batch_size=25, shuffle=False, verbose=0)
        plain_losses += history.history["loss"]
        for layer in plain.layers[:2]:
            layer.reset_state()

    losses = program.train(model, cos, expected_output, epochs=2, steps_per_execution=10)
    np.testing.assert_allclose(losses, plain_losses, rtol=1e-4)
    for weight, plain_weight in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(weight, plain_weight, rtol=0, atol=1e-3)
    predicted_output = program.predict(model, cos, steps_per_execution=10)
    plain_output = plain.predict(cos, batch_size=25, verbose=0)
    np.testing.assert_allclose(predicted_output, plain_output, rtol=0, atol=1e-2)


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
                keras.layers.LSTM(2, stateful=True),
                keras.layers.Dense(2, dtype=last_dtype),
            ])
            metrics = [keras.metrics.MeanAbsoluteError(dtype="float64")]
            model.compile(loss="mse", metrics=metrics)
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


# Losses that are not finite


@pytest.mark.parametrize("epochs_before", [0, 2])
def test_after_a_nan_loss_training_continues_as_if_that_epoch_had_not_run(epochs_before):
    cos, expected_output = series()
    broken = expected_output.copy()
    broken[100] = np.nan
    ends = []
    for disturbed in (False, True):
        keras.utils.set_random_seed(0)
        model = small_model(keras.layers.BatchNormalization(), keras.layers.Dropout(0.5))
        program.train(model, cos, expected_output, epochs_before)
        if disturbed:
            weights = model.get_weights()
            with pytest.raises(FloatingPointError, match="the loss of this epoch is nan"):
                program.train(model, cos, broken, epochs=2)
            assert_equal(model.get_weights(), weights)
        program.train(model, cos, expected_output, epochs=2)
        ends.append(values(model))
    assert_equal(*ends)


def test_fit_of_arrays_restores_only_the_epoch_whose_loss_is_nan():
    cos, expected_output = series()
    model = small_model()
    start = model.get_weights()
    ends = []  # what each epoch ends with

    def end_epoch(epoch, logs):
        ends.append(values(model))
        if epoch == 1:
            model.layers[-1].bias.assign([np.nan])  # so that the loss of epoch 2 is NaN

    record = keras.callbacks.LambdaCallback(on_epoch_end=end_epoch)
    with pytest.raises(FloatingPointError):
        callbacks = [program.RestoreOnNaN(), record]
        fit = dict(batch_size=25, epochs=5, shuffle=False, verbose=0, callbacks=callbacks)
        model.fit(cos, expected_output, **fit)
    assert len(ends) == 2 and not np.array_equal(ends[0][0], start[0])
    assert_equal(values(model)[:3], ends[1][:3])


def test_a_loss_that_is_infinite_is_noticed_when_all_weights_are_finite():
    model = small_model(optimizer=keras.optimizers.SGD(1e-30))
    cos, expected_output = series(50)
    with pytest.raises(FloatingPointError, match="the loss of this epoch is inf"):
        program.train(model, cos, np.full_like(expected_output, 1e25), epochs=1)


def test_a_weight_that_is_not_finite_is_noticed_when_the_loss_is_finite():
    def loss(expected, predicted):
        return keras.ops.sqrt(0.0 * keras.ops.mean(predicted))  # 0, with the gradient 0 / 0

    model = small_model(loss=loss)
    before = model.get_weights()
    with pytest.raises(FloatingPointError, match="is 0.0, or a weight is not finite"):
        program.train(model, *series(25), epochs=1)
    assert_equal(model.get_weights(), before)


def test_the_optimizer_of_mixed_precision_is_built_once():
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
    model = small_model(optimizer=optimizer)
    counts = []
    for _ in range(2):
        program.train(model, *series(50), epochs=1)
        counts.append(len(optimizer.variables))
    assert counts[0] == counts[1]


# Arrays that do not fit the model


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
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_series_that_is_not_finite_is_refused_before_training(value):
    cos, expected_output = series()
    cos[100] = value
    model = build_model()
    with pytest.raises(ValueError, match="cos has values that are not finite"):
        program.train(model, cos, expected_output)
    with pytest.raises(ValueError, match="cos has values that are not finite"):
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
