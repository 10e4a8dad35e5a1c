"""Recommendations for one network, as recommendation.json has them."""

from dataclasses import replace

from stages.aggregate.facts import (
    Baseline,
    CandidateRecord,
    ChangeRecord,
    FineTuningRecord,
    LayerRecord,
    Recommendation,
    RegretRecord,
    ScopeRecord,
    UntrainedRecord,
)
from stages.core.inference.gain import Gain, Payoff

LEADS = {"classifier": "probe_accuracy", "retrieval": "map_at_r", "discovery": "nmi", "detection": "ood_auroc_knn"}
"""A use and a score that leads it, in the order of recommendations."""


def layer(depth: int, name: str, value: float, share: float | None = None, **columns: object) -> LayerRecord:
    known = {"parameters": 100 * depth, "parameters_share": depth / 8, "operations": None, "operations_share": share}
    known |= {"step": 100} | columns
    return LayerRecord(layer=name, depth=depth, pooling="mean", value=value, **known)


SHORTLIST = [
    layer(3, "blocks.2", 0.37, 0.25, loss_at_most=0.051),
    layer(4, "blocks.3", 0.39, 0.4, loss_at_most=0.055),
    layer(5, "blocks.4", 0.38, 0.6, loss_at_most=0.034),
]
LOWERED = ChangeRecord(change=-0.05, low=-0.08, high=-0.02, scope="classes", status="lowered")
REGRET = [
    RegretRecord(criterion="other_folds", value=0.38, at_most=0.02, at_least=-0.01),
    RegretRecord(criterion="last_layer", value=0.24, at_most=0.16, at_least=0.15),
    RegretRecord(criterion="penultimate", value=0.3, at_most=0.1, at_least=0.08),
    RegretRecord(criterion="tunnel", value=0.34, at_most=0.06, at_least=0.05),
]

OVER_LAST = Gain(estimate=0.14, low=0.03, high=0.25, at_most=0.27, scope="classes", proven=True, status=Payoff.PAYS)
OVER_BEFORE = Gain(
    estimate=0.08, low=-0.02, high=0.17, at_most=0.19, scope="classes", proven=True, status=Payoff.UNDECIDED
)
UNTRAINED = UntrainedRecord(
    layer=layer(2, "blocks.1", 0.3, 0.2, step=0, loss_at_most=0.13),
    gain_over_last=replace(OVER_LAST, estimate=0.21, low=0.12, high=0.3),
)
UNDECIDED = replace(OVER_LAST, low=-0.01, status=Payoff.UNDECIDED)
FOLDS_ALONE = replace(OVER_LAST, at_most=None, proven=False, status=Payoff.UNDECIDED)
TWO_FOLDS = replace(FOLDS_ALONE, low=None, high=None)
OF_LAST = replace(UNDECIDED, estimate=None, low=None, high=None, at_most=0.018)
NOT_WORTH_IT = replace(OF_LAST, status=Payoff.DOES_NOT_PAY)
NONE = Gain()
"""Other gains: the last two of the last layer itself, and not known."""

RECOMMENDATION = Recommendation(
    dataset="handwriting",
    model="a",
    use="discovery",
    metric="nmi",
    better="higher",
    n_folds=4,
    candidate_steps=[0, 100],
    last_depth=8,
    n_seeds=1,
    n_classes=5,
    n_images=2000,
    last_step=100,
    best=CandidateRecord(
        **dict(SHORTLIST[1]), last_value=0.24, accuracy=0.76,
        classes=ScopeRecord(value=0.388, low=0.31, high=0.47, lead=0.14, lead_at_least=0.03, lead_at_most=0.27),
        images=ScopeRecord(value=0.389, low=0.37, high=0.41, lead=0.15, lead_at_least=0.1, lead_at_most=0.18),
    ),
    last_score=0.24,
    gain_over_last=OVER_LAST,
    gain_over_before=OVER_BEFORE,
    untrained=UNTRAINED,
    unbeaten=None,
    doubtful=[],
    chance=0.01,
    shortlist=SHORTLIST,
    shortlist_scope="classes",
    pixels=0.1,
    fine_tuning=FineTuningRecord(
        step=100, change=0.09, low=0.02, high=0.16, scope="classes", status="raised", last=LOWERED
    ),
    regret=REGRET,
    missing=[],
)  # fmt: skip
"""Layer 5 of 9, which ties with layers 4 and 6."""


def recommendation(**fields: object) -> Recommendation:
    """The same with other fields; those of its best candidate go there."""
    of_best = {name: fields.pop(name) for name in set(fields) & set(CandidateRecord.model_fields)}
    return RECOMMENDATION.model_copy(update={"best": RECOMMENDATION.best.model_copy(update=of_best)} | fields)


def every_use(**fields: object) -> list[Recommendation]:
    """One for each use of a network, all with the same layer."""
    return [recommendation(use=use, metric=metric, **fields) for use, metric in LEADS.items()]


def useless(**fields: object) -> Recommendation:
    """A network of which no layer beats raw pixels."""
    unbeaten = Baseline(name="raw_pixels", value=0.5)
    return recommendation(unbeaten=unbeaten, shortlist=[], shortlist_scope=None, **fields)
