"""What two layers joined gain over a single one, the rows of each scaled to length 1.

On the folds on which it was chosen, the best pair looks better than it is. Its gain is therefore that of the best on
all folds but one, measured on the fold left out. Scores are means over seeds. Such gains are correlated, since any two
of them chose on the same folds but one: their variance is corrected as that of cross-validation (Nadeau and Bengio
2003).
"""

import numpy as np
import pandas as pd

from stages.aggregate.curves import sign_of
from stages.aggregate.inference.contrasts import Estimate, Float64
from stages.aggregate.inference.scopes import MIN_FOLDS
from stages.aggregate.recommend.schema import PairRecord, Recommendation

PAIR = ["layer_a", "layer_b"]


def pair_of(found: Recommendation, joined: pd.DataFrame) -> PairRecord | None:
    """Choose two layers to join; None where the use's score was not measured of pairs at the recommended checkpoint.

    Args:
        found: the recommendation.
        joined: the table of this analysis, of all cells; may be empty.
    """
    wanted = {"dataset": found.dataset, "model": found.model, "metric": found.metric, "step": found.best.step}
    rows = joined[(joined[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    options = pd.MultiIndex.from_frame(rows[PAIR].drop_duplicates())
    table = rows.pivot_table(index="fold", columns=PAIR, values="value", sort=False).reindex(columns=options)
    pairs, single = (table[[(a, b) for a, b in options if (a == b) == alone]] for alone in (False, True))
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


def _turned(found: Recommendation, table: pd.DataFrame) -> Float64:
    return sign_of(found.better) * table.to_numpy(dtype=np.float64)
