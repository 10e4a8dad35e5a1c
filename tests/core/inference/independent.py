"""Inference about other classes, computed contrast by contrast from the definitions: no matrix of covariances.

A contrast of layers is a single score in every fold, of every seed, and without every class. Its variance over folds,
by the jackknife over classes, and over seeds are those of these scores, and a covariance follows from the variances of
a sum and of a difference. The quantile is the multivariate t distribution's of SciPy.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.stats import multivariate_t
from scipy.stats import t as student

LEVEL = 0.95


class Network(NamedTuple):
    values: np.ndarray  # (J, S, L)
    without: np.ndarray  # (J, S, K, L)


def draw(folds, seeds, classes, layers, seed, rise=0.3):
    """Layers that rise to the last but one; folds, classes and training move all layers together, and each a bit."""
    random, shape = np.random.default_rng(seed), (folds, seeds, classes, layers)
    level = 0.3 + rise * np.append(np.linspace(0, 1, layers - 1), 1 / 3)
    fold = random.normal(0, 0.02, (folds, 1, 1)) + random.normal(0, 0.02, (folds, 1, layers))
    values = level + fold + random.normal(0, 0.01, (folds, seeds, layers))
    one_class = random.normal(0, 0.01, (folds, 1, classes, 1)) + random.normal(0, 0.006, (folds, 1, classes, layers))
    return Network(values, values[:, :, None] + one_class + random.normal(0, 0.002, shape))


def score(networks, weights):
    """Value of a contrast over the layers of all networks, and its variance between folds and as explained."""
    ends = np.cumsum([network.values.shape[2] for network in networks])
    parts = np.split(np.asarray(weights, dtype=float), ends[:-1])
    J, K = networks[0].without.shape[0], networks[0].without.shape[2]
    folds, explained = [], 0.0
    for j in range(J):
        folds.append(sum(float(np.mean(n.values[j] @ w)) for n, w in zip(networks, parts, strict=True)))
        left_out = [
            sum(float(np.mean(n.without[j, :, k] @ w)) for n, w in zip(networks, parts, strict=True)) for k in range(K)
        ]
        explained += (K - 1) * float(np.var(left_out))
        for n, w in zip(networks, parts, strict=True):
            trained = n.values[j] @ w
            explained += float(np.var(trained, ddof=1)) / len(trained) if len(trained) > 1 else 0.0
    return float(np.mean(folds)), float(np.var(folds, ddof=1)) / J, explained / J**2


def covariances(networks, contrasts, which):
    """Covariances of contrasts, between folds (1) or as explained (2)."""
    matrix = np.diag([score(networks, c)[which] for c in contrasts])
    for i, j in combinations(range(len(contrasts)), 2):
        both, apart = (score(networks, contrasts[i] + sign * contrasts[j])[which] for sign in (1, -1))
        matrix[i, j] = matrix[j, i] = (both - apart) / 4
    return matrix


class Family(NamedTuple):
    value: np.ndarray
    error: np.ndarray
    df: float
    correlation: np.ndarray

    def take(self, kept):
        return Family(self.value[kept], self.error[kept], self.df, self.correlation[np.ix_(kept, kept)])


def family(networks, contrasts):
    """Several contrasts, whose variance is as explained up to a factor, the folds', or their own between folds."""
    value, between, _ = np.transpose([score(networks, c) for c in contrasts])
    covariance = covariances(networks, contrasts, 2)
    explained = np.diag(covariance)
    variance = explained * between.sum() / explained.sum()
    df = (len(networks[0].values) - 1) * max(1.0, explained.sum() ** 2 / (covariance**2).sum())
    correlation = covariance / np.sqrt(np.outer(explained, explained))
    return Family(value, np.sqrt(np.maximum(variance, between)), df, correlation)


def quantile(found, level=LEVEL):
    """Quantile of the largest of a family's errors, each over its standard error; the correlation shrunk by a tenth."""
    C = len(found.value)
    if C == 1:
        return student.ppf(level, found.df)
    t = multivariate_t(shape=0.9 * found.correlation + 0.1 * np.eye(C), df=found.df, seed=0)
    return brentq(lambda q: t.cdf(np.full(C, q), maxpts=4_000 * C) - level, 0, 8, xtol=1e-3)


def lead_of(networks, candidates, control):
    """The best of some layers less another: its lower and upper bound, and an estimate of it."""
    each = np.eye(sum(network.values.shape[2] for network in networks))
    means = np.array([score(networks, each[candidate])[0] for candidate in candidates])
    best = int(means.argmax())
    behind = family(networks, [each[candidates[best]] - each[c] for c in candidates if c != candidates[best]])
    found = family(networks, [each[candidate] - each[control] for candidate in candidates])

    def bound(level, screened):
        kept = np.insert(behind.value <= student.ppf(screened, behind.df) * behind.error, best, True)
        chosen = found.take(np.flatnonzero(kept))
        return (chosen.value - quantile(chosen, level) * chosen.error).max()

    low, value = bound(LEVEL, 0.99), bound(0.5, 0.95)
    return low, (found.value + student.ppf(LEVEL, found.df) * found.error).max(), value


