"""Campaign: what people give to `wl.score`; a result that a plain program gives, too, or one message."""

import contextlib
import io
import warnings
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_array

import stages.library as wl
from tests.faults.campaign import Campaign, Place, shuffled
from tests.faults.outcomes import SAME, SENTENCE, Outcome, attempt, expected

CODES = np.arange(48) // 12
WORDS = [f"class {code}" for code in CODES]
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(4, 16))[CODES] + 0.9 * RANDOM.normal(size=(48, 16))


def replaced(values: Any, value: Any, rows: Any = 3) -> Any:
    """A copy in which some rows are another value."""
    copied = [*values] if isinstance(values, list) else np.array(values)
    copied[rows] = value
    return copied


def every(value: Any) -> list[Any]:
    return [value] * len(CODES)


RIGHT_LABELS: dict[str, Callable[[], Any]] = {
    "words": lambda: WORDS,
    "tuple": lambda: (*WORDS,),
    "codes": lambda: CODES,
    "negative codes": lambda: -CODES,
    "codes of 8 bits": lambda: CODES.astype(np.uint8),
    "huge codes": lambda: [10**30 + int(code) for code in CODES],
    "NumPy texts": lambda: np.array(WORDS),
    "objects": lambda: np.array(WORDS, object),
    "list of NumPy numbers": lambda: [*CODES],
    "list of tensors": lambda: [*torch.from_numpy(CODES)],
    "tensor": lambda: torch.from_numpy(CODES),
    "Series": lambda: pd.Series(WORDS, index=RANDOM.permutation(48)),
    "Series of one index": lambda: pd.Series(WORDS, index=every(0)),
    "Categorical": lambda: pd.Categorical(WORDS, categories=[*reversed(pd.unique(pd.Series(WORDS))), "unused"]),
    "Int64": lambda: pd.Series(CODES, dtype="Int64"),
    "string": lambda: pd.Series(WORDS, dtype="string"),
    "Index": lambda: pd.Index(WORDS),
    "words and codes": lambda: [word if code else 0 for word, code in zip(WORDS, CODES, strict=True)],
    "letters of other scripts": lambda: [chr(0x4E00 + code) for code in CODES],
    "marks of HTML": lambda: [f"<b>{code}</b>" for code in CODES],
    "long names": lambda: [f"{'x' * 5000}{code}" for code in CODES],
    "upper and lower case": lambda: ["aAbB"[code] for code in CODES],
    "nothing masked": lambda: np.ma.masked_array(CODES, mask=False),
    "read-only": lambda: np.broadcast_to(CODES, (1, 48))[0],
    "every second": lambda: np.repeat(CODES, 2)[::2],
}
WRONG_LABELS: dict[str, Callable[[], Any]] = {
    **{
        f"{kind.__name__} of {missing!r}": lambda kind=kind, missing=missing: kind(replaced(WORDS, missing))
        for missing in (None, np.nan, pd.NA, pd.NaT)
        for kind in (list, tuple, pd.Series, pd.Index, pd.Categorical)
    },
    "array of NaN and texts": lambda: np.array(replaced(WORDS, np.nan)),
    "objects and None": lambda: np.array(replaced(WORDS, None), object),
    "string and NA": lambda: pd.Series(replaced(WORDS, pd.NA), dtype="string"),
    "Int64 and NA": lambda: pd.Series([None, *CODES[1:]], dtype="Int64"),
    "numbers and None": lambda: pd.Series([None, *CODES[1:]]),
    "dates and NaT": lambda: np.array(replaced(every("2020-01-01"), "NaT"), "datetime64[D]"),
    "decimal NaN": lambda: replaced(WORDS, Decimal("nan")),
    "masked": lambda: np.ma.masked_equal(CODES, 2),
    "empty text": lambda: replaced(WORDS, ""),
    "blanks": lambda: replaced(WORDS, "  "),
    "no-break space": lambda: replaced(WORDS, "\u00a0"),
    "zero-width space": lambda: replaced(WORDS, "\u200b"),
    "control character": lambda: replaced(WORDS, "a\x1b[31m"),
    "line end": lambda: replaced(WORDS, "a\nb"),
    "half a character": lambda: replaced(WORDS, "\ud800"),
    "turned writing": lambda: replaced(WORDS, "\u202eb"),
    "blank behind": lambda: replaced(WORDS, "class 0 "),
    "tab before": lambda: replaced(WORDS, "\tclass 0"),
    "NFC and NFD": lambda: ["\u00e9", "e\u0301", "b", "c"] * 12,
    "joiner inside": lambda: replaced(WORDS, "cla\u200dss 0"),
    "floats": lambda: CODES.astype(float),
    "halves": lambda: CODES / 2,
    "infinite": lambda: replaced(CODES.astype(float), np.inf),
    "complex": lambda: CODES * 1j,
    "bytes": lambda: [word.encode() for word in WORDS],
    "array of bytes": lambda: np.array(WORDS, dtype="S"),
    "dates": lambda: pd.date_range("2020", periods=48),
    "decimals": lambda: [*map(Decimal, CODES.tolist())],
    "tuples": lambda: [(word, word) for word in WORDS],
    "dicts": lambda: [{"label": word} for word in WORDS],
    "ragged": lambda: [[0], [0, 1]] * 24,
    "one-hot": lambda: np.eye(4)[CODES],
    "column": lambda: CODES[:, None],
    "DataFrame": lambda: pd.DataFrame({"label": WORDS}),
    "record": lambda: np.zeros(48, [("label", int)]),
    "one class": lambda: every("a"),
    "a class of one": lambda: replaced(WORDS, "alone"),
    "classes of one": lambda: range(48),
    "one too few": lambda: WORDS[1:],
    "one too many": lambda: [*WORDS, "class 0"],
    "none": list,
    "None": lambda: None,
    "a number": lambda: 48,
    "a text": lambda: "abcd" * 12,
    "a set": lambda: {*WORDS},
    "a dict": lambda: dict(enumerate(WORDS)),
    "a generator": lambda: (word for word in WORDS),
    "a map": lambda: map(str, CODES),
}
RIGHT_ARRAYS: dict[str, Callable[[], Any]] = {
    "float64": lambda: X,
    "float16": lambda: X.astype(np.float16),
    "whole numbers": lambda: (X * 100).astype(np.int16),
    "unsigned numbers": lambda: (X * 100 + 999).astype(np.uint16),
    "big-endian": lambda: X.astype(">f8"),
    "by columns": lambda: np.asfortranarray(X),
    "turned around": lambda: X[::-1][::-1],
    "read-only": lambda: np.broadcast_to(X, (1, *X.shape))[0],
    "list of lists": lambda: X.tolist(),
    "tensor": lambda: torch.from_numpy(X),
    "DataFrame": lambda: pd.DataFrame(X, index=RANDOM.permutation(48)),
    "far from 0": lambda: X + 1000,
    "large": lambda: X * 1e16,
    "small": lambda: X * 1e-16,
    "a row of zeros": lambda: replaced(X, 0),
    "rows of zeros": lambda: replaced(X, 0, slice(2, 40, 13)),
    "lengths that differ": lambda: X * np.geomspace(1e-6, 1e6, 48)[:, None],
    "many features": lambda: np.tile(X, 300),
    "two features": lambda: X[:, :2],
    "nothing masked": lambda: np.ma.masked_array(X, mask=False),
}
WRONG_ARRAYS: dict[str, Callable[[], Any]] = {
    "NaN": lambda: replaced(X, np.nan),
    "infinite": lambda: replaced(X, np.inf),
    "beyond float32": lambda: X * 1e30,
    "vanishing": lambda: X * 1e-30,
    "masked": lambda: np.ma.masked_greater(X, 1),
    "objects": lambda: X.astype(object),
    "texts": lambda: X.astype(str),
    "booleans": lambda: X > 0,
    "complex": lambda: X * 1j,
    "dates": lambda: X.astype("datetime64[D]"),
    "a vector": lambda: X[:, 0],
    "maps": lambda: X.reshape(48, 4, 2, 2),
    "no features": lambda: X[:, :0],
    "one row too few": lambda: X[1:],
    "turned": lambda: X.T,
    "ragged": lambda: [[1.0], [1.0, 2.0]] * 24,
    "sparse": lambda: csr_array(X),
    "gradient": lambda: torch.from_numpy(X).requires_grad_(),
    "a number": lambda: 3.0,
    "a text": lambda: "features.npy",
    "None": lambda: None,
    "a generator": lambda: (row for row in X),
    "a network": lambda: torch.nn.Linear(3, 3),
}
WRONG_LAYERS: dict[str, Callable[[], Any]] = {
    "an array": lambda: X,
    "a list": lambda: [X, X],
    "pairs": lambda: [("one", X)],
    "DataFrame": lambda: pd.DataFrame(X),
    "None": lambda: None,
    "a path": lambda: "features.npz",
    "none": dict,
    "pixels only": lambda: {"pixels": X},
    **{f"named {name!r:.20}": lambda name=name: {name: X} for name in (3, None, "", " ", "a/b", "../a", "a@b", "a\nb")},
    **{
        f"named {name!r:.20}": lambda name=name: {name: X}
        for name in ("_a", "x" * 300, b"a", ("a", 0), "\u202ea", "a\0")
    },
}
MORE: dict[str, Callable[[], Any]] = {
    "groups": lambda: {"groups": np.arange(48) % 7},
    "folds": lambda: {"folds": CODES // 2},
    "seen": lambda: {"seen": CODES < 2},
    "seen list": lambda: {"seen": (CODES < 2).tolist()},
}
WRONG_MORE: dict[str, Callable[[], Any]] = {
    "groups missing": lambda: {"groups": replaced(WORDS, None)},
    "groups too few": lambda: {"groups": WORDS[1:]},
    "groups a text": lambda: {"groups": "patient"},
    "groups floats": lambda: {"groups": CODES / 2},
    "folds missing": lambda: {"folds": pd.Series(replaced(WORDS, None))},
    "folds across a class": lambda: {"folds": np.arange(48) % 2},
    "folds a number": lambda: {"folds": 5},
    "seen all": lambda: {"seen": every(True)},
    "seen across a class": lambda: {"seen": np.arange(48) % 2 == 0},
    "seen numbers": lambda: {"seen": (CODES < 2).astype(int)},
    "seen missing": lambda: {"seen": replaced((CODES < 2).tolist(), None)},
    "seen masked": lambda: {"seen": np.ma.masked_array(CODES < 2, mask=CODES == 3)},
    "seen names": lambda: {"seen": ["class 0", "class 1"]},
    "seen leaves one class": lambda: {"seen": CODES < 3},
    "metrics a text": lambda: {"metrics": "nmi"},
    "metrics none": lambda: {"metrics": []},
    "metrics unknown": lambda: {"metrics": ["nim"]},
    "metrics of the head": lambda: {"metrics": ["accuracy"]},
    "metrics twice": lambda: {"metrics": ["nmi", "nmi"]},
    "metrics a number": lambda: {"metrics": [1]},
    "metrics a list in a list": lambda: {"metrics": [["nmi"]]},
    "metrics a set": lambda: {"metrics": {"nmi", "nn1_accuracy"}},
    "metrics a dict": lambda: {"metrics": {"nmi": 1}},
    "metrics a generator": lambda: {"metrics": (name for name in ["nmi"])},
    "metrics not a list": lambda: {"metrics": 3},
    "workers 0": lambda: {"workers": 0},
    "workers a half": lambda: {"workers": 1.5},
    "workers a text": lambda: {"workers": "2"},
}

CASES: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    **{f"labels: {name}": (SAME, lambda of=of: {"labels": of()}) for name, of in RIGHT_LABELS.items()},
    **{f"labels: {name}": (SENTENCE, lambda of=of: {"labels": of()}) for name, of in WRONG_LABELS.items()},
    **{f"array: {name}": (SAME, lambda of=of: {"layers": {"one": of()}}) for name, of in RIGHT_ARRAYS.items()},
    **{
        f"array: wrong, {name}": (SENTENCE, lambda of=of: {"layers": {"one": of()}})
        for name, of in WRONG_ARRAYS.items()
    },
    **{f"layers: {name}": (SENTENCE, lambda of=of: {"layers": of()}) for name, of in WRONG_LAYERS.items()},
    **{f"more: {name}": (SAME, of) for name, of in MORE.items()},
    **{f"more: {name}": (SENTENCE, of) for name, of in WRONG_MORE.items()},
}


