"""What the README says to who ports another program: formulas of Keras 1.2.2, copied in NumPy."""

import numpy as np
import pytest

from stateful_lstm import keras, keras1_hard_sigmoid

RATE, SLOPES = 0.01, np.array([1e-9, 1e-4, 1.0, 100.0], np.float32)  # gradients, small and large


def hard_sigmoid(x):
    return np.clip(0.2 * x + 0.5, 0, 1)


def run_gru(x, kernel, recurrent_kernel):
    """Returns the last output of Keras 1.2.2's GRU without bias, for (batch, tsteps, inputs)."""
    h = np.zeros((len(x), len(recurrent_kernel)))
    u_z, u_r, u_h = np.split(recurrent_kernel, 3, axis=1)
    for t in range(x.shape[1]):
        x_z, x_r, x_h = np.split(x[:, t] @ kernel, 3, axis=1)
        z, r = hard_sigmoid(x_z + h @ u_z), hard_sigmoid(x_r + h @ u_r)
        h = z * h + (1 - z) * np.tanh(x_h + (r * h) @ u_h)
    return h


@pytest.mark.parametrize("settings, same", [(dict(reset_after=False), True), ({}, False)])
def test_a_gru_resets_before_the_product(settings, same):
    x = np.random.default_rng(0).normal(size=(4, 6, 3))
    gru = keras.layers.GRU(5, recurrent_activation=keras1_hard_sigmoid, **settings)
    predicted = gru(x).numpy()
    kernel, recurrent_kernel = [weight.astype(float) for weight in gru.get_weights()[:2]]
    distance = np.abs(predicted - run_gru(x, kernel, recurrent_kernel)).max()
    assert distance < 1e-6 if same else distance > 0.01


def steps_of(optimizer, count=3):
    """Returns where an optimizer of Keras 3 takes four weights from 0, in float64."""
    weights = keras.Variable(np.zeros(4), dtype="float64")
    for _ in range(count):
        optimizer.apply([keras.ops.convert_to_tensor(SLOPES, "float64")], [weights])
    return weights.numpy()


def test_adam_has_its_epsilon_outside_of_the_root_as_before():
    p, m, v, g = 0, 0, 0, SLOPES.astype(float)
    for t in (1, 2, 3):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        p = p - RATE * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-8)
    np.testing.assert_allclose(steps_of(keras.optimizers.Adam(RATE, epsilon=1e-8)), p, rtol=1e-3)
    wrong = steps_of(keras.optimizers.Adam(RATE, epsilon=1e-16))
    assert wrong[0] / p[0] > 5  # with this program's 1e-16 small slopes make far longer steps


def test_rmsprop_is_that_of_before_where_slopes_are_0_or_large():
    p, v, g = 0, 0, SLOPES.astype(float)
    for _ in range(3):
        v = 0.9 * v + 0.1 * g**2
        p = p - RATE * g / (np.sqrt(v) + 1e-8)
    steps = steps_of(keras.optimizers.RMSprop(RATE, epsilon=1e-16))
    np.testing.assert_allclose(steps[1:], p[1:], rtol=1e-3)
    assert 1 < steps[0] / p[0] < 1.42  # at most the root of 2, where v is 1e-16


def test_adagrad_started_from_0_and_its_rate_was_ten_times_as_high():
    optimizer = keras.optimizers.Adagrad(0.01, initial_accumulator_value=0, epsilon=1e-16)
    p, a, g = 0, 0, SLOPES.astype(float)
    for _ in range(3):
        a = a + g**2
        p = p - 0.01 * g / (np.sqrt(a) + 1e-8)
    np.testing.assert_allclose(steps_of(optimizer)[1:], p[1:], rtol=1e-3)
    assert abs(steps_of(keras.optimizers.Adagrad())[2] / p[2]) < 0.2


def test_adadelta_had_a_rate_of_1():
    p, a, d, g = 0, 0, 0, SLOPES.astype(float)
    for _ in range(3):
        a = 0.95 * a + 0.05 * g**2
        update = g * np.sqrt(d + 1e-8) / np.sqrt(a + 1e-8)
        p, d = p - update, 0.95 * d + 0.05 * update**2
    steps = steps_of(keras.optimizers.Adadelta(1.0, epsilon=1e-8))
    np.testing.assert_allclose(steps, p, rtol=1e-3)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_is_that_of_before(nesterov):
    p, v, g = 0, 0, SLOPES.astype(float)
    for _ in range(3):
        v = 0.9 * v - RATE * g
        p = p + 0.9 * v - RATE * g if nesterov else p + v
    steps = steps_of(keras.optimizers.SGD(RATE, momentum=0.9, nesterov=nesterov))
    np.testing.assert_allclose(steps, p, rtol=1e-3)


