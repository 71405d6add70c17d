"""The whole program on a short series: pytest -k smoke"""

import re

import matplotlib.pyplot as plt
import numpy as np


def test_smoke_the_whole_program_runs_on_a_short_series(run_main, tmp_path):
    printed = run_main()
    headings = [
        *["Generating Data", r"Input shape: \(250, 1, 1\)", "Output shape", r"\(250, 1\)"],
        *['Model: "stateful_sequential.*"', "Training"],
        *["Epoch 0 / 2", "1/1 - .* loss: .*", "Epoch 1 / 2", "1/1 - .* loss: .*"],
        *["Predicting", "MSE of the prediction: .*", "MSE of .no change.*"],
        *["Plotting Results", "Plot: stateful_lstm.png"],
    ]
    assert re.search(r"\n(?:.*\n)*?".join(headings) + r"\n$", printed)
    assert re.search(r"Training\nEpoch 0 / 2\n.*\nEpoch 1 / 2\n.*\nPredicting\n", printed)
    assert np.isfinite([float(loss) for loss in re.findall("loss: (.*)", printed)]).all()
    for panel in np.array_split(plt.imread(tmp_path / "stateful_lstm.png"), 2):
        assert panel.std() > 0.01
