"""How often intervals and bounds over other classes hold where a few classes are unlike the others.

Nothing is embedded: each class has a score at each layer, and a layer's score is the mean over its classes. In *rare*
most classes score 0.99 and a share of them 0.4; in *leads* the better layer gains 0.4 in a share of the classes and
nothing in the others; in *equal* an earlier layer loses 0.3 in a share and gains as much in the others together, so
that neither layer is better. Networks of one fold are measured as they are.

    python -m tests.bench.skewed_classes
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from stages.aggregate.inference.contrasts import Inference
from stages.aggregate.inference.layer_comparison import best_against, score_intervals
from stages.aggregate.inference.network_data import Refits
from stages.aggregate.inference.scopes import over_classes
from stages.measure.metrics import SCORES

SCORE = SCORES["map_at_r"]
DESIGNS = [(1, 12), (1, 20), (1, 25), (3, 5), (4, 5), (5, 5)]
"""Folds and unseen classes of each."""
SHARES = 0.12, 0.2, 0.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000, help="of each design")
    studies = parser.parse_args().studies
    for kind, statements in ((rare, rare_holds), (leads, leads_hold), (equal, equal_holds)):
        print(f"\n{kind.__name__}\n{pd.DataFrame(rows(kind, statements, studies)).to_string(index=False)}", flush=True)


def rows(kind: Callable[..., np.ndarray], holds: Callable[..., dict[str, bool]], studies: int) -> Iterator[dict]:
    """Shares of studies in which statements hold, of every design and share of classes that are unlike the others."""
    for folds, classes in DESIGNS:
        for share in SHARES:
            random = np.random.default_rng(0)
            held = pd.DataFrame([holds(study(kind(random, folds, classes, share)), share) for _ in range(studies)])
            design = {"folds": folds, "classes": classes, "unlike": share}
            yield design | held.mean().round(3).to_dict() | {"none drawn": round((1 - share) ** (folds * classes), 3)}


def study(scores: np.ndarray) -> Inference:
    """What is known of the layers of one study from the scores of its classes, (J, K, L)."""
    J, K, L = scores.shape
    without = (scores.sum(axis=1, keepdims=True) - scores) / (K - 1)
    curves = tuple((f"{layer}", "mean") for layer in range(L))
    none = np.zeros((J, 1, 0, L))
    return over_classes(Refits(curves, scores.mean(axis=1)[:, None], without[:, None], none, SCORE, None, J == 1))


def rare(random: np.random.Generator, J: int, K: int, share: float) -> np.ndarray:
    """Scores of classes of which some are hard, (J, K, 1)."""
    hard, noise = random.random((J, K, 1)) < share, random.standard_normal((J, K, 1))
    return np.where(hard, 0.4 + 0.1 * noise, np.minimum(0.99 + 0.004 * noise, 1))


def rare_holds(inference: Inference, share: float) -> dict[str, bool]:
    low, high = score_intervals(inference, SCORE)[0][:, 0]
    truth = 0.99 - 0.59 * share
    return {"interval": low <= truth <= high, "truth below": truth < low}


def leads(random: np.random.Generator, J: int, K: int, share: float) -> np.ndarray:
    """Scores of classes of which some gain by the first layer, (J, K, 2)."""
    hard = random.random((J, K, 1)) < share
    return np.where(hard, [0.8, 0.4], 0.97) + 0.03 * random.standard_normal((J, K, 2))


def leads_hold(inference: Inference, share: float) -> dict[str, bool]:
    truth, bounds = 0.4 * share, best_against(inference)
    assert bounds is not None
    return {"at least": bounds.low <= truth, "at most": bounds.high >= truth}


def equal(random: np.random.Generator, J: int, K: int, share: float) -> np.ndarray:
    """Scores of classes by two layers that are equally good, (J, K, 2)."""
    gain = np.where(random.random((J, K)) < share, -0.3, 0.3 * share / (1 - share))
    return 0.5 + np.stack([gain, np.zeros((J, K))], axis=2) + 0.05 * random.standard_normal((J, K, 2))


def equal_holds(inference: Inference, share: float) -> dict[str, bool]:
    bounds = best_against(inference)
    assert bounds is not None
    return {"falsely supported": bounds.low > 0, "falsely contradicted": bounds.high < 0}


if __name__ == "__main__":
    main()
