"""Training, predicting, and what Keras's own methods do with stacked batches."""

import re
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
            keras.callbacks.EarlyStopping("loss", patience=0, min_delta=1e9),
        ],
    )
    assert len(history.history["loss"]) == 2  # no epoch is better than the first one by 1e9
    assert {path.name for path in tmp_path.glob("*.keras")} == {"1.keras", "2.keras"}


def test_tensorboard_gets_a_log(tmp_path):
    pytest.importorskip("tensorboard")
    model = new_model()
    log = keras.callbacks.TensorBoard(tmp_path)
    model.fit(program.stack_batches(model, *series()), verbose=0, shuffle=False, callbacks=[log])
    assert list(tmp_path.glob("train/events*"))


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


@pytest.mark.filterwarnings("error:.*shuffle")
def test_training_keeps_the_order_and_tells_keras_so():
    program.train(new_model(), *series(), epochs=1)


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
    stateless = keras.layers.Bidirectional(keras.layers.GRU(2, return_sequences=True))
    layers = [inner, stateless, both]
    model = program.StatefulSequential([keras.Input(batch_shape=(25, 1, 1)), *layers])
    states = inner.layers[0].states + both.forward_layer.states + both.backward_layer.states
    model.predict(series()[0], batch_size=25, verbose=0)
    assert all(np.any(state) for state in states)
    model.reset_states()
    assert not any(np.any(state) for state in states)


def end_epoch_with(monkeypatch, model, error):
    """Lets an error end each epoch of the model when its batches are trained."""
    fit = model.fit

    def raise_error(batch, logs):
        raise error

    def broken_off(*arguments, callbacks, **settings):
        breaks_off = keras.callbacks.LambdaCallback(on_train_batch_end=raise_error)
        return fit(*arguments, callbacks=[*callbacks, breaks_off], **settings)

    monkeypatch.setattr(model, "fit", broken_off)


def test_after_ctrl_c_the_weights_are_those_trained_so_far_and_the_states_reset(
    monkeypatch, capsys
):
    model = new_model()
    start = model.get_weights()
    end_epoch_with(monkeypatch, model, KeyboardInterrupt)
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
    end_epoch_with(monkeypatch, model, KeyboardInterrupt)
    program.train(model, cos, np.full_like(expected_output, np.nan), epochs=3)
    assert "without that epoch, as its loss is not finite" in capsys.readouterr().out
    assert_equal(values(model), before)


def test_ctrl_c_while_an_epoch_whose_weights_are_finite_has_no_finite_loss_takes_it_back(
    monkeypatch, capsys
):
    cos, expected_output = series()
    model = new_small_model("mse", keras.optimizers.SGD(1e-30))
    before = model.get_weights()
    end_epoch_with(monkeypatch, model, KeyboardInterrupt)
    program.train(model, cos, np.full_like(expected_output, 1e25), epochs=1)
    assert "without that epoch, as its loss is not finite" in capsys.readouterr().out
    assert_equal(model.get_weights(), before)


def test_an_error_of_another_kind_takes_a_broken_epoch_back_too(monkeypatch):
    cos, expected_output = series()
    model = new_model()
    before = values(model)
    end_epoch_with(monkeypatch, model, RuntimeError("of one's own"))
    with pytest.raises(RuntimeError, match="of one's own"):
        program.train(model, cos, np.full_like(expected_output, np.nan), epochs=3)
    assert_equal(values(model), before)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("of one's own")])
def test_what_ends_a_run_while_its_first_epoch_compiles_is_what_is_seen(capsys, error):
    def loss(expected, predicted):
        raise error

    layers = [keras.layers.LSTM(2, stateful=True), keras.layers.Dense(1)]
    model = program.StatefulSequential([keras.Input(batch_shape=(25, 1, 1)), *layers])
    model.compile(loss=loss, metrics=["mae"])
    if error is KeyboardInterrupt:
        assert program.train(model, *series(50), epochs=1) == []
        assert capsys.readouterr().out.endswith("going on with what is trained so far\n")
    else:
        with pytest.raises(RuntimeError, match="of one's own"):
            program.train(model, *series(50), epochs=1)


