"""The series and its targets."""

import numpy as np
import pytest

import stateful_lstm as program


def test_the_series_is_a_decaying_cosine():
    cos = program.gen_cosine_amp(amp=3, period=40, x0=10, xn=60, k=0.01)
    x = np.arange(10, 60)
    assert cos.shape == (50, 1, 1) and cos.dtype == np.float64
    expected = 3 * np.cos(2 * np.pi * x / 40) * np.exp(-0.01 * x)
    np.testing.assert_allclose(cos[:, 0, 0], expected, rtol=1e-12)


def test_a_step_of_two_gives_twice_the_samples_two_apart():
    doubled = program.gen_cosine_amp(x0=0, xn=50, step=2)
    np.testing.assert_array_equal(doubled, program.gen_cosine_amp(x0=0, xn=200)[::2])


def test_a_sample_is_a_window_that_ends_with_its_latest_value():
    windows = program.gen_cosine_amp(x0=100, xn=200, tsteps=3)
    values = program.gen_cosine_amp(x0=98, xn=200)[:, 0, 0]
    assert windows.shape == (100, 3, 1)
    np.testing.assert_array_equal(windows[0, :, 0], values[:3])
    np.testing.assert_array_equal(windows[99, :, 0], values[-3:])


@pytest.mark.parametrize(
    "lahead, expected", [(1, [1, 4, 9, 16, 25, 0]), (3, [14 / 3, 29 / 3, 50 / 3, 0, 0, 0])]
)
def test_a_target_is_the_mean_of_the_next_values_or_0_at_the_end(lahead, expected):
    windows = np.full((6, 2, 2), 99.0)
    windows[:, -1, 0] = np.arange(6) ** 2  # the latest value of each, of the first feature
    targets = program.gen_expected_output(windows, lahead)
    np.testing.assert_allclose(targets, np.reshape(expected, (6, 1)))
