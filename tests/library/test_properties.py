"""The choice is of the data alone: not of their order, a layer's scale, the folder, threads or processes."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stages.library as wl
from tests.workflow import ROOT

CLASSES, EACH = 10, 6
METRICS = ["map_at_r", "nn1_accuracy"]


def drawn(seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.repeat([f"c{number}" for number in range(CLASSES)], EACH)
    centres = random.normal(size=(CLASSES, 8))
    own = np.repeat(centres, EACH, axis=0)
    return {f"l{n}": own + sd * random.normal(size=own.shape) for n, sd in enumerate((3.0, 0.8, 1.5))}, labels


def told(result: wl.Result) -> list[wl.Recommendation]:
    return [result.recommend(use) for use in result.uses]


def score(layers, labels) -> wl.Result:
    return wl.score(layers, labels, metrics=METRICS)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 99), st.randoms(use_true_random=False), st.sampled_from([1e-3, 4.0, 1e5]))
def test_order_and_scale_change_no_recommendation(seed, random, scale):
    layers, labels = drawn(seed)
    order = random.sample(range(len(labels)), len(labels))
    turned = {name: X[order] * (scale if name == "l1" else 1.0) for name, X in layers.items()}
    before, after = told(score(layers, labels)), told(score(turned, labels[order]))
    for one, other in zip(before, after, strict=True):
        assert (one.layer, one.status, one.ties) == (other.layer, other.status, other.ties)
        numbers = [(each.score, each.gain, each.gain_low, each.gain_high) for each in (one, other)]
        assert np.array(numbers[0], float) == pytest.approx(np.array(numbers[1], float), abs=1e-6, nan_ok=True)


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 99), st.permutations(range(CLASSES)))
def test_names_of_classes_change_no_score(seed, names):
    layers, labels = drawn(seed)
    renamed = np.array([f"c{names[int(label[1:])]}" for label in labels])
    before, after = score(layers, labels), score(layers, renamed)
    assert after.table.to_numpy() == pytest.approx(before.table.to_numpy(), abs=1e-9)
    assert [each.layer for each in told(before)] == [each.layer for each in told(after)]


def test_two_threads_another_folder_and_a_pickle_give_the_same(tmp_path):
    given_arrays = [drawn(0), drawn(1)]
    alone = [score(*each) for each in given_arrays]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda each: score(*each), given_arrays))
    (tmp_path / "given.pickle").write_bytes(pickle.dumps(given_arrays[0]))
    program = (
        f"import pickle, sys; sys.path.insert(0, {str(ROOT)!r}); import stages.library as wl; "
        f"layers, labels = pickle.load(open('given.pickle', 'rb')); "
        f"pickle.dump(wl.score(layers, labels, metrics={METRICS}), open('result.pickle', 'wb'))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    elsewhere = pickle.loads((tmp_path / "result.pickle").read_bytes())
    for one, other in zip([*alone, alone[0]], [*together, elsewhere], strict=True):
        assert told(one) == told(other)
        assert one.table.equals(other.table)
