"""What a layer gains by scaling it, and two layers joined over a single one.

On the folds on which it was chosen, the best variant looks better than it is. Its gain is therefore that of the best on
all folds but one, measured on the fold left out. Scores are means over seeds. Such gains are correlated, since any two
of them chose on the same folds but one: their variance is corrected as that of cross-validation (Nadeau and Bengio
2003).
"""

from typing import get_args

import numpy as np
import pandas as pd

from stages.aggregate.curves import sign_of
from stages.aggregate.inference.contrasts import Estimate, Float64
from stages.aggregate.inference.scopes import MIN_FOLDS
from stages.aggregate.params import PLAIN, AskedMeasures
from stages.aggregate.recommend.schema import PairRecord, Recommendation, ScalingRecord
from stages.shared.tables.metric_table import Scaling

PAIR = ["layer_a", "layer_b"]


def add_variants(
    found: Recommendation, scalings: pd.DataFrame, joined: pd.DataFrame, measured: AskedMeasures = PLAIN
) -> Recommendation:
    """Put beside a recommendation what scaling its layer gains, and what two layers together gain.

    Args:
        found: the recommendation.
        scalings, joined: the tables of these analyses, of all cells; may be empty.
        measured: what the scores are of.
    """
    found = found.model_copy(update={"normalize": measured.normalize, "neighbours": measured.neighbours})
    return found.model_copy(update={"scaling": scaling_of(found, scalings), "pair": pair_of(found, joined)})


def scaling_of(found: Recommendation, scalings: pd.DataFrame) -> ScalingRecord | None:
    """Choose the scaling of the recommended layer; None where the use's score was not measured of scaled rows there."""
    best, rows = found.best, _of_use(found, scalings)
    rows = rows[(rows["layer"] == best.layer) & rows["pooling"].isin(best.pooling.split("+"))]
    scaled = sorted(get_args(Scaling), key=lambda each: each != found.normalize)
    table = _by_fold(rows, "scaling").reindex(columns=scaled)  # (J, 3), first what gains are measured against
    if table.empty or table.isna().any(axis=None):
        return None
    gains, means = _turned(found, table), table.mean()
    chosen: Scaling = scaled[int(gains.mean(axis=0).argmax())]
    gain = float((chosen_elsewhere(gains) - gains[:, 0]).mean()) if len(gains) > 1 else None
    recommended: Scaling = chosen if gain is not None and gain > 0 else found.normalize
    return ScalingRecord(best=chosen, value=means[chosen], gain=gain, recommended=recommended)


def pair_of(found: Recommendation, joined: pd.DataFrame) -> PairRecord | None:
    """Choose two layers to join; None where the use's score was not measured of pairs at the recommended checkpoint."""
    rows = _of_use(found, joined)
    options = pd.MultiIndex.from_frame(rows[PAIR].drop_duplicates())
    table = _by_fold(rows, PAIR).reindex(columns=options)
    pairs, single = (table[[(a, b) for a, b in options if (b in ("", a)) == alone]] for alone in (False, True))
    if pairs.empty or table.isna().any(axis=None):
        return None
    gains = _turned(found, pairs)
    layers: tuple[str, str] = pairs.columns.to_numpy()[int(gains.mean(axis=0).argmax())]
    depths = {
        layer: depth for end in "ab" for layer, depth in zip(rows[f"layer_{end}"], rows[f"depth_{end}"], strict=True)
    }
    J, shown = len(gains), {}
    if J > 1:
        differences = chosen_elsewhere(gains) - chosen_elsewhere(_turned(found, single))
        shown["gain"] = float(differences.mean())
    if J >= MIN_FOLDS:
        error = float(differences.std(ddof=1) * np.sqrt(1 / J + 1 / (J - 1)))  # they share folds on which they chose
        shown["low"], shown["high"] = Estimate(shown["gain"], error, J - 1).interval()
    return PairRecord(
        layers=layers,
        depths=(int(depths[layers[0]]), int(depths[layers[1]])),
        value=float(pairs[layers].mean()),
        **shown,
        recommended=shown.get("low", 0.0) > 0,
    )


def chosen_elsewhere(gains: Float64) -> Float64:
    """Score, on each fold, the option that is best on average over the other folds.

    Args:
        gains: (J, M) of M options, higher being better; J at least 2.

    Returns:
        (J,).
    """
    return np.array([own[np.delete(gains, fold, axis=0).mean(axis=0).argmax()] for fold, own in enumerate(gains)])


def _of_use(found: Recommendation, table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the network, score and checkpoint."""
    wanted = {"dataset": found.dataset, "model": found.model, "metric": found.metric, "step": found.best.step}
    return table[(table[list(wanted)] == pd.Series(wanted)).all(axis=1)]


def _by_fold(rows: pd.DataFrame, options: str | list[str]) -> pd.DataFrame:
    """Means over seeds, (J, M), of the options that were measured."""
    return rows.pivot_table(index="fold", columns=options, values="value", sort=False)


def _turned(found: Recommendation, table: pd.DataFrame) -> Float64:
    return sign_of(found.better) * table.to_numpy(dtype=np.float64)
