"""The sentence above each figure, from the numbers: what the intervals allow to say, and no more.

`These unseen classes` are those that were measured, with these trained networks; `unseen classes` are others of the
domain, too.
"""

from collections.abc import Sequence

import pandas as pd

from stages.aggregate.curves import Row
from stages.aggregate.findings.facts import DepthFinding, FineTuningFinding
from stages.aggregate.metric_info import metric_name
from stages.aggregate.tables.summary import SummaryRow
from stages.aggregate.words.formatting import capitalized, joined, layers, place

UNSURE = "no interval is known"


def layer_message(row: SummaryRow) -> str:
    """Say at which layer one network separates unseen classes best by one score."""
    name = metric_name(row.metric)
    if beaten := row.unbeaten_by(row.unseen):
        return f"No layer separates unseen classes better than {beaten[0]} ({name})"
    if row.last_depth == 0:
        return f"{name} on unseen classes is {row.unseen:.2f} at the one layer that was measured"
    if not row.tied_depths:
        return f"{name} on unseen classes is best at layer {place(row.best_depth, row.last_depth)}; {UNSURE}"
    return f"{_where(row)} ({name})"


def scores_message(rows: Sequence[SummaryRow]) -> str:
    """Say by how many scores one network separates unseen classes best before its last layer.

    Args:
        rows: of one network, one for each score that has a best layer.
    """
    if len(rows) == 1:
        return layer_message(rows[0])
    known, n = [row for row in rows if row.tied_depths], rows[0].last_depth + 1
    if not known:
        best = sorted({row.best_depth for row in rows})
        verb = "is" if len(best) == 1 else "are"
        return f"By {len(rows)} scores, {layers(best)} of {n} {verb} best on unseen classes; {UNSURE}"
    last = [row for row in known if row.tied_depths == [row.last_depth]]
    earlier = [row for row in known if row.last_depth not in row.tied_depths]
    noun = "scores" if len(known) == len(rows) else "scores that have intervals"
    told = [
        f"{where} by {_of(len(own), len(known), noun)}"
        for own, where in ((earlier, f"before the last of {n} layers"), (last, "at the last layer"))
        if own
    ]
    if not told:
        return f"By none of {len(known)} {noun} is a layer shown to separate {_unseen(known)} better than the last"
    rest = len(known) - len(earlier) - len(last)
    return f"{capitalized(_unseen(known))} separate best {joined(told)}" + (f"; by {rest} this is open" if rest else "")


def course_message(curve: pd.DataFrame) -> str:
    """Say how a score of which neither high nor low is better goes from the first layer to the last.

    Args:
        curve: its points on unseen classes at one step.
    """
    points = curve.sort_values("depth")
    first, last = points["value"].iloc[[0, -1]]
    name = capitalized(metric_name(str(points["metric"].iloc[0])))
    return f"{name} of unseen classes goes from {first:.3g} at the first layer to {last:.3g} at the last"


def networks_message(rows: Sequence[SummaryRow], findings: Sequence[DepthFinding]) -> str:
    """Say in how many networks an earlier layer separates unseen classes better than the last.

    Args:
        rows: of one score, one for each network.
        findings: of the same networks.
    """
    if len(rows) == 1:
        return layer_message(rows[0])
    wider = {each.network: next(iter(each.statuses.values()), None) for each in findings}
    statuses = [wider.get(row.model) for row in rows]
    count = {status: statuses.count(status) for status in ("supported", "contradicted", "inconclusive", "out of scope")}
    if not any(count.values()):
        earlier = sum(not row.best_is_last for row in rows)
        return f"The best layer comes before the last in {_of(earlier, len(rows), 'networks')}; {UNSURE}"
    rest = [
        (count["contradicted"], "the last layer is best"),
        (count["inconclusive"], "this is open"),
        (count["out of scope"], "no layer is shown to beat raw pixels"),
        (statuses.count(None), UNSURE),
    ]
    told = "; ".join(f"in {number} {words}" for number, words in rest if number)
    if not count["supported"]:
        return f"An earlier layer is shown to beat the last in none of {len(rows)} networks; {told}"
    head = f"An earlier layer separates {_unseen(rows)} better than the last in"
    return f"{head} {_of(count['supported'], len(rows), 'networks')}" + (f"; {told}" if told else "")