def expected_of_layers(network):
    """All that is said about the layers of one network, the last of which is the control."""
    L = network.values.shape[2]
    each = np.eye(L)
    alone, last = family([network], each), family([network], each[:-1] - each[-1])
    half = student.ppf((1 + LEVEL) / 2, alone.df) * alone.error
    leads = [lead_of([network], [layer for layer in range(L) if layer != control], control) for control in range(L)]
    return {
        "mean": alone.value.tolist(),
        "shape": covariances([network], each, 2).tolist(),
        "between": covariances([network], each, 1).tolist(),
        "ci": [(alone.value - half).tolist(), (alone.value + half).tolist()],
        "contrasts": [last.value.tolist(), (student.ppf((1 + LEVEL) / 2, last.df) * last.error).tolist()],
        "df": last.df,
        "quantile": quantile(last),
        "lead": leads[-1],
        "ties": [bool(low <= 0) for low, _, _ in leads],
    }


def expected_of_two(first, second):
    """Difference of two networks' best layers without their optimism, its standard error and degrees of freedom."""
    best = [int(n.values.mean(axis=(0, 1)).argmax()) for n in (first, second)]
    A, B = first.values.shape[2], second.values.shape[2]
    each, networks = np.eye(A + B), [first, second]
    pairs = family(networks, [each[i] - each[A + k] for i in range(A) for k in range(B)])
    index = best[0] * B + best[1]
    plain = pairs.value[index]
    of_first = plain - lead_of(networks, list(range(A)), A + best[1])[2]
    of_second = -plain - lead_of(networks, list(range(A, A + B)), best[0])[2]
    error = np.sqrt(pairs.error[index] ** 2 + (of_first**2 + of_second**2) / 2)
    return [plain - of_first + of_second, error, pairs.df]


def layer_cases():
    """Random scores of one network with what should be said about its layers."""
    shapes = {
        "four folds, two seeds": (4, 2, 5, 5),
        "four folds, one seed": (4, 1, 5, 5),
        "three folds, two seeds, ten classes": (3, 2, 10, 4),
        "eight folds, one seed, four classes": (8, 1, 4, 4),
    }
    networks = {name: draw(*shape, seed) for seed, (name, shape) in enumerate(shapes.items())}
    return [{"name": name, **n._asdict(), "expected": expected_of_layers(n)} for name, n in networks.items()]


def network_cases():
    """The same of two networks and what should be said about their best layers."""
    pairs = {
        "four folds, two and three seeds": (draw(4, 2, 5, 4, 10), draw(4, 3, 5, 3, 11)),
        "flat layers, from whose best something is taken off": (draw(4, 2, 5, 4, 10, 0.01), draw(4, 3, 5, 3, 11, 0.01)),
    }
    return [
        {"name": name, "first": a._asdict(), "second": b._asdict(), "expected": expected_of_two(a, b)}
        for name, (a, b) in pairs.items()
    ]


def expected_gain(networks, named, control):
    """What the named candidate gains over a control: its estimate, both ends, and at most any candidate's gain.

    Candidates are the networks' layers, a network for each checkpoint, and folds set the level of their errors.
    """
    each = np.eye(sum(network.values.shape[2] for network in networks))
    others = [candidate for candidate in range(len(each)) if candidate != control]
    means = np.array([score(networks, each[candidate])[0] for candidate in others])
    best = int(means.argmax())
    assert others[best] == named
    behind = family(networks, [each[named] - each[c] for c in others if c != named])
    found = family(networks, [each[candidate] - each[control] for candidate in others])
    kept = np.insert(behind.value <= student.ppf(0.99, behind.df) * behind.error, best, True)
    low = found.value[best] - quantile(found.take(np.flatnonzero(kept))) * found.error[best]
    upper = found.value + student.ppf(0.985, found.df) * found.error
    return max(low, lead_of(networks, others, control)[2]), low, upper[best], upper[kept].max()


def chosen_on_other_folds(gains, control):
    """What the best of all candidates on the other folds gains over a control on each fold, mean over folds."""
    flat = gains.reshape(len(gains), -1)
    found = []
    for fold in range(len(flat)):
        chosen = max(range(flat.shape[1]), key=lambda c: sum(flat[j, c] for j in range(len(flat)) if j != fold))
        found.append(flat[fold, chosen] - flat[fold, control])
    return sum(found) / len(found)
