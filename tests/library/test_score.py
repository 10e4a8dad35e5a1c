"""The library on arrays: its numbers are those of the verdict."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import stages.library as wl
from stages.core.scores.sampling import draw_images
from stages.library import representing
from tests.bench.lines import code_lines
from tests.workflow import ROOT

CLASSES, EACH = 10, 12
INSTALLED = ast.parse((ROOT / "stages" / "commands" / "installed.py").read_text())
NAMES = next(
    ast.literal_eval(node.value)
    for node in INSTALLED.body
    if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
)


@pytest.fixture(scope="module")
def arrays():
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(CLASSES), EACH)
    centres = random.normal(size=(CLASSES, 16))
    noise = {"early": 3.0, "middle": 0.7, "late": 2.0}
    return {name: centres[labels] + sd * random.normal(size=(len(labels), 16)) for name, sd in noise.items()}, labels


@pytest.fixture(scope="module")
def result(arrays):
    return wl.score(*arrays, metrics=["map_at_r", "nmi", "nn1_accuracy"])


def test_the_layer_that_separates_best_is_recommended_with_its_gain(result):
    best = result.recommend("retrieval")
    assert (best.layer, best.metric, best.status, best.scope) == ("middle", "map_at_r", "pays", "classes")
    assert best.low < best.score < best.high
    assert best.gain_low <= best.gain <= best.gain_high
    row = result.gain("last").loc["retrieval"]
    assert (row["layer"], row["gain"], row["low"], row["high"]) == ("middle", best.gain, best.gain_low, best.gain_high)
    assert np.isnan(result.gain("before").loc["retrieval", "gain"])  # it is the one that is named
    assert f" {best.score:.3f} [{best.low:.3f}, {best.high:.3f}]" in str(result)
    assert f" {best.gain:+.3f} [" in str(result)


def test_of_more_images_than_max_images_a_sample_is_scored_and_named(arrays, tmp_path):
    layers, labels = arrays
    given = {"metrics": ["map_at_r", "nmi"], "dataset": "large"}
    ids = [f"unseen/{number:06d}" for number in range(len(labels))]
    rows = draw_images(labels.astype(str), ids, 70, 5)
    np.save(tmp_path / "late.npy", np.where(np.isin(np.arange(len(labels)), rows)[:, None], layers["late"], np.nan))
    mapped = np.load(tmp_path / "late.npy", mmap_mode="r")  # what is not drawn is not looked at
    found = wl.score({**layers, "late": mapped}, labels, **given, max_images=70)
    alone = wl.score({name: X[rows] for name, X in layers.items()}, labels[rows], ids=np.array(ids)[rows], **given)
    pd.testing.assert_frame_equal(found.table, alone.table)
    told = "scores of the split 'unseen' are of 70 images drawn from 120 (max_images)"
    assert (found.notes[0], found.verdict()) == (told, f"{alone.verdict()}\nThe {told}.")
    with pytest.raises(wl.UserError, match="max_images"):
        wl.score(*arrays, max_images=5)


def test_choosing_can_pay_for_a_classifier_too(arrays):
    layers, labels = arrays
    noisy = {name: X + np.random.default_rng(1).normal(size=X.shape) for name, X in layers.items()}
    result = wl.score(noisy, labels, metrics=["probe_accuracy"])
    best = result.recommend("classifier")
    assert (best.layer, best.metric, best.status, best.scope) == ("middle", "probe_accuracy", "pays", "classes")
    assert best.low < best.score < best.high
    assert 0 < best.gain_low <= best.gain <= best.gain_high
    assert " pays" in str(result)
    assert "halves" not in str(result)  # the probe has none


def test_the_table_has_a_row_per_layer_and_a_score_that_a_plain_program_gives(arrays, result):
    layers, labels = arrays
    assert list(result.table.index) == list(layers)
    for name, X in layers.items():
        unit = X.astype(np.float32) / np.linalg.norm(X, axis=1, keepdims=True)
        similar = unit @ unit.T
        np.fill_diagonal(similar, -2)
        assert result.table.loc[name, "nn1_accuracy"] == pytest.approx((labels[similar.argmax(1)] == labels).mean())


def test_it_shows_in_a_notebook(result):
    html, spec = result._repr_html_(), result.plot("retrieval").spec
    assert "<table" in html
    assert "middle" in html
    json.dumps(spec)
    assert [point["layer"] for point in spec["data"]["values"]] == ["early", "middle", "late"]
    assert [point["named"] for point in spec["data"]["values"]] == [False, True, False]
    assert "application/vnd.vegalite.v5+json" in result.plot()._repr_mimebundle_()


def test_what_is_not_as_it_must_be_is_named(arrays):
    layers, labels = arrays
    with pytest.raises(wl.UserError, match="metrics must name layer scores, found 'nim'"):
        wl.score(layers, labels, metrics=["nim"])
    with pytest.raises(wl.UserError, match="a row for each label: layer 'early' has"):
        wl.score({"early": layers["early"][1:]}, labels)
    with pytest.raises(wl.UserError, match=r"layers must be a dict of embeddings, .* found list; for example score\("):
        wl.score([*layers.values()], labels)
    with pytest.raises(wl.UserError, match="metrics must be a list of score names, found 'nmi'"):
        wl.score(layers, labels, metrics="nmi")
    with pytest.raises(wl.UserError, match="workers must be a whole number >= 1, found 0"):
        wl.score(layers, labels, workers=0)


SCRIPT = """
import numpy as np
import stages.library as wl

