"""The series and what is to be predicted from it."""

import re

import numpy as np
import pytest

import stateful_lstm as program


def test_the_series_is_that_of_the_post():
    cos = program.gen_cosine_amp(amp=3, period=40, x0=10, xn=60, k=0.01)
    x = np.arange(10, 60)
    assert cos.shape == (50, 1, 1) and cos.dtype == np.float64
    expected = 3 * np.cos(2 * np.pi * x / 40) * np.exp(-0.01 * x)
    np.testing.assert_allclose(cos[:, 0, 0], expected, rtol=1e-12)


def test_a_step_of_two_gives_twice_the_samples_two_apart():
    doubled = program.gen_cosine_amp(x0=0, xn=50, step=2)
    np.testing.assert_array_equal(doubled, program.gen_cosine_amp(x0=0, xn=200)[::2])


def test_a_sample_is_the_window_that_ends_with_its_value_oldest_first():
    windows = program.gen_cosine_amp(x0=100, xn=200, tsteps=3)
    values = program.gen_cosine_amp(x0=98, xn=200)[:, 0, 0]
    assert windows.shape == (100, 3, 1)
    np.testing.assert_array_equal(windows[0, :, 0], values[:3])
    np.testing.assert_array_equal(windows[99, :, 0], values[-3:])


def test_expected_is_the_mean_of_the_next_values_and_0_where_there_are_none():
    cos = np.arange(6.0).reshape(6, 1, 1)
    np.testing.assert_array_equal(program.gen_expected_output(cos), [[1], [2], [3], [4], [5], [0]])
    of_three = program.gen_expected_output(cos, 3)
    np.testing.assert_array_equal(of_three, [[2], [3], [4], [0], [0], [0]])


def test_expected_is_made_of_the_latest_values_of_windows():
    windows, values = program.gen_cosine_amp(xn=100, tsteps=7), program.gen_cosine_amp(xn=100)
    of_windows, of_values = (program.gen_expected_output(cos, 5) for cos in (windows, values))
    np.testing.assert_array_equal(of_windows, of_values)


@pytest.mark.parametrize(
    "settings, named",
    [
        (dict(xn=0), "xn = 0 with x0 = 0: must be above x0"),
        (dict(x0=0.5), "x0 = 0.5: must be a whole number"),
        (dict(x0=10**20), f"x0 = {10**20}: must be a whole number of at least -2**63, below 2**63"),
        (dict(xn=2**53, step=2), "x0 = 0 with xn = 9007199254740992, step = 2, tsteps = 1: must"),
        (dict(tsteps=0), "tsteps = 0: must be a whole number of at least 1"),
        (dict(step=None), "step = None: must be a whole number of at least 1"),
        (dict(amp="100"), "amp = '100': must be a real number"),
        (dict(period=0), "amp = 100 with period = 0, k = 0.0001: must give finite values"),
        (dict(k=-10), "amp = 100 with period = 1000, k = -10: must give finite values"),
        (dict(period=1e-303), "period = 1e-303, k = 0.0001: must give finite values"),
        (dict(tsteps=2**52, step=4), "step = 4, tsteps = 4503599627370496: must keep x within"),
        (dict(x0=2**53 - 8, xn=2**53 + 2), "tsteps = 1: must keep x within 2**53 of 0, not run"),
        (dict(x0=-(2**53) - 1, xn=0), "tsteps = 1: must keep x within 2**53 of 0, not run"),
    ],
    ids=str,
)
def test_a_wrong_setting_of_the_series_is_named(settings, named):
    with pytest.raises(ValueError, match=re.escape(named)):
        program.gen_cosine_amp(**settings)


@pytest.mark.parametrize("x0", [-(2**53), 2**53 - 8])
def test_the_first_and_the_last_x_that_a_float_counts_are_taken(x0):
    assert len(program.gen_cosine_amp(x0=x0, xn=x0 + 9, k=0)) == 9


@pytest.mark.parametrize("k, x0", [(10, -10**6), (-10, 0)])
@pytest.mark.filterwarnings("error")
def test_values_that_are_not_finite_are_refused_at_either_end_without_a_warning(k, x0):
    with pytest.raises(ValueError, match="give finite values"):
        program.gen_cosine_amp(k=k, x0=x0, xn=1000)


@pytest.mark.parametrize(
    "shape, lahead, named",
    [
        ((10, 1, 1), 0, "lahead = 0: must be a whole number of at least 1"),
        ((10, 1, 1), 10, "lahead = 10: must be below the number of samples, 10"),
        ((10,), 1, r"cos has the shape \(10,\): must be \(samples, tsteps, 1\)"),
    ],
)
def test_wrong_arguments_of_the_expected_output_are_named(shape, lahead, named):
    with pytest.raises(ValueError, match=named):
        program.gen_expected_output(np.zeros(shape), lahead)


@pytest.mark.parametrize(
    "settings",
    [
        dict(x0=np.int64(0), xn=np.int32(100)),
        dict(xn=np.uint8(250), step=np.uint8(2)),
        dict(xn=100, tsteps=np.uint32(3)),
        dict(xn=100, amp=np.int8(-128), period=np.uint8(200), k=np.uint8(1)),
        dict(xn=100, amp=np.float32(2), period=np.longdouble(40), k=np.float16(0.5)),
    ],
    ids=str,
)
def test_numbers_of_numpy_are_taken_as_what_they_are(settings):
    plain = {}
    for name, value in settings.items():
        whole = isinstance(value, (int, np.integer))
        plain[name] = int(value) if whole else float(value)
    cos = program.gen_cosine_amp(**settings)
    np.testing.assert_array_equal(cos, program.gen_cosine_amp(**plain))
    assert cos.dtype == np.float64


def test_a_number_of_values_ahead_may_be_numpys():
    cos = program.gen_cosine_amp(xn=250)
    ahead = program.gen_expected_output(cos, np.uint8(200))
    np.testing.assert_array_equal(ahead, program.gen_expected_output(cos, 200))
