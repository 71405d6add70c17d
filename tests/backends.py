"""Shows what becomes of the states of a stateful LSTM on the other backends of Keras 3.

An environment of its own for each (for PyTorch, `torch` in the place of `jax`):

    python3 -m venv .jax && .jax/bin/pip install -q keras jax
    KERAS_BACKEND=jax .jax/bin/python tests/backends.py
"""

import importlib.metadata

import keras
import numpy as np


def build_model(stateful):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([
        keras.Input(batch_shape=(25, 1, 1)),
        keras.layers.LSTM(50, stateful=stateful),
        keras.layers.Dense(1),
    ])
    model.compile(loss="mse", optimizer="rmsprop")
    return model


def main():
    backend = keras.backend.backend()
    package = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}[backend]
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("keras", package)]
    print("With", ", ".join(versions))
    x = np.arange(2500)
    cos = (100 * np.cos(2 * np.pi * x / 1000)).reshape(-1, 1, 1)
    expected_output = np.roll(cos[:, 0], -1, axis=0)

    model = build_model(stateful=True)
    first, second = [model.predict(cos, batch_size=25, verbose=0) for _ in range(2)]
    print("The second prediction goes on from the states of the first:", (first != second).any())
    losses = {}
    for stateful in (True, False):
        model = build_model(stateful)
        try:
            history = model.fit(
                cos, expected_output, batch_size=25, epochs=3, shuffle=False, verbose=0
            )
            losses[stateful] = history.history["loss"]
        except Exception as error:
            losses[stateful] = f"{type(error).__name__}: {error}"
        print(f"Losses with stateful={stateful}:", losses[stateful])
    print("They are the same:", losses[True] == losses[False])


if __name__ == "__main__":
    main()
