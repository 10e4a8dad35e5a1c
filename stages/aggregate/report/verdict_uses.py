"""What other scores choose, by what they are for: a classifier, retrieval, or discovery of classes."""

from collections.abc import Sequence

from stages.aggregate.curves import MEAN
from stages.aggregate.formatting import harmless
from stages.aggregate.metric_info import metric_name
from stages.aggregate.recommend.schema import Recommendation
from stages.aggregate.report.verdict_choice import best_network, useful_networks
from stages.aggregate.tables.summary import SummaryRow

USES = {"classifier": ("probe_accuracy",), "retrieval": ("knn_purity", "map_at_r"), "discovery": ("nmi",)}
"""A use, and the scores that suit it."""

SHORT = {"probe_accuracy": "linear probe"}
SHORTER = {"probe_accuracy": "probe"}
SHORTEST = {"probe_accuracy": "probe", "knn_purity": "k-NN"}
"""Names of scores where there is little room."""


def uses(rows: Sequence[SummaryRow], found: Sequence[Recommendation]) -> list[str]:
    """Say which layer each use's scores choose, in wordings from long to short; of several datasets, how often.

    Args:
        rows: of summary.csv.
        found: the recommendations.
    """
    datasets = {row.dataset for row in rows}
    chosen = [row for row in rows if row.fold == MEAN and row.main]
    if len(datasets) > 1:
        return _counts(rows, chosen)
    best = best_network(found)
    network = next((row for row in chosen if best is None or row.model == best.model), chosen[0])
    several = len(useful_networks(found)) > 1
    whose = f" of {harmless(network.model)}" if several else ""
    own = {row.metric: row.best_depth + 1 for row in rows if _same_curve(row, network)}
    texts = [_by_use(own, names) for names in (SHORT, SHORTER, SHORTEST)]
    if not texts[0]:
        return [""]
    return [
        f"Best layer{whose} for each use: {texts[0]}.",
        f"Best layer{whose} by use: {texts[0]}",
        f"Layer by use{whose}: {texts[1]}",
        f"Layer by use{whose}: {texts[2]}",
        f"By use: {texts[2]}",
    ]


def _same_curve(row: SummaryRow, network: SummaryRow) -> bool:
    names = ("dataset", "model", "fold", "pooling")
    return all(getattr(row, name) == getattr(network, name) for name in names)


def _by_use(depths: dict[str, int], names: dict[str, str]) -> str:
    said = []
    for use, metrics in USES.items():
        measured = [metric for metric in metrics if metric in depths]
        by_layer: dict[int, list[str]] = {}
        for metric in measured:
            by_layer.setdefault(depths[metric], []).append(names.get(metric, metric_name(metric)))
        said += [f"{use} ({', '.join(of)}) {layer}" for layer, of in by_layer.items()]
    return "; ".join(said)


def _counts(rows: Sequence[SummaryRow], chosen: Sequence[SummaryRow]) -> list[str]:
    """Count the networks for which a use's score chooses another layer than the main score."""
    said, briefly = [], []
    for use, metrics in USES.items():
        counts = [(metric, *_differing(rows, chosen, metric)) for metric in metrics]
        known = [(metric, other, n) for metric, other, n in counts if n]
        said += [f"{use} ({SHORTER.get(metric, metric_name(metric))}) {other} of {n}" for metric, other, n in known]
        briefly += [f"{use} ({SHORTEST.get(metric, metric_name(metric))}) {o} of {n}" for metric, o, n in known[:1]]
    return [f"Another layer by use: {'; '.join(texts)}" if texts else "" for texts in (said, briefly)]


def _differing(rows: Sequence[SummaryRow], chosen: Sequence[SummaryRow], metric: str) -> tuple[int, int]:
    """In how many networks a score has another best layer than the main score, and of how many."""
    mains = {(row.dataset, row.model, row.pooling): row for row in chosen if row.metric != metric}
    own = [row for row in rows if row.metric == metric and row.fold == MEAN]
    pairs = [(row, mains.get((row.dataset, row.model, row.pooling))) for row in own]
    known = [(row, main) for row, main in pairs if main is not None]
    return sum(row.best_depth != main.best_depth for row, main in known), len(known)