def test_decay_is_ignored_and_a_schedule_is_what_it_was():
    with pytest.warns(UserWarning, match="no longer supported and will be ignored"):
        keras.optimizers.SGD(RATE, decay=0.1)
    p, g = 0, SLOPES.astype(float)
    for t in range(3):
        p = p - RATE / (1 + 0.1 * t) * g
    schedule = keras.optimizers.schedules.InverseTimeDecay(RATE, 1, 0.1)
    np.testing.assert_allclose(steps_of(keras.optimizers.SGD(schedule)), p, rtol=1e-3)


@pytest.mark.parametrize("implementation, masks", [(1, 4), (2, 1)])
def test_implementation_1_drops_out_for_each_gate_by_itself(implementation, masks):
    keras.utils.set_random_seed(0)
    # Without use_cudnn=False, Keras 3.15 cannot give each gate a mask of its own.
    lstm = keras.layers.LSTM(1, dropout=0.5, implementation=implementation, use_cudnn=False)
    lstm.build((500, 1, 1))
    lstm.set_weights([np.array([[1.0, 1, 2, 3]]), np.zeros((1, 4)), np.zeros(4)])
    outputs = np.unique(np.round(lstm(np.ones((500, 1, 1)), training=True), 4))
    # c is 0 where its own gate is dropped; else input and output gate are dropped or not.
    assert len(outputs) == {4: 5, 1: 2}[masks]


def test_the_cross_entropy_of_a_softmax_is_no_longer_clipped():
    logits = keras.Sequential([keras.Input((2,)), keras.layers.Activation("softmax")])
    logits.compile(loss="categorical_crossentropy")
    x, y = np.array([[0.0, 100.0]]), np.array([[1.0, 0.0]])
    assert logits.evaluate(x, y, verbose=0) == pytest.approx(100)
    assert -np.log(np.float32(1e-7)) == pytest.approx(16.1, abs=0.1)  # the most in Keras 1.2.2


@pytest.mark.parametrize(
    "layer, argument",
    [
        *[("LSTM", name) for name in ("init", "inner_init", "inner_activation", "W_regularizer")],
        *[("LSTM", name) for name in ("dropout_W", "dropout_U", "consume_less")],
        ("LSTM", "batch_input_shape"),
        *[("Dense", name) for name in ("init", "bias", "W_constraint")],
        ("BatchNormalization", "mode"),
        ("Embedding", "dropout"),
        ("Conv2D", "border_mode"),
    ],
)
def test_a_renamed_argument_is_refused(layer, argument):
    sizes = {"LSTM": (1,), "Dense": (1,), "Embedding": (1, 1), "Conv2D": (1, 1)}.get(layer, ())
    with pytest.raises(ValueError, match="Unrecognized keyword arguments"):
        getattr(keras.layers, layer)(*sizes, **{argument: 1})


def test_the_third_size_of_a_convolution_is_taken_as_its_strides():
    assert keras.layers.Convolution2D(32, 3, 3).strides == (3, 3)


def test_what_is_unchanged_starts_as_before():
    assert keras.layers.LSTM(1).unit_forget_bias
    dense = keras.layers.Dense(1)
    assert isinstance(dense.kernel_initializer, keras.initializers.GlorotUniform)
    embedding = keras.layers.Embedding(1, 1).embeddings_initializer
    assert (embedding.minval, embedding.maxval) == (-0.05, 0.05)
    normalization = keras.layers.BatchNormalization()
    assert (normalization.momentum, normalization.epsilon) == (0.99, 1e-3)
    rmsprop = keras.optimizers.RMSprop()
    assert (float(rmsprop.learning_rate), rmsprop.rho) == (pytest.approx(0.001), 0.9)


def test_the_loss_of_an_epoch_is_weighted_by_the_sizes_of_its_batches():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Rescaling(1.0)])
    model.compile(loss="mse")
    x = np.array([[1.0], [1], [1], [3]])  # batches of 3 and 1
    assert model.evaluate(x, 0 * x, batch_size=3, verbose=0) == pytest.approx((3 + 9) / 4)