X, labels = np.random.default_rng(0).normal(size=(24, 4)), np.repeat([0, 1, 2], 8)
wl.score({"one": X, "two": X + 1}, labels, metrics=["nn1_accuracy"], workers=2)
"""


def test_the_nullable_numbers_of_pandas_are_numbers():
    layers, labels = {"a": np.random.default_rng(0).normal(size=(24, 3))}, np.repeat(["x", "y", "z"], 8)
    own = {"a": pd.DataFrame(layers["a"]).astype("Float64")}
    plain, nullable = (wl.score(each, labels, metrics=["map_at_r"]).table for each in (layers, own))
    pd.testing.assert_frame_equal(plain, nullable)
    own["a"].iloc[2, 1] = pd.NA
    with pytest.raises(wl.UserError, match="layer 'a' must be finite, found NaN in row 2"):
        wl.score(own, labels)


def test_a_number_and_a_text_that_look_alike_are_no_class():
    with pytest.raises(wl.UserError, match=r"labels must be all numbers .* found 3 and '3'; rename one, or give \[str"):
        wl.score({"a": np.eye(8)}, [3, 3, "3", "3", 4, 4, 5, 5])


@pytest.mark.slow
def test_a_script_without_a_guard_is_told_of_it(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, tmp_path / "script.py"], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True
    )
    said = done.stderr.decode()
    assert 'UserError: with 2 workers a script must call score below `if __name__ == "__main__":`' in said, said


RANDOM = """
import sys, numpy, stages.library as wl
wl.score({"a": numpy.random.default_rng(0).normal(size=(64, 8))}, [f"c{i % 8}" for i in range(64)])
print(*{module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "stages"}, sep="\\n")
"""


def test_scoring_takes_few_modules_and_none_that_words_the_answer():
    done = subprocess.run([sys.executable, "-c", RANDOM], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = {path: code_lines(Path(path)) for path in done.stdout.split()}
    assert sum(map(bool, lines.values())) <= 45, lines
    assert sum(lines.values()) <= 4_000, lines
    assert not [path for path in lines if "words" in path]


def test_the_public_names_are_few_and_there():
    of_representations = {"Representation", "RepresentationChoice"}
    names = {"Chart", "Recommendation", "Result", "UserError", "choose_representation", "embed", "score"}
    assert set(NAMES) == names | of_representations
    assert all(hasattr(wl, name) for name in names)
    assert all(hasattr(representing, name) for name in of_representations)


def test_with_few_labels_map_at_r_names_the_layer_for_discovery():
    random, labels = np.random.default_rng(3), np.repeat(list("abcde"), 6)
    classes = np.repeat(np.eye(5), 6, axis=0)
    layers = {str(i): classes @ random.normal(size=(5, 8)) + 1.2 * random.normal(size=(30, 8)) for i in range(4)}
    found = wl.score(layers, labels, metrics=["nmi", "map_at_r"])
    assert found.table.idxmax().to_dict() == {"nmi": "2", "map_at_r": "0"}
    assert found.recommend("discovery").layer == "0"
    told = " ".join(found.verdict().split())
    assert "With few labels, MAP@R chose the layer for discovery." in told
    assert "for other images of these classes" in told
    assert wl.score(layers, labels, metrics=["nmi"]).recommend("discovery").layer == "2"
