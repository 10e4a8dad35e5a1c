"""Arrays are scored without torch, DVC or a file, and one sentence names what is wrong with them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.metrics import normalized_mutual_info_score
from sklearn.neighbors import NearestNeighbors

from stages.aggregate.params import AggregateParams
from stages.core.scores import embedded_split
from stages.core.scores.catalogue import LAYER_SCORES
from stages.library import Result, score
from stages.library.checks import tabulate
from stages.library.export import write_result
from stages.library.settings import arguments_of
from stages.measure.params import MeasureParams
from stages.shared.runtime.errors import UserError
from stages.shared.workflow.params import parse
from tests.commands.score.made import WIDTHS, arrays, write_npz
from tests.measure.synthetic import DEFAULT

ROOT = Path(__file__).parents[2]
AGGREGATE = AggregateParams(main_metric="nmi", accuracy_margin=0.05)
REFITS = {"metrics": ["nmi", "knn_purity"], "steps": [0], "halves": 4, "starts": 3, "polished": 1}


def measure(**changes: Any) -> MeasureParams:
    return parse(DEFAULT | {"refits": REFITS} | changes, MeasureParams, where="measure")


def given(**changes: Any) -> dict[str, Any]:
    """Arguments of `score_arrays`; a change of a layer's name replaces it."""
    content = arrays()
    layers = {name: content[name] for name in WIDTHS} | {n: X for n, X in changes.items() if n in ("stem", "a@mean")}
    others = {name: value for name, value in changes.items() if name not in layers}
    return {"layers": layers, "labels": content["labels"], "measure": measure()} | others


def score_arrays(*arguments: Any, measure: MeasureParams, **others: Any) -> Result:
    """Score arrays by the settings of a section of params.yaml."""
    metrics = [name for name in measure.metrics if name in LAYER_SCORES]
    return score(*arguments, **arguments_of(measure), metrics=metrics, **others)


CORE = """
import sys
from collections.abc import Iterator

class Absent:
    @staticmethod
    def find_spec(name, path=None, target=None):
        package = name.partition(".")[0]
        if package in ("torch", "dvc", "PIL", "requests", "google_crc32c", "jinja2", "numcodecs", "pyarrow",
                       "vl_convert", "zarr"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=package)

sys.meta_path.insert(0, Absent)
import numpy as np
import stages.library as wl
from stages.commands.cli import main

with np.load(sys.argv[1]) as file:
    arrays = {**file}
result = wl.score(arrays, arrays.pop("labels"), metrics=["nmi", "nn1_accuracy"])
result.recommend("retrieval"), result.table, result.gain(), result.plot(), print(result)
sys.argv = ["whichlayer", "score", *sys.argv[1:], "--metrics", "nmi,nn1_accuracy"]
main()
"""


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder in which processes can meet at a socket: pytest's own has a longer path."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


