"""Whether the main score can be the main one: measured, and choosing a layer."""

from stages.aggregate.curves import Scores
from stages.aggregate.points import best, curves, last_measured
from stages.shared.console import UserError, nearest
from stages.shared.split_names import UNSEEN


def check_main_score(scores: Scores, main_metric: str) -> None:
    """Refuse a main score that chooses no layer, before any long work.

    Args:
        scores: curves averaged over seeds.
        main_metric: the score that the verdict speaks of.

    Raises:
        UserError: it was not measured, has no finite value on unseen classes, or neither high nor low is better.
    """
    known = sorted(scores.curves["metric"].unique())
    if main_metric not in known:
        raise UserError(
            f"aggregate.main_metric: {main_metric!r} was not measured on any layer: {nearest(main_metric, known)}; "
            "choose one of these, or add it to measure.metrics"
        )
    main = scores.curves[scores.curves["main"] & (scores.curves["metric"] == main_metric)]
    for curve in curves(main):
        point, step = curve.iloc[0], last_measured(curve)
        where = f"aggregate.main_metric: {point['dataset']}, {point['model']}: {main_metric}"
        if point["better"] == "neither":
            raise UserError(f"{where} is neither better high nor better low, so that it chooses no layer")
        if best(curve, UNSEEN, step) is None:
            raise UserError(
                f"{where} at step {step} has no finite value at any layer on the split {UNSEEN!r}, so that no layer "
                "can be chosen; choose another score, or look at the embeddings"
            )
