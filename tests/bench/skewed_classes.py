"""How often intervals and bounds over other classes hold where classes are unlike each other, or scores near a limit.

Nothing is embedded: each class has a score at each layer, and a layer's score is the mean over its classes. Of what is
not drawn from a normal distribution:

- *rare*: most classes score 0.99 and a share of them 0.4;
- *leads*: the better of two layers gains 0.4 in a share of the classes and nothing in the others;
- *equal*: an earlier layer loses 0.3 in a share of the classes and gains as much in the others together, so that
  neither layer is better;
- *near_limit*: log-odds of classes are normal, and the best of five layers scores 0.9 to 0.99 on average;
- *accuracy*: the same of networks' accuracy on ten images of each class, seen in all folds but one.

Networks of one fold are measured as they are.

    python -m tests.bench.skewed_classes
"""

import argparse
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit

from stages.core.inference.accuracy import mean_over_classes
from stages.core.inference.contrasts import Inference
from stages.core.inference.layer_comparison import best_against, losses_at_most, move_log_odds, score_intervals
from stages.core.inference.refitted import Refits
from stages.core.inference.scopes import MIN_FOLDS, over_classes
from stages.core.scores.catalogue import SCORES

SCORE = SCORES["map_at_r"]
DESIGNS = [(1, 12), (1, 20), (1, 25), (3, 5), (4, 5), (5, 5)]
"""Folds and unseen classes of each."""
SHARES, BEST = (0.12, 0.2, 0.3), (0.9, 0.97, 0.99)
"""Shares of the classes that are unlike the others, and scores of the best layer."""

BEHIND = np.array([0.8, 0.2, 0.0, 0.3, 1.1])
"""How far layers are behind the best, in log-odds; the last one in its place."""
CLASSES, IMAGES = 1.5, 0.5
"""Standard deviations of a class's log-odds: of all layers alike, and of each by itself."""
PER_CLASS, FOLD = 10, 0.3
"""Test images of a class, and the standard deviation of what moves all of a fold alike."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000, help="of each design")
    studies = parser.parse_args().studies
    for kind, parameters in KINDS.items():
        print(f"\n{kind.__name__}\n{pd.DataFrame(rows(kind, parameters, studies)).to_string(index=False)}", flush=True)


def rows(kind: Callable[..., dict[str, bool]], parameters: tuple[float, ...], studies: int) -> Iterator[dict]:
    """Shares of studies in which statements hold, of every design and share, or score of the best layer."""
    name = "unlike" if parameters == SHARES else "best"
    for folds, classes in DESIGNS:
        for parameter in parameters if folds >= MIN_FOLDS or kind is not accuracy else ():
            random = np.random.default_rng(0)
            held = pd.DataFrame([kind(random, folds, classes, parameter) for _ in range(studies)])
            design = {"folds": folds, "classes": classes, name: parameter}
            none = {"none drawn": round((1 - parameter) ** (folds * classes), 3)} if name == "unlike" else {}
            yield design | held.mean().round(3).to_dict() | none


def study(scores: np.ndarray) -> Inference:
    """What is known of the layers of one study from the scores of its classes, (J, K, L)."""
    J, K, L = scores.shape
    without = (scores.sum(axis=1, keepdims=True) - scores) / (K - 1)
    curves = tuple((f"{layer}", "mean") for layer in range(L))
    none = np.zeros((J, 1, 0, L))
    return over_classes(Refits(curves, scores.mean(axis=1)[:, None], without[:, None], none, SCORE, None, J == 1))


def rare(random: np.random.Generator, J: int, K: int, share: float) -> dict[str, bool]:
    hard, noise = random.random((J, K, 1)) < share, random.standard_normal((J, K, 1))
    inference = study(np.where(hard, 0.4 + 0.1 * noise, np.minimum(0.99 + 0.004 * noise, 1)))
    low, high = score_intervals(inference, SCORE)[0][:, 0]
    truth = 0.99 - 0.59 * share
    return {"interval": low <= truth <= high, "truth below": truth < low}


def leads(random: np.random.Generator, J: int, K: int, share: float) -> dict[str, bool]:
    hard = random.random((J, K, 1)) < share
    inference = study(np.where(hard, [0.8, 0.4], 0.97) + 0.03 * random.standard_normal((J, K, 2)))
    bounds = best_against(inference)
    assert bounds is not None
    return {"at least": bounds.low <= 0.4 * share, "at most": bounds.high >= 0.4 * share}


def equal(random: np.random.Generator, J: int, K: int, share: float) -> dict[str, bool]:
    gain = np.where(random.random((J, K)) < share, -0.3, 0.3 * share / (1 - share))
    inference = study(0.5 + np.stack([gain, np.zeros((J, K))], axis=2) + 0.05 * random.standard_normal((J, K, 2)))
    bounds = best_against(inference)
    assert bounds is not None
    return {"falsely supported": bounds.low > 0, "falsely contradicted": bounds.high < 0}


@cache
def centre(mean: float, deviation: float) -> float:
    """Log-odds about which normal ones have this mean score."""
    return float(brentq(lambda at: mean_score(at, deviation) - mean, -20, 20))


def mean_score(at: float, deviation: float) -> float:
    points, weights = np.polynomial.hermite_e.hermegauss(60)
    return float(weights @ expit(at + deviation * points) / weights.sum())


def near_limit(random: np.random.Generator, J: int, K: int, best: float) -> dict[str, bool]:
    spread = float(np.hypot(CLASSES, IMAGES))
    at = centre(best, spread) - BEHIND
    truth = np.array([mean_score(each, spread) for each in at])
    noise = CLASSES * random.standard_normal((J, K, 1)) + IMAGES * random.standard_normal((J, K, len(at)))
    inference = study(expit(at + noise))
    chosen, lead, lost = score_intervals(inference, SCORE)[1], best_against(inference), truth.max() - truth
    assert lead is not None
    return {
        "interval": bool(chosen.low <= truth[inference.mean.argmax()] <= chosen.high),
        "at least": lead.low <= lost[-1],
        "at most": lead.high >= lost[-1],
        "losses": bool((losses_at_most(inference) >= lost).all()),
    }


def accuracy(random: np.random.Generator, J: int, K: int, best: float) -> dict[str, bool]:
    C = J * K
    at = centre(best, float(np.hypot(CLASSES, FOLD))) + CLASSES * random.standard_normal(C)
    folds = []
    for fold in range(J):
        seen = np.repeat(np.setdiff1d(np.arange(C), np.arange(fold * K, (fold + 1) * K)), PER_CLASS)
        right = random.random(len(seen)) < expit(at[seen] + FOLD * random.standard_normal())
        index = {"sample_id": [f"{fold} {i}" for i in range(len(seen))], "label": seen, "group": ""}
        folds.append(pd.Series(right.astype(float), pd.MultiIndex.from_frame(pd.DataFrame(index))))
    estimate = mean_over_classes(folds)
    assert estimate is not None
    low, high = move_log_odds(np.array(estimate.value), np.array(estimate.interval()), SCORES["accuracy"])
    return {"interval": bool(low <= best <= high), "truth below": bool(best < low)}


KINDS = {rare: SHARES, leads: SHARES, equal: SHARES, near_limit: BEST, accuracy: BEST}


if __name__ == "__main__":
    main()
