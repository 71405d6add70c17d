"""What recurrent programs for Keras 1.2.2 need to compute the same in Keras 3; see PORTING.md.

Put this file and stateful_lstm.py beside the program, and import this one before Keras.

- Initial weights: gates, glorot_normal, orthogonal.
- Layers: keras1_relu, Keras1Embedding, Keras1BatchNormalization, Keras1LSTM, Keras1GRU,
  Keras1Bidirectional.
- Losses: keras1_binary_crossentropy and two others.
- Optimizers: Keras1Adam, Keras1Nadam, Keras1Adagrad; Decay, for others.
- Training: Keras1Batches, Keras1ReduceLROnPlateau, order_of_test_samples.
- From stateful_lstm.py: keras1_hard_sigmoid, keras1_tanh, Keras1RMSprop, draw_glorot_uniform,
  StatefulSequential, train.

All that a saved model can hold is registered, so that `keras.models.load_model` finds it.
"""

import numpy as np

from stateful_lstm import (
    Keras1RMSprop,
    StatefulSequential,
    draw_glorot_uniform,
    keras,
    keras1_hard_sigmoid,
    keras1_tanh,
    train,
)

ops = keras.ops
register = keras.saving.register_keras_serializable("keras1")


# --------------------------------------- Initial weights ---------------------------------------


def gates(inputs, units, count, gpu=False, draw=draw_glorot_uniform):
    """Draws the kernel and the recurrent kernel of an LSTM (count 4) or a GRU (count 3).

    Returns arrays of shapes (inputs, count * units) and (units, count * units), whose columns are
    the gates in the order of drawing: i, f, c, o or z, r, h. Both are drawn by `draw`, the `init`
    of the layer. `gpu` is for consume_less="gpu", which drew all gates at once, and the recurrent
    kernel by "orthogonal" (recurrent.py, `build`).
    """
    if gpu:
        return [draw(inputs, count * units), orthogonal(units, count * units)]
    shapes = (inputs, units), (units, units)
    blocks = [[draw(*shape) for shape in shapes] for _ in range(count)]
    return [np.hstack(kernels) for kernels in zip(*blocks)]


def orthogonal(rows, columns):
    """Draws a kernel as "orthogonal" did: 1.1 times an orthogonal matrix (initializations.py)."""
    left, _, right = np.linalg.svd(np.random.normal(size=(rows, columns)), full_matrices=False)
    return 1.1 * (left if left.shape == (rows, columns) else right)


def glorot_normal(rows, columns):
    """Draws a kernel as "glorot_normal" did (initializations.py)."""
    return np.random.normal(0, np.sqrt(2 / (rows + columns)), (rows, columns))


# -------------------------------------------- Layers --------------------------------------------


@register
def keras1_relu(x):
    """The rectifier with Theano's gradient at 0, which is 0.5; that of Keras 3 is 0."""
    return 0.5 * (x + ops.abs(x))


@register
class Keras1Embedding(keras.layers.Embedding):
    """An Embedding whose `dropout` drops tokens: one mask over the vocabulary for a batch.

    The gradient of an Embedding of Keras 3 has an entry for each occurrence of a token, and the
    optimizers square or clip these entries before they add them. A regularizer of 0 makes the
    gradient dense, so that they are added first.
    """

    def __init__(self, *sizes, dropout=0.0, embeddings_regularizer=None, **settings):
        settings["embeddings_regularizer"] = embeddings_regularizer or keras.regularizers.L2(0.0)
        super().__init__(*sizes, **settings)
        self.dropout = keras.layers.Dropout(dropout)

    def call(self, tokens):
        rows = self.dropout(ops.ones((self.input_dim, 1)))
        return super().call(tokens) * ops.take(rows, ops.cast(tokens, "int32"), axis=0)

    def get_config(self):
        return {**super().get_config(), "dropout": self.dropout.rate}