def steps_message(rows: pd.DataFrame, findings: Sequence[FineTuningFinding]) -> str:
    """Say what fine-tuning did to g on unseen classes.

    Args:
        rows: of steps.csv, of one score, one for each network and step.
        findings: of the networks that were measured before and after fine-tuning.
    """
    known = {each.network: next(iter(each.statuses.values()), None) for each in findings}
    known = {network: status for network, status in known.items() if status and network in set(rows["model"])}
    if not known:
        return _course_of_g(rows)
    wide = all("classes" in each.statuses for each in findings if each.network in known)
    classes = "unseen classes" if wide else "these unseen classes"
    if len(known) == 1:
        (status,) = known.values()
        if status == "not distinguishable":
            return f"Fine-tuning did not change g on {classes} distinguishably"
        return f"Fine-tuning {status} g on {classes}"
    counts = [(list(known.values()).count(status), status) for status in ("raised", "lowered")]
    told = [f"{status} g on {classes} in {_of(number, len(known), 'networks')}" for number, status in counts if number]
    rest = len(known) - sum(number for number, _ in counts)
    if not told:
        return f"Fine-tuning changed g on {classes} distinguishably in none of {len(known)} networks"
    return f"Fine-tuning {joined(told)}" + (f"; in {rest} no change is distinguishable" if rest else "")


def robustness_message(rows: pd.DataFrame) -> str:
    """Say under which corruptions raw pixels beat every layer, or else what the best layers keep.

    Args:
        rows: of robustness.csv, of one score, with those of raw pixels (depth -1).
    """
    of_layers = rows[rows["depth"] >= 0].groupby(["corruption", "severity"], sort=False)["value"].max()
    of_pixels = rows[rows["depth"] == -1].groupby(["corruption", "severity"], sort=False)["value"].min()
    lost = [where for where in of_pixels.index if of_pixels[where] > of_layers.get(where, float("inf"))]
    if lost:
        kinds = [f"{kind} (severity {_listed([s for k, s in lost if k == kind])})" for kind in dict(lost)]
        return f"Raw pixels beat every layer shown under {joined(kinds)}"
    best = rows[rows["depth"] >= 0].sort_values("clean").groupby(["model", "corruption", "severity"]).last()
    kept = (best["value"] / best["clean"]).dropna()
    if kept.empty:
        return "Scores of corrupted images"
    low, high = 100 * kept.min(), 100 * kept.max()
    return f"On corrupted images the layers that are best on clean ones keep {low:.0f} to {high:.0f} % of their score"


def pairs_message(depths: Sequence[int], similarities: Sequence[float], classes: str) -> str:
    """Say between which neighbouring layers a representation changes most.

    Args:
        depths: of the layers without the raw pixels, ascending.
        similarities: of each layer and the next.
        classes: whose images these are, `seen` or `unseen`.
    """
    if not len(similarities):
        return f"One layer represents the images of {classes} classes"
    least = min(range(len(similarities)), key=lambda i: similarities[i])
    first, second = depths[least] + 1, depths[least + 1] + 1
    return (
        f"On {classes} classes the representation changes most from layer {first} to {second} of {depths[-1] + 1} "
        f"(CKA {similarities[least]:.2f})"
    )


def _where(row: SummaryRow) -> str:
    """Name the layers among which the best is."""
    tied, n, unseen = row.tied_depths, row.last_depth + 1, _unseen([row])
    if tied == [row.last_depth]:
        return f"{capitalized(unseen)} separate best at the last of {n} layers"
    if len(tied) == n:
        return f"All {n} layers tie: none is shown to separate {unseen} better than the others"
    if row.last_depth in tied:
        return f"Where {unseen} separate best is open: {layers(tied)} of {n} tie, the last among them"
    few = {1: layers(tied), 2: f"layer {tied[0] + 1} or {tied[-1] + 1}"}
    return (
        f"{capitalized(unseen)} separate best at {few.get(len(tied), f'one of {layers(tied)}')} of {n}, not at the last"
    )


def _unseen(rows: Sequence[SummaryRow]) -> str:
    """Whose separation is known: of other classes, or of those measured alone."""
    return "unseen classes" if all(row.tied_classes for row in rows) else "these unseen classes"


def _listed(numbers: Sequence[int]) -> str:
    return joined([str(number) for number in numbers])


def _of(number: int, total: int, noun: str) -> str:
    """Write how many of all: `all 4 scores`, `both scores`, `3 of 4 scores`."""
    if number == total > 1:
        return f"both {noun}" if total == 2 else f"all {total} {noun}"
    return f"{number} of {total} {noun}"


def _course_of_g(rows: pd.DataFrame) -> str:
    """Describe g over training where no interval of its change is known."""
    ends: list[tuple[Row, Row]] = []
    for _, own in rows.sort_values("step").groupby("model", sort=False):
        known = own[own["unseen"].notna()]
        if known["step"].nunique() > 1:
            ends.append((known.iloc[0], known.iloc[-1]))
    if not ends:
        return "g on seen and on unseen classes, of networks that were measured at one step"
    if len(ends) == 1:
        (first, last), *_ = ends
        return (
            f"g on unseen classes goes from {first['unseen']:.2f} at step {first['step']} to {last['unseen']:.2f} at "
            f"step {last['step']}; {UNSURE}"
        )
    rises = sum(last["unseen"] > first["unseen"] for first, last in ends)
    return f"g on unseen classes is higher after training than before in {_of(rises, len(ends), 'networks')}; {UNSURE}"
