"""Training, predicting, and what Keras's own methods do with stacked batches."""

from functools import partial

import numpy as np
import pytest

import stateful_lstm as program
from helpers import assert_equal, build_model, new_model, series, values
from stateful_lstm import keras


# 25 batches are stacks of 10, 10 and 5; 20 are stacks of one length, which compiles faster.
@pytest.fixture(scope="module", params=[(1, 625), (3, 500)], ids=["tsteps 1", "tsteps 3"])
def both_ways(request):
    """Losses, weights and predictions of this program and of plain Keras, batch by batch."""
    keras.utils.set_random_seed(0)
    tsteps, samples = request.param
    cos, expected_output = series(samples, tsteps=tsteps)
    model = new_model(tsteps=tsteps)
    plain = keras.Sequential.from_config(keras.Sequential(model.layers).get_config())
    plain.compile(loss="mse", optimizer=keras.optimizers.RMSprop(epsilon=1e-16), jit_compile=True)
    plain.set_weights(model.get_weights())

    fast_losses = program.train(model, cos, expected_output, epochs=2, stack=10)
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
    evaluated = model.evaluate(cos, expected_output, batch_size=25, verbose=0)
    assert evaluated == pytest.approx(loss, rel=1e-5)
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


def test_predictions_have_the_width_of_the_models_last_layer():
    cos, _ = series()
    model = program.StatefulSequential(
        [
            keras.Input(batch_shape=(25, 1, 1)),
            keras.layers.LSTM(2, stateful=True),
            keras.layers.Dense(3),
        ]
    )
    model.compile(loss="mse", jit_compile=True)
    predicted_output = program.predict(model, cos)
    model.reset_states()
    of_arrays = model.predict(cos, batch_size=25, verbose=0)
    np.testing.assert_allclose(predicted_output, of_arrays, atol=1e-6)
    assert predicted_output.shape == (250, 3)


@pytest.fixture
def new_typed_model():
    """Returns a function that makes a small model under a dtype policy."""
    usual = keras.config.dtype_policy()

    def new(policy, last_dtype=None, jit_compile=False):
        keras.utils.set_random_seed(0)
        keras.config.set_dtype_policy(policy)
        layers = [keras.layers.LSTM(2, stateful=True), keras.layers.Dense(1, dtype=last_dtype)]
        model = program.StatefulSequential([keras.Input(batch_shape=(25, 1, 1)), *layers])
        metrics = [keras.metrics.MeanAbsoluteError(dtype="float64")]
        model.compile(loss="mse", metrics=metrics, jit_compile=jit_compile)
        return model

    yield new
    keras.config.set_dtype_policy(usual)


@pytest.mark.parametrize(
    "dtypes, predicted_dtype",
    [
        (dict(policy="float64", jit_compile=True), "float64"),
        (dict(policy="mixed_float16"), "float16"),
        (dict(policy="float32", last_dtype="float64"), "float64"),
    ],
    ids=str,
)
def test_predictions_are_those_of_arrays_in_every_dtype(new_typed_model, dtypes, predicted_dtype):
    cos, _ = series(50)
    model = new_typed_model(**dtypes)
    predicted_output = model.predict(cos, batch_size=25, verbose=0)
    model.reset_states()
    stacked_output = program.predict(model, cos)
    assert stacked_output.dtype == predicted_output.dtype == predicted_dtype
    np.testing.assert_allclose(stacked_output, predicted_output, rtol=1e-6)


@pytest.mark.parametrize("policy", ["float64", "mixed_float16"])
def test_losses_and_metrics_are_those_of_arrays_in_every_dtype(new_typed_model, policy):
    cos, expected_output = series(50)
    numbers = []
    for stacked in (False, True):
        model = new_typed_model(policy)
        data = dict(x=cos, y=expected_output, batch_size=25)
        if stacked:
            data = dict(x=program.stack_batches(model, cos, expected_output))
        history = model.fit(**data, shuffle=False, verbose=0).history
        model.reset_states()
        evaluated = model.evaluate(**data, verbose=0)
        numbers.append([*history["loss"], *history["mean_absolute_error"], *evaluated])
    np.testing.assert_allclose(*numbers, rtol=1e-6)


