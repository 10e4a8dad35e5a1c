"""Finding (ii), "deeper is not always better": does a layer before the last represent unseen classes better?"""

from collections.abc import Sequence

from stages.aggregate.formatting import estimate, joined, layers, number, place
from stages.aggregate.metric_info import metric_name
from stages.aggregate.report.status import Status, beaten_by
from stages.aggregate.tables.summary import SummaryRow

CLAIM = "(ii) Deeper is not always better"
CAUTION = (
    "A lead is the best layer's over the last: chosen on one half of the images, compared on the other, mean over many "
    "splits (can be negative). Brackets: {intervals} over images of these classes, the trained networks, clusters, "
    "neighbours and folds as they are. Class subsets leave some of these classes out; other classes, or training "
    "again, may change more."
)

REASONS: dict[Status, str] = {
    "supported": "the lead is above 0",
    "contradicted": "no earlier layer leads",
    "inconclusive": "the interval of the lead includes 0",
    "cannot be judged": "no lead was computed",
}


def status(row: SummaryRow) -> Status:
    """Say of one network whether an earlier layer is better than the last."""
    if row.lead_low is None or row.lead_high is None or row.last_depth == 0:
        return "cannot be judged"
    if row.best_is_last:
        return "contradicted" if row.best_depths == [row.last_depth] or row.lead_high <= 0 else "inconclusive"
    return "supported" if row.lead_low > 0 else "contradicted" if row.lead_high <= 0 else "inconclusive"


def summary(rows: Sequence[SummaryRow]) -> str:
    """Name the networks of one dataset (main rows of summary.csv) for which the claim is supported, and so on."""
    statuses = {row.model: status(row) for row in rows}
    parts = [
        f"{word} for {joined(models)} ({reason})"
        for word, reason in REASONS.items()
        if (models := [model for model, found in statuses.items() if found == word])
    ]
    return f"{'; '.join(parts)}.{_weak(rows)}"


def details(rows: Sequence[SummaryRow]) -> list[str]:
    """Give each network's best layer, its lead, the layers like it, and how other class subsets score it."""
    return [" ".join(part for part in (_best(row), _best_set(row), _subsets(row)) if part) for row in rows]


def _weak(rows: Sequence[SummaryRow]) -> str:
    weak = [f"{row.model} does not beat {level}" for row in rows if (level := beaten_by(row))]
    return f" Note that {joined(weak)}." if weak else ""


def _best(row: SummaryRow) -> str:
    name = f"`{row.best_layer}`, the last" if row.best_is_last else f"`{row.best_layer}`"
    score = estimate(row.unseen, row.ci_images_low, row.ci_images_high, sd=row.unseen_sd)
    where = f"layer {place(row.best_depth, row.last_depth)} ({name})"
    return f"{row.model}: best at {where}, {metric_name(row.metric)} {score}; {_lead(row)}."


def _lead(row: SummaryRow) -> str:
    if row.lead is None:
        return f"{number(row.last_value)} at the last layer"
    if row.best_is_last and status(row) == "contradicted":
        return "no earlier layer leads it"
    return f"lead {estimate(row.lead, row.lead_low, row.lead_high, sign=True)}"


def _best_set(row: SummaryRow) -> str:
    others = [depth for depth in row.best_depths if depth != row.best_depth]
    if not row.best_depths or row.last_depth == 0:
        return ""
    if not others:
        return "Every other layer is distinguishable from the best (95 %)."
    first = ""
    if row.shallowest_depth is not None and row.shallowest_depth < row.best_depth:
        first = f" The shallowest is {layers([row.shallowest_depth])} (`{row.shallowest_layer}`)."
    return f"Not distinguishable from the best (95 %): {layers(others)}.{first}"


def _subsets(row: SummaryRow) -> str:
    low, high, share = row.range_classes_low, row.range_classes_high, row.subset_agreement
    if low is None or high is None:
        return ""
    best = "" if share is None else f"; best in {100 * share:.0f} % of them"
    return f"Class subsets: {number(low)} to {number(high)}{best}."
