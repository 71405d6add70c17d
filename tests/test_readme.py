"""What the README says can be typed as it stands."""

import re
from functools import partial

import matplotlib.pyplot as plt
import numpy as np

import stateful_lstm as program
from helpers import SCRIPT, new_model

README = SCRIPT.with_name("README.md").read_text(encoding="utf-8")


def test_the_python_snippets_run_one_after_the_other(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(program, "gen_cosine_amp", partial(program.gen_cosine_amp, xn=250))
    monkeypatch.setattr(program, "train", partial(program.train, epochs=2, verbose=0))
    monkeypatch.setattr(program, "build_model", new_model)
    snippets = re.findall(r"(?s)```python\n(.*?)```", README)
    names = {}
    exec("\n".join(snippets), names)
    plt.close("all")
    assert re.findall("Epoch .*", capsys.readouterr().out) == [
        *["Epoch 0 / 2", "Epoch 1 / 2"] * 3,  # the program's model and two with another series
        *["Epoch 0 / 3", "Epoch 1 / 3", "Epoch 2 / 3"],
        *["Epoch 1/3", "Epoch 2/3", "Epoch 3/3"],
        *["Epoch 0 / 2", "Epoch 1 / 2"],  # before the rest
    ]
    assert len(names["predicted_rest"]) == 50 and len(names["forecast"]) == 100
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"stateful_lstm.png", "model.keras", "best.keras"}


def test_your_own_series_becomes_windows_and_whole_batches(monkeypatch):
    monkeypatch.setattr(program, "train", lambda *arrays, epochs: None)
    snippet = README.split("**Your own series**")[1].split("```")[1]
    snippet = snippet.replace("tsteps, batch_size = 1, 25", "tsteps, batch_size = 20, 50")
    names = dict(np=np, stateful_lstm=program)
    exec(snippet.removeprefix("python\n"), names)
    assert names["my_cos"].shape == (950, 20, 1)
    latest = names["series"][19:970]  # the last values of the windows, and one more
    np.testing.assert_array_equal(names["my_cos"][:, -1, 0], latest[:-1])
    np.testing.assert_array_equal(names["my_expected_output"][:-1, 0], latest[1:-1])


def test_the_links_between_the_documents_lead_somewhere():
    folder = SCRIPT.parent
    for path in [folder / "README.md", *(folder / "tests").glob("*.md")]:
        text = path.read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https)([^)]*)\)", text):
            file, _, anchor = target.partition("#")
            linked = (path.parent / file) if file else path
            assert linked.exists(), target
            if anchor:
                headings = re.findall(r"(?m)^#+ (.*)$", linked.read_text(encoding="utf-8"))
                anchors = [re.sub("[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in headings]
                assert anchor in anchors, target


def test_every_constant_is_named():
    constants = re.findall(r"(?m)^([A-Z0-9_]+) = ", SCRIPT.read_text(encoding="utf-8"))
    section = README.split("## Constants")[1].split("##")[0]
    for name in constants:
        assert f"`{name}`" in section