def test_the_core_needs_no_package_of_an_extra_and_writes_nothing(short_path: Path):
    file = write_npz(short_path / "some.npz", arrays())

    def run(*options: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-c", CORE, str(file), *options]
        environment = {"TMPDIR": str(short_path), "PATH": "/usr/bin"}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    done = run()
    assert done.stdout.count("retrieval (1-NN)") == 2, done.stderr
    page = run("--out", str(short_path / "out"))
    assert page.stderr.endswith("which is not installed: pip install 'whichlayer[files]'\n")
    assert [path.name for path in short_path.iterdir()] == ["some.npz"]


@pytest.fixture(scope="module")
def scored():
    return score_arrays(**given())


def test_scores_are_those_of_scikit_learn_and_do_not_depend_on_processes(scored):
    pd.testing.assert_frame_equal(scored.table, score_arrays(**given(), workers=2).table)
    content = arrays()
    for name in WIDTHS:
        nearest = NearestNeighbors(n_neighbors=1).fit(content[name]).kneighbors(return_distance=False)[:, 0]
        assert scored.table.loc[name, "nn1_accuracy"] == np.mean(content["labels"][nearest] == content["labels"])
    assert str(scored).startswith("data, embeddings: ")


def test_the_clusters_whose_nmi_is_reported_can_be_kept(scored, tmp_path: Path):
    write_result(tmp_path, scored, measure=measure(), aggregate=AGGREGATE, command="wl.score", workers=1)
    images = pd.read_parquet(next(tmp_path.rglob("images.parquet")))
    for name in WIDTHS:
        clusters = images.loc[images["layer"] == name, "cluster"]
        value = normalized_mutual_info_score(arrays()["labels"], clusters)
        assert scored.table.loc[name, "nmi"] == pytest.approx(value, abs=1e-9)


def test_a_neighbour_is_of_another_group_where_that_is_asked_for():
    labels = np.repeat(["a", "b"], 12)
    groups, places = np.tile(["x", "y", "z"], 8), np.tile([0.0, 5.0, 10.0], 8)
    X = np.stack([places + np.random.default_rng(0).normal(0, 0.1, 24), np.zeros(24)], axis=1)
    asked = measure(metrics=["nmi", "nn1_accuracy"], neighbours="other_groups", normalize="none")
    table = score_arrays({"one": X}, labels, groups, measure=asked).table
    allowed = np.where(groups[:, None] == groups, np.inf, np.abs(X[:, :1] - X[:, 0]))
    assert table.loc["one", "nn1_accuracy"] == np.mean(labels[allowed.argmin(axis=1)] == labels)


def test_a_layer_that_is_the_same_for_all_images_is_named():
    scored = score_arrays(**given(stem=np.ones((28, 3))))
    assert [note for note in scored.notes if "layer 'stem' has the same embedding for all images" in note]
    assert not [note for note in scored.notes if "layer 'blocks.0'" in note]


def test_images_are_numbered_by_split_and_fold_and_whole_numbers_are_classes():
    found = tabulate([1, 1, 2, 2, 3, 3, 4, 4], seen=[True] * 4 + [False] * 4)
    assert found["label"].tolist() == list("11223344")
    assert found["split"].tolist() == ["test"] * 4 + ["unseen"] * 4
    assert found["sample_id"].tolist() == [f"{split}/00000{n}" for split in ("test", "unseen") for n in range(4)]
    folds = tabulate(list("aabbccdd"), folds=["x"] * 4 + ["y"] * 4)
    assert folds["fold"].tolist() == [0] * 4 + [1] * 4
    assert folds["sample_id"].tolist() == [f"unseen/00000{n}" for n in range(4)] * 2


A_MISSING = ["a", "b", "b", *"aabb" * 6, "a"]
MISSING = [
    *([each, *A_MISSING[1:]] for each in (None, np.nan, float("nan"), pd.NA, pd.NaT)),
    [np.nan, *np.arange(28)[1:] % 2],
    np.array([np.nan, *A_MISSING[1:]]),
    np.array([None, *A_MISSING[1:]]),
    pd.Series([None, *A_MISSING[1:]]),
    pd.Series([None, *A_MISSING[1:]], dtype="string"),
    pd.Series([None, *A_MISSING[1:]], index=range(28, 56)).astype("category"),
    pd.Categorical([None, *A_MISSING[1:]]),
    pd.Series([None, *np.arange(28)[1:] % 2], dtype="Int64"),
    np.array(["NaT", *["2020"] * 27], "datetime64[Y]"),
]


@pytest.mark.parametrize("labels", MISSING, ids=map(str, range(len(MISSING))))
def test_a_missing_label_is_no_class(labels: Any):
    with pytest.raises(UserError, match=r"labels must not be missing, found .* in row 0 \(1 in all\)"):
        tabulate(labels)


def test_a_class_called_as_missing_values_are_is_named():
    scored = score_arrays(**given(labels=["nan", "a"] * 14))
    assert "a class is called 'nan', as missing labels are once they are texts" in scored.notes


def test_embeddings_of_zeros_are_counted():
    stem = arrays()["stem"]
    stem[[2, 5]] = 0
    [note] = [
        note for note in score_arrays(**given(stem=stem, measure=measure(normalize="l2"))).notes if "zeros" in note
    ]
    assert note.startswith("split 'unseen': up to 2 images have an embedding of zeros, in the layers stem: ")
    assert not [note for note in score_arrays(**given(stem=stem)).notes if "zeros" in note]


HUGE, NAN = arrays()["stem"] * np.float32(1e30), arrays()["stem"] * np.nan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": np.zeros(28, int)}, r"labels must have at least 2 classes, .* found '0' \(28\)"),
        ({"labels": np.arange(28) // 27}, r"every class at least 2 images, found '1' \(1\); remove classes"),
        ({"labels": np.ones(28)}, r"or whole numbers, found 1.0; give np.asarray\(labels\).astype\(int\)"),
        ({"labels": np.full(28, 0.5)}, "found 0.5; give classes, not measures"),
        ({"labels": [b"a", b"b"] * 14}, r"found b'a'; give \[each.decode\(\) for each in labels\]"),
        ({"labels": ["a", "b "] * 14 + ["b"] * 2}, r"labels: names of classes must not look alike, found 'b ' and 'b'"),
        ({"labels": ["\u00e9", "e\u0301"] * 14}, "names of classes must not look alike"),
        ({"labels": ["a", "\u200b"] * 14}, "must be visible texts"),
        ({"labels": (each for each in "ab")}, "one entry for each image, found generator; give a list or an array"),
        ({"labels": np.eye(28)}, r"found the shape \(28, 28\); for one-hot rows give np.argmax\(labels, axis=1\)"),
        ({"labels": [], "layers": {}}, "labels must have one entry for each image, found none: there are no images"),
        ({"labels": np.ma.masked_equal(np.arange(28) // 14, 0)}, "labels must have no masked values"),
        ({"stem": np.ma.masked_equal(np.ones((28, 2)), 1)}, "'stem' must have no masked values"),
        ({"groups": ["a", None] * 14}, r"groups must not be missing, found None in row 1 \(14 in all\)"),
        (
            {"labels": np.ones((28, 1), int)},
            r"labels must have one entry for each .* shape \(28, 1\); give np.ravel\(labels\)",
        ),
        ({"labels": None}, r"labels must have one entry for each image, found NoneType;"),
        ({"stem": [[1, 2], [3]]}, "layer 'stem' must be an array, found list: "),
        (
            {"stem": csr_matrix(np.ones((28, 2)))},
            r"'stem' must be a dense array, found csr_matrix; give `.toarray\(\)`",
        ),
        (
            {"stem": torch.ones(28, 2, dtype=torch.bfloat16)},
            r"'stem' must be an array, found Tensor: .*; give `.detach\(\).float\(\).cpu\(\).numpy\(\)` of it",
        ),
        ({"labels": ["a", ""] * 14}, "without control characters .* found ''"),
        ({"labels": ["a", "b\r"] * 14}, r"found 'b\\r'"),
        ({"labels": arrays()["labels"][1:]}, "a row for each label: layer 'stem' has 28, labels 27"),
        ({"groups": ["a"] * 27}, "groups must have one entry per label, 28, found 27"),
        ({"ids": ["a"] * 28}, "ids must list each image once, found 'a' twice"),
        ({"seen": [True] * 28}, "every fold must have images from unseen classes"),
        ({"seen": np.arange(28) % 2 > 0}, "a class must be seen or unseen, found 'unseen0' in two"),
        ({"folds": np.arange(28) % 2}, "a class must be unseen in one fold .* found 'unseen0' in two"),
        ({"folds": np.repeat([0.1, 0.2], 14)}, "folds must be .* or whole numbers, found 0.1"),
        ({"seen": ["True", "False"] * 14}, "seen must be booleans, found object"),
        ({"layers": {}}, "there must be a layer"),
        (
            {"stem": np.ones((28, 2, 2))},
            r"'stem' must be \(images, features\), .* shape \(28, 2, 2\)",
        ),
        ({"stem": np.ones((28, 2)).astype(str)}, "real numbers .* found <U32"),
        ({"layers": {3: np.ones((28, 2))}}, "a layer's name must have .* found 3; rename"),
        ({"a@mean": np.ones((28, 2))}, "a layer's name must have .* found 'a@mean'; rename"),
        (
            {"stem": pd.DataFrame(arrays()["stem"]), "labels": pd.Series(arrays()["labels"])[::-1]},
            r"'stem' must have the index of labels in the same order, found another; sort both alike",
        ),
        ({"stem": NAN}, r"'stem' must be finite, found NaN in row \d+"),
        ({"stem": HUGE}, r"its longest embedding from 1e-18 to 1e\+18, found "),
        ({"stem": arrays()["stem"] * np.float32(1e-30)}, r"its longest embedding from 1e-18 to 1e\+18, found "),
        ({"dataset": "a-b"}, "dataset may have only letters, digits and `_`, found 'a-b'"),
        ({"worthwhile_gain": -1}, "worthwhile_gain must be a number >= 0, found -1"),
    ],
)
def test_what_is_wrong_is_one_sentence(changes: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        score_arrays(**given(**changes))


@pytest.mark.parametrize("classes", [9, 10])
def test_halves_are_fitted_where_their_intervals_are_shown_and_for_the_tables(classes, tmp_path):
    random = np.random.default_rng(0)
    y = np.repeat(np.arange(classes), 8)
    layers = {name: random.normal(size=(classes, 6))[y] + random.normal(size=(len(y), 6)) for name in ("a", "b")}
    result = score_arrays(layers, y, measure=measure(metrics=["nmi"]))
    (one, _), halves = result._scored.found.values(), REFITS["halves"]
    assert len(one.refits["nmi"]) == (classes if classes == 10 else classes + halves)
    assert result.recommend("discovery").scope == ("classes" if classes == 10 else "images")
    write_result(tmp_path, result, measure=measure(), aggregate=AGGREGATE, command="", workers=1)
    kept = pd.read_parquet(next(tmp_path.glob("measures/*/*/0/0/refits.parquet")))
    nmi = kept[(kept["metric"] == "nmi") & (kept["layer"] == "a")]
    assert nmi["kind"].value_counts().to_dict() == {"class": classes, "half": halves}
    np.testing.assert_array_equal(nmi["value"][: len(one.refits["nmi"])], one.refits["nmi"])


def test_in_waves_a_layer_is_clustered_once_and_all_numbers_are_the_same(monkeypatch):
    random = np.random.default_rng(0)
    y = np.repeat(np.arange(10), 8)
    layers = {name: random.normal(size=(10, 6))[y] + random.normal(size=(len(y), 6)) for name in ("a", "b")}
    calls, inner = [], embedded_split.searched_partitions
    monkeypatch.setattr(embedded_split, "searched_partitions", lambda *a: calls.append(1) or inner(*a))
    at_once, in_waves = (
        score(layers, y, metrics=["nmi", "map_at_r"], **more) for more in ({}, {"on_scores": lambda table: None})
    )
    assert len(calls) == 2 * len(layers)
    for place, one in at_once._scored.found.items():
        other = in_waves._scored.found[place]
        for name in ("nmi", "map_at_r"):
            assert one.scores[name].value == other.scores[name].value
            np.testing.assert_array_equal(one.refits[name], other.refits[name])
