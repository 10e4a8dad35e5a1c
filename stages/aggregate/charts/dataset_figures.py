"""The figures of a dataset, with all its networks: scores by layer, and over training.

overview: the score of the first use on unseen classes by layer, the best layer ringed
steps: generalization and accuracy before and after training, a panel per network: the paper's second figure
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from ...core.scores.description import ON_PAGE
from ...shared.embeddings.split_names import UNSEEN
from ..compute import Results
from ..curves import MEAN
from ..findings.outcomes import DatasetFindings
from ..tables.score_tables import depth_table
from ..tables.summary_row import SummaryRow
from ..words import figure_titles as words
from ..words.formatting import numbered, shorten
from ..words.scopes import SCOPES
from ..words.study import averages
from . import theme
from .bands import with_bands
from .frame import AXIS, figure, heading, inner_width, legend_of, main_rows, panel, records
from .network_figures import OTHER
from .theme import Look, Spec

APART = 0.006
"""How far apart networks stand sideways, as a share of the axis, so that their bars do not hide each other."""

LINE_LOOKS = {
    words.STEP_LINES["unseen"]: Look(theme.UNSEEN),
    words.STEP_LINES["seen"]: Look(theme.SEEN, "square"),
    words.STEP_LINES["accuracy"]: Look(theme.TEXT, "diamond", (5.0, 3.0)),
}
"""How the lines of steps look on the page."""
ENDS = (Look(theme.ORANGE, "square"), Look(theme.UNSEEN))
"""How the first and the last step look."""
LINE_NAMES = 120
"""Points of the names of lines beside a panel of two steps."""

STEP_AXIS: Spec = {"field": "step", "type": "quantitative", "title": "optimizer step"}
STEP_AXIS |= {"scale": {"nice": False, "padding": 10}}


def overview_layers(looks: Mapping[str, Look], names: str, legend: Spec | None = None) -> list[Spec]:
    """Draw the score of every network against its layers; ties filled, the best ringed.

    Data sets: points, as of `line_layers`, by network, and whether it is aside; levels (kind, value).

    Args:
        looks: of every network.
        names: an expression: the names of the layers, or nothing where networks have not as many (`theme.layer_axis`).
        legend: of the networks.
    """
    lines = theme.line_layers("network", looks, theme.layer_axis(names), legend, size=36, on="!datum.aside", ring=True)
    return [*theme.level_layers(), *lines]


def of_first_use(findings: DatasetFindings, results: Results) -> DatasetFindings:
    """The same networks by the score that leads the first use; who is out of scope stays."""
    asked = [each for each in results.facts.recommendations if each.dataset == findings.dataset]
    lead = min(asked, key=lambda each: ON_PAGE.index(each.use)).metric
    own = [row for row in results.shown.rows if (row.dataset, row.fold, row.metric) == (findings.dataset, MEAN, lead)]
    rows = {(row.model, row.pooling): row for row in own}
    networks = [replace(each, row=rows.get((each.row.model, each.row.pooling), each.row)) for each in findings.networks]
    return replace(findings, networks=networks)


def overview(results: Results, models: Sequence[str], findings: DatasetFindings) -> Spec:
    """Draw a line per network of one dataset, by the score that leads the first use; another checkpoint thin.

    Args:
        results: of the study.
        models: every model of the grid, in order, which fixes its look.
        findings: on the dataset; networks that they leave out of scope come last, in grey.
    """
    findings = of_first_use(findings, results)
    points, others = (
        main_rows(findings, depth_table(curves)) for curves in (results.shown.scores, results.shown.others)
    )
    points, others = with_bands(points[points["split"] == UNSEEN]), others[others["split"] == UNSEEN]
    shown = [row for row in findings.rows if row.model not in findings.out_of_scope]
    scope = next((scope for scope in SCOPES if scope in set(points["band"])), None)
    beside = others.loc[others["model"].isin([row.model for row in shown]), "step"].tolist()
    caption = words.overview_caption(shown, scope, averages(results.scores), beside)
    aside, first = findings.out_of_scope, findings.rows[0]
    networks = {row.model: row for row in sorted(findings.rows, key=lambda row: row.model in aside)}
    looks = {model: theme.model_looks(models)[model] for model in networks}
    looks |= {model: Look(theme.GREY, looks[model].shape, looks[model].dash) for model in aside}
    same = points.groupby("model")["depth"].nunique().nunique() == 1
    layers = points[points["model"] == points["model"].iloc[0]].sort_values("depth")["layer"]
    labels = [label if len(networks) == 1 else label.split()[0] for label in numbered(layers)] if same else []
    both = pd.concat([with_bands(others, spread=False).assign(part=OTHER), points.assign(part="")])
    rows = _overview_rows(both, networks, aside, float(len(layers) - 1 if same else 1) or 1.0)
    known = {"raw pixels": first.baseline, "chance": first.chance}
    levels: list[Spec] = [{"kind": kind, "value": level} for kind, level in known.items() if level is not None]
    names = {model: words.legend_words(model, row, aside.get(model)) for model, row in networks.items()}
    title = heading(0, 1, words.overview_heading(first))
    drawn = overview_layers(looks, str(labels), legend_of(1, names))
    chart = panel(drawn, {"points": rows, "levels": levels}, (inner_width(1) - AXIS, 190), title)
    return figure([chart], (words.layers_title(shown, "networks"), caption))


def _overview_rows(
    points: pd.DataFrame, networks: Mapping[str, SummaryRow], aside: Collection[str], span: float
) -> list[Spec]:
    """What is drawn of each network.

    Args:
        points: of all of them, with bands; `part` is `OTHER` of another checkpoint.
        networks: by name, in order.
        aside: which are out of scope.
        span: of the axis.
    """
    rows = []
    for i, (model, row) in enumerate(networks.items()):
        own = points[points["model"] == model].sort_values(["part", "depth"], ascending=[False, True])
        x = own["relative_depth"] if span == 1 else own["depth"]
        own = own.assign(network=model, x=x + APART * span * (i - (len(networks) - 1) / 2))
        main, best = own["part"] != OTHER, own["depth"] == row.best_depth
        ends = main & (best | (own["depth"] == row.last_depth))  # bars of many layers would hide each other
        own = own.assign(low=own["low"].where(ends), high=own["high"].where(ends), best=main & best)
        own["aside"] = ~main | (model in aside)
        rows += records(own, ["network", "part", "x", "value", "low", "high", "tied", "best", "aside"])
    return rows


def steps(results: Results, findings: DatasetFindings) -> Spec:
    """Draw a panel per network of one dataset: accuracy, g on seen and on unseen classes, at the first and last step.

    The page has the steps between.
    """
    rows, row = main_rows(findings, results.tables["steps.csv"]), findings.rows[0]
    text = words.training_title(findings), words.steps_caption(row, averages(results.scores))
    ends = {f"step {step}": step for step in (rows["step"].min(), rows["step"].max())}
    networks = list(rows.groupby("model", sort=False))
    columns, panels = min(len(networks), 2), []
    size = (inner_width(columns) - LINE_NAMES + AXIS, 60)
    for i, (model, own) in enumerate(networks):
        legend = legend_of(2) if i == len(networks) - 1 else None
        points = pd.concat(
            own.loc[own["step"] == step].assign(line=line, at=at, value=own[name].astype(float))
            for name, line in words.STEP_LINES.items()
            for at, step in ends.items()
        ).dropna(subset="value")
        head = heading(i, len(networks), shorten(str(model), 30), words.steps_heading(row))
        dots = theme.dumbbell_layers("line", "at", dict(zip(ends, ENDS, strict=False)), legend)
        panels.append(panel(dots, {"points": records(points, ["line", "at", "value"])}, size, head))
    return figure(panels, text, columns=columns, axis=LINE_NAMES)
