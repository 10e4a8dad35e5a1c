"""The figures of data/results, each as PNG and SVG."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from stages.aggregate.curves import CURVE, MEAN, Scores, curves
from stages.aggregate.figures.depth import depth_figure, levels_of
from stages.aggregate.figures.layer_pairs import layer_pairs_figure
from stages.aggregate.figures.messages import networks_message, steps_message
from stages.aggregate.figures.overview import Networks, overview_figure
from stages.aggregate.figures.robustness import robustness_figure
from stages.aggregate.figures.steps import steps_figure
from stages.aggregate.figures.style import Averages, draw
from stages.aggregate.findings.facts import DatasetFindings
from stages.aggregate.metric_info import metric_info
from stages.aggregate.tables.summary import SummaryRow
from stages.aggregate.words.findings import REASONS
from stages.shared.embeddings.split_names import UNSEEN
from stages.shared.runtime.console import progress
from stages.shared.tables.metric_table import HEAD

SHOWN_ROBUSTNESS = "probe_accuracy"

Jobs = Iterator[tuple[str, Callable[[], Figure]]]


@dataclass(frozen=True)
class Drawn:
    """What figures are drawn of.

    Attributes:
        scores: curves averaged over seeds and folds, with `UNCERTAINTY`.
        summary: rows of summary.csv, of which the main ones name the curves of `overview` and `steps`.
        evidence: what the findings are judged by, dataset by dataset.
        tables: depth.csv, steps.csv, robustness.csv and layer_pairs.csv by file name. The last two may have no rows.
        models: every model of the grid, in order.
    """

    scores: Scores
    summary: Sequence[SummaryRow]
    evidence: Sequence[DatasetFindings]
    tables: Mapping[str, pd.DataFrame]
    models: Sequence[str]

    @property
    def averages(self) -> Averages:
        """Over how many folds and seeds every value is a mean."""
        return Averages(len(self.scores.folds), self.scores.n_seeds)


def draw_figures(out: Path, drawn: Drawn) -> int:
    """Draw every figure (docs/results.md names them) as out/figures/*.png and out/figures_svg/*.svg; returns how many.

    Two folders, since DVC shows every picture of a folder, and would show each figure twice.
    """
    jobs = dict([*_of_datasets(drawn), *_of_networks(drawn), *_of_robustness(drawn), *_of_pairs(drawn)])
    for name, make in progress(jobs.items(), total=len(jobs), what="figures", unit="figure"):
        draw(out / "figures" / f"{name}.png", out / "figures_svg" / f"{name}.svg", make)
    return len(jobs)


def set_aside(evidence: DatasetFindings) -> dict[str, str]:
    """Name the networks that say little of layers, and why: those that findings (i) and (ii) leave out of scope."""
    return {network: REASONS[reason] for network, reason in evidence.out_of_scope.items()}


def _of_datasets(drawn: Drawn) -> Jobs:
    for evidence in drawn.evidence:
        names = pd.DataFrame([vars(row) for row in evidence.rows])[CURVE]
        first = next(curves(drawn.scores.curves.merge(names.head(1), on=CURVE)))
        levels, best = (
            levels_of(drawn.scores, first, UNSEEN),
            "lowest" if evidence.rows[0].lower_is_better else "highest",
        )
        depth, steps = (drawn.tables[table].merge(names, on=CURVE) for table in ("depth.csv", "steps.csv"))
        aside, dataset = set_aside(evidence), evidence.rows[0].dataset
        networks = Networks(evidence.rows, drawn.models, aside)
        shown = [each for each in evidence.depth if each.network not in aside]
        message = networks_message(networks.shown, shown)
        yield f"overview-{dataset}", partial(overview_figure, depth, levels, networks, drawn.averages, message)
        of_shown = steps[~steps["model"].isin(list(aside))]
        message = steps_message(of_shown, [each for each in evidence.fine_tuning if each.network not in aside])
        yield (
            f"steps-{dataset}",
            partial(steps_figure, steps, drawn.averages, message, best=best, aside=list(aside)),
        )


def _of_networks(drawn: Drawn) -> Jobs:
    """A figure of the main score and the paper's, then one for each use that further scores tell of."""
    main_metric = next(row.metric for row in drawn.summary if row.main)
    means = drawn.scores.curves[drawn.scores.curves["fold"] == MEAN]
    for (dataset, model, pooling, is_main), points in means.groupby(
        ["dataset", "model", "pooling", "main"], sort=False
    ):
        suffix = "" if is_main else f"-{pooling}"
        figures: dict[str, list[pd.DataFrame]] = {}
        for curve in curves(points):
            info = metric_info(curve.iloc[0]["metric"])
            first = curve.iloc[0]["metric"] == main_metric or info.in_paper
            figures.setdefault("depth" if first else f"depth_{info.use}", []).append(curve)
        for name, chosen in sorted(figures.items(), key=lambda item: item[0] != "depth"):
            rows = [row for row in drawn.summary if _is_of(row, chosen)]
            yield f"{name}-{dataset}-{model}{suffix}", partial(depth_figure, drawn.scores, chosen, rows)


def _is_of(row: SummaryRow, chosen: Sequence[pd.DataFrame]) -> bool:
    """Whether a row sums up one of some curves."""
    return any(all(getattr(row, key) == curve.iloc[0][key] for key in CURVE) for curve in chosen)


def _of_robustness(drawn: Drawn) -> Jobs:
    order = {model: i for i, model in enumerate(drawn.models)}
    rows = drawn.tables["robustness.csv"]
    rows = rows.sort_values("model", key=lambda names: names.map(order), kind="stable")
    for evidence in drawn.evidence:
        own = rows[rows["dataset"] == evidence.rows[0].dataset]
        layers = own[own["depth"].notna() & (own["metric"] == SHOWN_ROBUSTNESS)]
        layers = layers[_is_main(layers, "", drawn.scores)]
        if (layers["depth"] >= 0).any():
            head = own[(own["layer"] == HEAD) & own["depth"].isna()]
            aside = list(set_aside(evidence))
            yield (
                f"robustness-{evidence.rows[0].dataset}",
                partial(robustness_figure, layers, head, drawn.averages, aside),
            )


def _of_pairs(drawn: Drawn) -> Jobs:
    for (dataset, model), own in drawn.tables["layer_pairs.csv"].groupby(["dataset", "model"], sort=False):
        own = own[_is_main(own, "_a", drawn.scores) & _is_main(own, "_b", drawn.scores)]
        if len(own):
            yield f"layer_pairs-{dataset}-{model}", partial(layer_pairs_figure, own, drawn.averages)


def _is_main(rows: pd.DataFrame, end: str, scores: Scores) -> "pd.Series[bool]":
    """Which rows' layer (column `layer<end>`) stands on its network's main curve, or is the raw-pixel baseline."""
    main = scores.curves[scores.curves["main"]]
    places = set(zip(main["dataset"], main["model"], main["layer"], main["embedding"], strict=True))
    columns = (rows[name] for name in ("dataset", "model", f"layer{end}", f"pooling{end}", f"depth{end}"))
    kept = [tuple(place) in places or depth == -1 for *place, depth in zip(*columns, strict=True)]
    return pd.Series(kept, index=rows.index, dtype=bool)