def test_a_model_of_unknown_length_takes_arrays_and_stacks():
    layers = [keras.layers.LSTM(2, return_sequences=True, stateful=True), keras.layers.Dense(1)]
    model = program.StatefulSequential([keras.Input(batch_shape=(25, None, 1)), *layers])
    model.compile(loss="mse", jit_compile=True)
    cos, _ = series(50, tsteps=4)
    predicted_output = model.predict(cos, batch_size=25, verbose=0)
    model.reset_states()
    np.testing.assert_allclose(program.predict(model, cos), predicted_output, atol=1e-6)
    assert predicted_output.shape == (50, 4, 1)


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


def test_training_begins_with_the_states_reset():
    cos, expected_output = series()
    losses = []
    for used in (False, True):
        keras.utils.set_random_seed(0)
        model = new_model()
        if used:
            program.predict(model, cos)
        losses += program.train(model, cos, expected_output, epochs=1)
    assert losses[0] == losses[1]


def test_a_reset_reaches_layers_inside_of_layers():
    inner = keras.Sequential([keras.layers.LSTM(2, return_sequences=True, stateful=True)])
    both = keras.layers.Bidirectional(keras.layers.GRU(2, stateful=True))
    model = program.StatefulSequential([keras.Input(batch_shape=(25, 1, 1)), inner, both])
    states = inner.layers[0].states + both.forward_layer.states + both.backward_layer.states
    model.predict(series()[0], batch_size=25, verbose=0)
    assert all(np.any(state) for state in states)
    model.reset_states()
    assert not any(np.any(state) for state in states)


def interrupt_after_fit(monkeypatch, model):
    """Lets the model's fit end with Ctrl-C, after it has trained."""
    fit = model.fit

    def interrupted(*arguments, **settings):
        fit(*arguments, **settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "fit", interrupted)


def test_after_ctrl_c_the_weights_are_those_trained_so_far_and_the_states_reset(
    monkeypatch, capsys
):
    model = new_model()
    start = model.get_weights()
    interrupt_after_fit(monkeypatch, model)
    assert program.train(model, *series(), epochs=3) == []
    assert capsys.readouterr().out.endswith(
        "Interrupted in epoch 0: going on with what is trained so far\n"
    )
    assert not np.array_equal(model.get_weights()[0], start[0])
    for layer in model.layers[:2]:
        assert not np.any(layer.states)


def test_after_ctrl_c_in_an_epoch_whose_loss_is_nan_the_model_is_as_before_that_epoch(
    monkeypatch, capsys
):
    cos, expected_output = series()
    model = new_model()
    program.train(model, cos, expected_output, epochs=1)
    before = values(model)
    interrupt_after_fit(monkeypatch, model)
    program.train(model, cos, np.full_like(expected_output, np.nan), epochs=3)
    assert "without that epoch, as its loss is not finite" in capsys.readouterr().out
    assert_equal(values(model), before)


@pytest.mark.parametrize("epochs_before", [0, 2])
def test_after_a_loss_that_is_not_finite_training_goes_on_as_if_it_had_not_been(epochs_before):
    cos, expected_output = series()
    broken = expected_output.copy()
    broken[100] = np.nan
    ends = []
    for disturbed in (False, True):
        keras.utils.set_random_seed(0)
        if epochs_before == 0:
            model = build_model()  # as the optimizer of new_model is built already
        else:
            model = new_model()
            program.train(model, cos, expected_output, epochs=epochs_before)
        if disturbed:
            weights = model.get_weights()
            with pytest.raises(FloatingPointError, match="epoch 0 is nan"):
                program.train(model, cos, broken, epochs=2)
            assert_equal(model.get_weights(), weights)
        program.train(model, cos, expected_output, epochs=2)
        ends.append(values(model))
    assert_equal(*ends)


@pytest.mark.parametrize(
    "functions, setting, right",
    [
        (
            "train predict stack_batches",
            {"stack": 0},
            "stack = 0: must be a whole number of at least 1",
        ),
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
        (
            (60, 1, 1),
            (60, 1),
            "batch_size = 25: must divide the number of samples, 60, as 20 or 30 would",
        ),
    ],
)
def test_arrays_of_a_wrong_shape_are_named(cos_shape, expected_shape, name):
    model = build_model()
    with pytest.raises(ValueError, match=name):
        program.train(model, np.zeros(cos_shape), np.zeros(expected_shape))
    if name == "cos":
        with pytest.raises(ValueError, match=r"cos has the shape .*: must be \(50, 1, 1\)"):
            program.predict(model, np.zeros(cos_shape))