def run(trial: str, place: Place) -> Outcome:
    """Score arrays, one of them odd."""
    kind, made = CASES[trial]
    return expected(kind, attempt(lambda: score(made())))


def score(given: Mapping[str, Any]) -> None:
    """Score, and compare with the nearest neighbours by cosine similarity that a plain program finds."""
    asked = {"layers": {"one": X}, "labels": WORDS, "metrics": ["nn1_accuracy"], **given}
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("error")
        found = wl.score(**asked)
        shown = f"{found}{found._repr_html_()}{found.plot()}"
    assert "nan" not in str(found).lower(), shown
    unseen = ~np.asarray(asked.get("seen", np.zeros(48, bool)))
    folds = np.asarray(asked.get("folds", np.zeros(48, int)))
    right = [nearest_is_right(asked["layers"]["one"], unseen & (folds == fold)) for fold in np.unique(folds)]
    value, open_to_chance = float(found.table.loc["one", "nn1_accuracy"]), zero_rows(asked["layers"]["one"]).mean()
    assert abs(value - float(np.mean(right))) < 1e-9 + open_to_chance, f"{value} for {np.mean(right)}"


def nearest_is_right(layer: Any, rows: Any) -> float:
    """Share of images whose nearest other one, of these rows, is of their class; of a row of zeros chance decides."""
    Z = np.asarray(layer).astype(np.float64)[rows]
    lengths = np.linalg.norm(Z, axis=1, keepdims=True)
    Z /= np.where(lengths > 0, lengths, 1)  # scikit-learn takes short rows for rows of zeros
    similar = Z @ Z.T
    np.fill_diagonal(similar, -9)
    return float(np.mean(CODES[rows][similar.argmax(axis=1)] == CODES[rows]))


def zero_rows(layer: Any) -> Any:
    return ~np.asarray(layer).any(axis=1)


CAMPAIGN = Campaign("odd arrays and labels, then score", shuffled(CASES), run, seconds=60)