def test_what_is_taken_back_is_the_broken_epoch_alone(monkeypatch):
    cos, expected_output = series()
    model = new_model()
    broken = program.stack_batches(model, cos, np.full_like(expected_output, np.nan))
    fit = model.fit
    before = []

    def fit_with_a_broken_third(batches, **settings):
        before.append(values(model))
        if len(before) == 3:
            batches = broken
        return fit(batches, **settings)

    monkeypatch.setattr(model, "fit", fit_with_a_broken_third)
    with pytest.raises(FloatingPointError, match="epoch 2 is nan"):
        program.train(model, cos, expected_output, epochs=5)
    assert_equal(values(model), before[2])


def new_small_model(loss, optimizer, *layers):
    """Returns a compiled model with layers between an LSTM and a Dense layer."""
    layers = [keras.layers.LSTM(2, stateful=True), *layers, keras.layers.Dense(1)]
    model = program.StatefulSequential([keras.Input(batch_shape=(25, 1, 1)), *layers])
    model.compile(loss=loss, optimizer=optimizer)
    return model


def test_a_loss_that_is_not_finite_is_seen_where_all_weights_are():
    model = new_small_model("mse", keras.optimizers.SGD(1e-30))
    cos, expected_output = series(50)
    with pytest.raises(FloatingPointError, match="epoch 0 is inf"):
        program.train(model, cos, np.full_like(expected_output, 1e25), epochs=1)


def test_weights_that_are_not_finite_are_seen_where_the_loss_is():
    def loss(expected, predicted):
        return keras.ops.sqrt(0.0 * keras.ops.mean(predicted))  # 0, whose slope is 0 / 0

    model = new_small_model(loss, "rmsprop")
    before = model.get_weights()
    with pytest.raises(FloatingPointError, match="epoch 0 is 0.0, or a weight is not finite"):
        program.train(model, *series(25), epochs=1)
    assert_equal(model.get_weights(), before)


def test_all_that_an_epoch_changes_is_taken_back():
    extra = [keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    model = new_small_model("mse", "adam", *extra)
    cos, expected_output = series(50)
    program.train(model, cos, expected_output, epochs=1)
    before = values(model)
    assert len(before) > len(model.get_weights()) + len(model.optimizer.variables)  # seeds, states
    with pytest.raises(FloatingPointError):
        program.train(model, cos, np.full_like(expected_output, np.nan), epochs=1)
    assert_equal(values(model), before)


def test_fit_of_arrays_can_take_an_epoch_back_too():
    cos, expected_output = series()
    broken = expected_output.copy()
    broken[100] = np.nan
    model = new_model()
    restore_on_nan = program.RestoreOnNaN()
    fit = dict(batch_size=25, shuffle=False, verbose=0, callbacks=[restore_on_nan])
    model.fit(cos, expected_output, epochs=2, **fit)
    model.reset_states()
    before = values(model)
    with pytest.raises(FloatingPointError, match="epoch 2 is nan"):
        model.fit(cos, broken, validation_data=(cos, cos[:, 0]), validation_batch_size=25, **fit)
    model.reset_states()
    assert_equal(values(model), before)


def test_before_any_epoch_there_is_nothing_to_take_back():
    restore_on_nan = program.RestoreOnNaN()
    assert restore_on_nan.model is None and not restore_on_nan.restore_unless_finite()


def test_a_broken_validation_takes_nothing_back():
    cos, expected_output = series()
    model = new_model()
    before = model.get_weights()
    nans = (cos, np.full_like(expected_output, np.nan))
    model.fit(
        program.stack_batches(model, cos, expected_output),
        validation_data=program.stack_batches(model, *nans),
        verbose=0,
        callbacks=[program.RestoreOnNaN()],
    )
    assert not np.array_equal(model.get_weights()[0], before[0])


def test_the_optimizer_of_half_precision_is_built_once(new_typed_model):
    model = new_typed_model("mixed_float16")
    counts = []
    for _ in range(3):
        program.train(model, *series(50), epochs=1)
        counts.append(len(model.optimizer.variables))
    assert counts[0] == counts[1] == counts[2]
    assert float(model.optimizer.dynamic_scale) != model.optimizer.initial_scale  # it is in use


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
    "cos_shape, expected_shape, named",
    [
        ((50, 1), (50, 1), "cos has the shape (50, 1): must be (50, 1, 1)"),
        ((50, 2, 1), (50, 1), "cos has the shape (50, 2, 1): must be (50, 1, 1)"),
        ((50, 1, 1), (50,), "expected_output has the shape (50,): must be (50, 1)"),
        ((50, 1, 1), (25, 1), "expected_output has the shape (25, 1): must be (50, 1)"),
        ((0, 1, 1), (0, 1), "batch_size = 25: must divide the number of samples, but there are no"),
        (
            (60, 1, 1),
            (60, 1),
            "batch_size = 25: must divide the number of samples, 60, as 20 or 30 would "
            "(or leave out 10 samples)",
        ),
    ],
)
def test_arrays_of_a_wrong_shape_are_named(cos_shape, expected_shape, named):
    model = build_model()
    with pytest.raises(ValueError, match=re.escape(named)):
        program.train(model, np.zeros(cos_shape), np.zeros(expected_shape))
    if not named.startswith("expected_output"):
        with pytest.raises(ValueError, match=re.escape(named)):
            program.predict(model, np.zeros(cos_shape))


