"""The figures of data/results, each as PNG and SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stages.aggregate.charts.depth import Panel, depth_figure
from stages.aggregate.charts.frame import Words, write_figure
from stages.aggregate.charts.intervals import has_ties, interval_scope
from stages.aggregate.charts.layer_pairs import layer_pairs_figure, matrix
from stages.aggregate.charts.overview import NetworkLine, overview_figure
from stages.aggregate.charts.robustness import robustness_figure
from stages.aggregate.charts.steps import stays, steps_figure
from stages.aggregate.charts.theme import Spec
from stages.aggregate.curves import CURVE, MEAN, Curve, Scores, baseline_at, curves, on_main_curve
from stages.aggregate.findings.facts import DatasetFindings
from stages.aggregate.scope import Scope
from stages.aggregate.tables.summary import SummaryRow
from stages.aggregate.words import figure_titles as words
from stages.aggregate.words.findings import REASONS
from stages.aggregate.words.formatting import place, short_names
from stages.aggregate.words.scores import metric_name
from stages.shared.embeddings.split_names import SEEN, UNSEEN
from stages.shared.runtime.console import progress
from stages.shared.tables.metric_table import HEAD

SHOWN_ROBUSTNESS = "probe_accuracy"
SPLITS = {UNSEEN: "unseen", SEEN: "seen"}


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
    def averages(self) -> words.Averages:
        """Over how many folds and seeds every value is a mean."""
        return words.Averages(len(self.scores.folds), self.scores.n_seeds)


def draw_figures(out: Path, drawn: Drawn) -> int:
    """Draw every figure (docs/results.md names them) as out/figures/*.png and out/figures_svg/*.svg; returns how many.

    Two folders, since DVC shows every picture of a folder, and would show each figure twice.
    """
    figures = make_figures(drawn)
    for name, spec in progress(figures.items(), total=len(figures), what="figures", unit="figure"):
        write_figure(out / "figures" / f"{name}.png", out / "figures_svg" / f"{name}.svg", spec)
    return len(figures)


def make_figures(drawn: Drawn) -> dict[str, Spec]:
    """Return the specification of every figure by its name."""
    figures: dict[str, Spec] = {}
    for evidence in drawn.evidence:
        dataset, aside = evidence.rows[0].dataset, set_aside(evidence)
        figures[f"overview-{dataset}"] = _overview(drawn, evidence, aside)
        figures[f"steps-{dataset}"] = _steps(drawn, evidence, list(aside))
    figures |= _of_networks(drawn)
    for evidence in drawn.evidence:
        robustness = _robustness(drawn, evidence)
        figures |= {f"robustness-{evidence.rows[0].dataset}": robustness} if robustness else {}
    return figures | _of_pairs(drawn)


def set_aside(evidence: DatasetFindings) -> dict[str, str]:
    """Name the networks that say little of layers, and why: those that findings (i) and (ii) leave out of scope."""
    return {network: REASONS[reason] for network, reason in evidence.out_of_scope.items()}


def _main_rows(evidence: DatasetFindings, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table that are of a dataset's main curves."""
    return table.merge(pd.DataFrame([vars(row) for row in evidence.rows])[CURVE], on=CURVE)


def _overview(drawn: Drawn, evidence: DatasetFindings, aside: Mapping[str, str]) -> Spec:
    points = _main_rows(evidence, drawn.tables["depth.csv"])
    points, row = points[points["split"] == UNSEEN], evidence.rows[0]
    shown = [each for each in evidence.rows if each.model not in aside]
    networks = [
        NetworkLine(
            each.model, words.network_words(each, aside.get(each.model, "")), each.best_depth, each.last_depth,
            words.lead_words(each), each.model in aside,
        )
        for each in [*shown, *(each for each in evidence.rows if each.model in aside)]
    ]  # fmt: skip
    findings = [each for each in evidence.depth if each.network not in aside]
    text = Words(
        words.networks_title(shown, findings), words.overview_caption(shown, interval_scope(points), drawn.averages)
    )
    levels = {"raw pixels": row.baseline, "chance": row.chance}
    lower = " (lower is better)" if row.lower_is_better else ""
    return overview_figure(
        points, {kind: level for kind, level in levels.items() if level is not None}, networks, drawn.models, text,
        title=f"{metric_name(row.metric)} on unseen classes{lower}",
    )  # fmt: skip


def _steps(drawn: Drawn, evidence: DatasetFindings, aside: Sequence[str]) -> Spec:
    rows, row = _main_rows(evidence, drawn.tables["steps.csv"]), evidence.rows[0]
    networks = {str(model): own.sort_values("step") for model, own in rows.groupby("model", sort=False)}
    tuned = [each for each in evidence.fine_tuning if each.network in networks and each.network not in aside]
    courses = [each.g for each in evidence.training if each.g and each.network not in aside]
    title = words.fine_tuning_title(tuned) or words.course_of_g_title(courses)
    several = [own for own in networks.values() if len(own) > 1]
    same = [stays(own) for own in several]
    note = " The layer that is best at the first step stays the best" if any(same) else ""
    note += (" where it has no line of its own." if not all(same) else ".") if note else ""
    spread = f", bars {drawn.averages.spread}" if drawn.averages.vary else ""
    extreme = "lowest" if row.lower_is_better else "highest"
    caption = (
        f"{row.dataset}; {drawn.averages.words}{spread}. g: {extreme} {metric_name(row.metric)} of any layer.{note}"
        + words.set_aside_words([model for model in networks if model in aside], "Not counted above")
    )
    text = Words(title, caption)
    return steps_figure(rows, aside, text, title=f"g ({metric_name(row.metric)}), accuracy")


def _of_networks(drawn: Drawn) -> dict[str, Spec]:
    """A figure of the main score and the paper's, then one for each use that further scores tell of."""
    main_metric = next(row.metric for row in drawn.summary if row.main)
    means = drawn.scores.curves[drawn.scores.curves["fold"] == MEAN]
    specs: dict[str, Spec] = {}
    for (dataset, model, pooling, is_main), points in means.groupby(
        ["dataset", "model", "pooling", "main"], sort=False
    ):
        figures: dict[str, list[Curve]] = {}
        for curve in curves(points):
            score = drawn.scores.catalogue[curve.name["metric"]]
            first = curve.name["metric"] == main_metric or score.in_paper
            figures.setdefault("depth" if first else f"depth_{score.use}", []).append(curve)
        for name, chosen in sorted(figures.items(), key=lambda item: item[0] != "depth"):
            suffix = "" if is_main else f"-{pooling}"
            specs[f"{name}-{dataset}-{model}{suffix}"] = _depth(drawn, chosen)
    return specs


def _depth(drawn: Drawn, chosen: Sequence[Curve]) -> Spec:
    keys = {curve.key for curve in chosen}
    rows = [row for row in drawn.summary if tuple(getattr(row, key) for key in CURVE) in keys]
    step, name = max(curve.last for curve in chosen), chosen[0].name
    panels = [_panel(drawn.scores, curve, step) for curve in chosen]
    if not rows or name["better"] == "neither":
        points = panels[0].points[panels[0].points["split"] == "unseen"].sort_values("depth")["value"]
        title = words.course_title(name["metric"], points.iloc[0], points.iloc[-1])
    else:
        title = words.scores_title(rows)
    parts = [f"{name['model']} on {name['dataset']}, step {step}, pooling {name['pooling']}; {drawn.averages.words}"]
    unseen = {
        str(curve.name["metric"]): one.points[one.points["split"] == "unseen"]
        for curve, one in zip(chosen, panels, strict=True)
    }
    scopes: dict[str, Scope] = {metric: scope for metric, own in unseen.items() if (scope := interval_scope(own))}
    ties = any(map(has_ties, unseen.values()))
    parts += [words.explain_intervals(scopes, "Bands and ties" if ties else "Bands")] if scopes else []
    spread = drawn.averages.vary and len(scopes) < len(chosen)
    parts += [f"{'Other bands' if scopes else 'Bands'}: {drawn.averages.spread}"] if spread else []
    return depth_figure(panels, Words(title, ". ".join(parts) + "."))


def _panel(scores: Scores, curve: Curve, step: int) -> Panel:
    """One score at its last step; the figure's step is named in its subtitle if that is another."""
    last, name = curve.last, curve.name
    points = pd.DataFrame([*curve.at(SEEN, last), *curve.at(UNSEEN, last)])
    levels = {
        (classes, kind): float(level)
        for split, classes in SPLITS.items()
        if len(own := points[points["split"] == split])
        for kind, level in (("raw pixels", baseline_at(scores, name, split, last)), ("chance", own["chance"].mean()))
        if level is not None and pd.notna(level)
    }
    point = curve.best(UNSEEN, last)
    if name["better"] == "neither":
        words_of = "neither high nor low is better"
    elif point is None:
        words_of = "undefined on unseen classes"
    else:
        own = points[points["split"] == UNSEEN].sort_values("depth")
        names = dict(zip(own["layer"], short_names(own["layer"], 16), strict=True))
        where = place(int(point["depth"]), int(own["depth"].max()))
        words_of = f"best at layer {where} ({names[point['layer']]}): {point['value']:.2f}"
    at = f", step {last}" if last != step else ""
    lower = " (lower is better)" if name["better"] == "lower" else ""
    return Panel(
        points.assign(split=points["split"].map(SPLITS)), levels, None if point is None else int(point["depth"]),
        f"{metric_name(str(name['metric']))}{lower}", words_of + at,
    )  # fmt: skip


def _robustness(drawn: Drawn, evidence: DatasetFindings) -> Spec | None:
    """Clean and corrupted images by layer; None where nothing was corrupted."""
    order = {model: i for i, model in enumerate(drawn.models)}
    rows = drawn.tables["robustness.csv"].sort_values("model", key=lambda names: names.map(order), kind="stable")
    rows = rows[rows["dataset"] == evidence.rows[0].dataset]
    layers = rows[rows["depth"].notna() & (rows["metric"] == SHOWN_ROBUSTNESS)]
    layers = layers[on_main_curve(layers, drawn.scores)]
    if not (layers["depth"] >= 0).any():
        return None
    aside = [model for model in layers["model"].unique() if model in set_aside(evidence)]
    head = rows[(rows["layer"] == HEAD) & rows["depth"].isna() & ~rows["model"].isin(aside)]
    layers = layers[~layers["model"].isin(aside)]
    row = layers.iloc[0]
    score = metric_name(SHOWN_ROBUSTNESS)
    caption = (
        f"{score} on seen classes of {row['dataset']}, {drawn.averages.words}; by layer, from input (1) to output."
    )
    text = Words(words.robustness_title(*kept_and_lost(layers)), caption + words.set_aside_words(aside, "Left out"))
    return robustness_figure(layers, head, text, title=score)


def kept_and_lost(rows: pd.DataFrame) -> tuple[tuple[float, float] | None, dict[str, list[int]]]:
    """Return what share of their score the layers keep that are best on clean images, and where raw pixels win.

    Args:
        rows: of robustness.csv, of one score, with those of raw pixels (depth -1).
    """
    layers, keys = rows[rows["depth"] >= 0], ["corruption", "severity"]
    best_of = layers.groupby(keys, sort=False)["value"].max()
    pixels = rows[rows["depth"] == -1].groupby(keys, sort=False)["value"].min()
    lost: dict[str, list[int]] = {}
    for kind, severity in pixels.index:
        if pixels[kind, severity] > best_of.get((kind, severity), np.inf):
            lost.setdefault(kind, []).append(severity)
    best_clean = layers.loc[layers.groupby(["model", *keys])["clean"].idxmax()]
    kept = (best_clean["value"] / best_clean["clean"]).dropna()
    return (None if kept.empty else (kept.min(), kept.max())), lost


def _of_pairs(drawn: Drawn) -> dict[str, Spec]:
    specs = {}
    for (dataset, model), own in drawn.tables["layer_pairs.csv"].groupby(["dataset", "model"], sort=False):
        own = own[on_main_curve(own, drawn.scores, "_a") & on_main_curve(own, drawn.scores, "_b")]
        if len(own):
            split = UNSEEN if (own["split"] == UNSEEN).any() else SEEN
            of_layers = own[(own["split"] == split) & (own["depth_a"] >= 0) & (own["depth_b"] >= 0)]
            depths = sorted({int(depth) for end in "ab" for depth in of_layers[f"depth_{end}"]})
            title = words.pairs_title(depths, list(np.diag(matrix(of_layers)[1], 1)), SPLITS[split])
            caption = (
                f"{model} on {dataset}, step {own.iloc[0]['step']}; {drawn.averages.words}. Linear CKA, debiased: 1 "
                "where two layers represent the same images alike up to rotation and scale. No intervals."
            )
            specs[f"layer_pairs-{dataset}-{model}"] = layer_pairs_figure(own, Words(title, caption))
    return specs
