"""The whole program on a short series: pytest -k smoke"""

import matplotlib.pyplot as plt
import numpy as np

LINES = [  # each is the beginning of a line that the program prints, in this order
    "Generating Data",
    "Input shape: (250, 1, 1)",
    "Output shape",
    "(250, 1)",
    'Model: "stateful_sequential',
    "Training",
    "Epoch 0 / 2",
    "1/1 - ",
    "Epoch 1 / 2",
    "1/1 - ",
    "Predicting",
    "MSE of the prediction: ",
    'MSE of "no change", the latest value: ',
    "Plotting Results",
    "Plot: stateful_lstm.png",
]


def test_smoke_the_whole_program_runs_on_a_short_series(run_main, tmp_path):
    printed = iter(run_main().splitlines())
    for line in LINES:
        found = next((one for one in printed if one.startswith(line)), None)
        assert found is not None, line
        if line in ("1/1 - ", "MSE of the prediction: "):
            assert np.isfinite(float(found.split()[-1]))
    for panel in np.array_split(plt.imread(tmp_path / "stateful_lstm.png"), 2):
        color = plt.matplotlib.colors.to_rgb("C0")  # of a curve
        assert np.isclose(panel[:, :, :3], color, atol=0.01).all(axis=2).sum() > 100