@pytest.mark.parametrize("name", ["cos", "expected_output"])
def test_arrays_that_are_forgotten_are_named(name):
    arrays = dict(zip(("cos", "expected_output"), series()))
    arrays[name] = None
    with pytest.raises(ValueError, match=name):
        program.train(build_model(), **arrays)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_series_that_is_not_finite_is_said_to_be_so_before_any_training(value):
    cos, expected_output = series()
    cos[100] = value
    model = build_model()
    for arguments in [(program.train, model, cos, expected_output), (program.predict, model, cos)]:
        with pytest.raises(ValueError, match="cos has values that are not finite"):
            partial(*arguments)()


def new_text_generator(tsteps, return_sequences):
    """Returns a model that predicts one of 300 tokens."""
    layers = [
        keras.layers.Embedding(300, 4),
        keras.layers.LSTM(4, stateful=True, unroll=True, return_sequences=return_sequences),
        keras.layers.Dense(300, activation="softmax"),
    ]
    tokens = keras.Input(batch_shape=(5, tsteps), dtype="int32")
    model = program.StatefulSequential([tokens, *layers])
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam")
    return model


@pytest.mark.parametrize(
    "return_sequences, shape",
    [(False, (20,)), (False, (20, 1)), (True, (20, 3)), (True, (20, 3, 1))],
    ids=str,
)
def test_classes_are_taken_as_keras_takes_them(return_sequences, shape):
    random = np.random.default_rng(0)
    tokens = random.integers(300, size=(20, 3))
    classes = random.integers(300, size=shape)
    losses = []
    for stacked in (True, False):
        keras.utils.set_random_seed(0)
        model = new_text_generator(3, return_sequences)
        if stacked:
            losses += program.train(model, tokens, classes, epochs=1, verbose=0)
        else:
            fit = dict(batch_size=5, shuffle=False, verbose=0)
            losses += model.fit(tokens, classes, **fit).history["loss"]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_whole_numbers_stay_whole_and_others_become_floats():
    cos, expected_output = series()
    batches = program.stack_batches(new_model(), cos.astype(int), expected_output)
    assert batches.element_spec["cos"].dtype == "int64"
    assert batches.element_spec["expected_output"].dtype == "float32"
    model = new_model()
    of_integers = program.predict(model, cos.astype(int))
    model.reset_states()
    np.testing.assert_array_equal(program.predict(model, np.trunc(cos)), of_integers)