@register
class Keras1BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization over all steps, also masked ones, as in Keras 1.2.2 on Theano.

    The moving variance there contains epsilon (theano_backend.py, normalize_batch_in_training).
    """

    def call(self, inputs, training=None, mask=None):
        outputs = super().call(inputs, training=training)
        if training and self.trainable:
            self.moving_variance.assign_add((1 - self.momentum) * self.epsilon)
        return outputs


class Keras1Recurrent:
    """The gates and the dropout of Keras 1.2.2, for an LSTM or a GRU.

    `dropout` and `recurrent_dropout` have a mask for each gate or, with `one_mask=True`, one for
    all, as with consume_less="gpu" (recurrent.py, `get_constants`).
    """

    def __init__(self, units, *, one_mask=False, **settings):
        usual = dict(activation=keras1_tanh, recurrent_activation=keras1_hard_sigmoid)
        rates = settings.get("dropout", 0), settings.get("recurrent_dropout", 0)
        settings["implementation"] = 1 if any(rates) else 2  # 1 has a mask for each gate
        settings["use_cudnn"] = False
        super().__init__(units, **{**usual, **settings})
        self.one_mask = one_mask
        if one_mask:
            for name in ("get_dropout_mask", "get_recurrent_dropout_mask"):
                setattr(self.cell, name, repeat_first(getattr(self.cell, name)))

    def get_config(self):
        return {**super().get_config(), "one_mask": self.one_mask}


def repeat_first(get_masks):
    """Returns a function that returns the first mask of a cell for all of its gates."""

    def get_one_mask(inputs):
        masks = get_masks(inputs)  # None if the rate is 0
        return None if masks is None else [masks[0]] * len(masks)

    return get_one_mask


@register
class Keras1LSTM(Keras1Recurrent, keras.layers.LSTM):
    pass


@register
class Keras1GRU(Keras1Recurrent, keras.layers.GRU):
    def __init__(self, units, **settings):
        super().__init__(units, **{**settings, "reset_after": False})


@register
class Keras1Bidirectional(keras.layers.Bidirectional):
    """In its sequences a masked step repeats the output of the step before; in Keras 3 it is 0."""

    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        for layer in (self.forward_layer, self.backward_layer):
            layer.zero_output_for_mask = False


# -------------------------------------------- Losses --------------------------------------------

# Keras 3 attaches the logits to the output of a softmax or sigmoid, and computes each of these
# losses from them, without clipping. A product has no logits attached.


@register
def keras1_binary_crossentropy(y_true, y_pred):
    return keras.losses.binary_crossentropy(y_true, 1.0 * y_pred)


@register
def keras1_categorical_crossentropy(y_true, y_pred):
    return keras.losses.categorical_crossentropy(y_true, 1.0 * y_pred)


@register
def keras1_sparse_categorical_crossentropy(y_true, y_pred):
    return keras.losses.sparse_categorical_crossentropy(y_true, 1.0 * y_pred)


# ------------------------------------------ Optimizers ------------------------------------------


class Decay:
    """Adds `decay` to an optimizer: its rate is divided by 1 + decay * updates. For example:

    @register
    class DecayingRMSprop(Decay, Keras1RMSprop):
        pass
    """

    def __init__(self, *arguments, decay=0.0, **settings):
        super().__init__(*arguments, **settings)
        self.decay = decay

    def update_step(self, gradient, variable, learning_rate):
        rate = learning_rate / (1 + self.decay * ops.cast(self.iterations, variable.dtype))
        super().update_step(gradient, variable, rate)

    def get_config(self):
        return {**super().get_config(), "decay": self.decay}


@register
class Keras1Adam(Decay, keras.optimizers.Adam):
    """Adam with the arguments of Keras 1.2.2 in their order."""

    def __init__(
        self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8, decay=0.0, **settings
    ):
        betas = float(np.float32(beta_1)), float(np.float32(beta_2))  # as Keras 1.2.2 holds them
        super().__init__(learning_rate, *betas, epsilon, decay=decay, **settings)


@register
class Keras1Nadam(keras.optimizers.Adam):
    """Nadam with the schedule of Keras 1.2.2, which starts anew after `load_model`, as there."""

    def __init__(
        self,
        learning_rate=0.002,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        schedule_decay=0.004,
        **settings,
    ):
        betas = float(np.float32(beta_1)), float(np.float32(beta_2))
        super().__init__(learning_rate, *betas, epsilon, **settings)
        self.schedule_decay = schedule_decay

    def build(self, variables):
        if not self.built:
            self.products = [keras.Variable(1.0, dtype=each.dtype) for each in variables]
        super().build(variables)

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        m, v, product = self._momentums[index], self._velocities[index], self.products[index]
        step = ops.cast(self.iterations + 1, variable.dtype)
        now, later = self.get_momentum(step), self.get_momentum(step + 1)
        self.assign(product, product * now)
        self.assign(m, self.beta_1 * m + (1 - self.beta_1) * gradient)
        self.assign(v, self.beta_2 * v + (1 - self.beta_2) * ops.square(gradient))
        mean = (1 - now) * gradient / (1 - product) + later * m / (1 - product * later)
        root = ops.sqrt(v / (1 - self.beta_2**step))
        self.assign_sub(variable, learning_rate * mean / (root + self.epsilon))

    def load_own_variables(self, store):
        super().load_own_variables(store)
        for product in self.products:
            product.assign(1.0)

    def get_momentum(self, step):
        return self.beta_1 * (1 - 0.5 * 0.96 ** (step * self.schedule_decay))

    def get_config(self):
        return {**super().get_config(), "schedule_decay": self.schedule_decay}


@register
class Keras1Adagrad(keras.optimizers.Adagrad):
    """Adagrad whose mean squares start from 0, with epsilon outside of the root."""

    def __init__(self, learning_rate=0.01, epsilon=1e-8, **settings):
        settings["initial_accumulator_value"] = 0
        super().__init__(learning_rate, epsilon=epsilon, **settings)

    def update_step(self, gradient, variable, learning_rate):
        v = self._accumulators[self._get_variable_index(variable)]
        self.assign(v, v + ops.square(gradient))
        self.assign_sub(variable, learning_rate * gradient / (ops.sqrt(v) + self.epsilon))


# ------------------------------------------- Training -------------------------------------------


class Keras1Batches(keras.utils.PyDataset):
    """Batches for `fit`, shuffled with `np.random` and weighted as in Keras 1.2.2.

    There, an index starts anew in each `fit` and is shuffled again before each epoch; the loss of a
    batch is divided by its share of nonzero weights (engine/training.py). For several outputs `y`
    and `sample_weight` are tuples.
    """

    def __init__(self, batch_size, x, y, sample_weight=None):
        super().__init__()
        self.batch_size, self.x, self.y, self.sample_weight = batch_size, x, y, sample_weight
        self.index = np.arange(len(x))

    def __len__(self):
        return -(-len(self.index) // self.batch_size)

    def __getitem__(self, i):
        rows = self.index[i * self.batch_size : (i + 1) * self.batch_size]
        y = keras.tree.map_structure(lambda targets: targets[rows], self.y)
        if self.sample_weight is None:
            return self.x[rows], y
        divide = lambda weights: weights[rows] / np.mean(weights[rows] != 0)
        return self.x[rows], y, keras.tree.map_structure(divide, self.sample_weight)

    def shuffle(self, epoch, logs):
        """Shuffles the index; for `keras.callbacks.LambdaCallback(on_epoch_begin=...)`."""
        if epoch == 0:
            self.index = np.arange(len(self.x))
        np.random.shuffle(self.index)


class Keras1ReduceLROnPlateau(keras.callbacks.ReduceLROnPlateau):
    """Reduces the rate after the same epochs as Keras 1.2.2, whose arguments it takes."""

    def __init__(
        self,
        monitor="val_loss",
        factor=0.1,
        patience=10,
        verbose=0,
        mode="auto",
        epsilon=1e-4,
        cooldown=0,
        min_lr=0,
    ):
        super().__init__(monitor, factor, patience + 1, verbose, mode, epsilon, cooldown, min_lr)

    def on_epoch_end(self, epoch, logs=None):
        before = float(self.model.optimizer.learning_rate)
        super().on_epoch_end(epoch, logs)
        if float(self.model.optimizer.learning_rate) < before:
            self.wait = 1  # Keras 1.2.2 counts the epoch of a reduction


def order_of_test_samples(n_train, n_test):
    """Returns the order of Keras 1.2.2 for the test samples that `imdb.load_data` returns.

    Also seeds NumPy as `imdb.load_data` did. Use: `x_test, y_test = x_test[order], y_test[order]`.
    """
    random, new, old = np.random.RandomState(113), np.arange(n_test), np.arange(n_test)
    random.shuffle(np.arange(n_train))
    random.shuffle(new)
    np.random.seed(226)
    np.random.shuffle(old)
    return np.argsort(new)[old]
