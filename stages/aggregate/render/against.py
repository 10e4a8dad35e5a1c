"""Two studies on one page: what each recommends, beside each other, and how scores go over the layers of both."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.aggregate.charts import theme
from stages.aggregate.charts.frame import Words, draw_svg, explain_marks, figure, heading, inner_width, panel, records
from stages.aggregate.charts.intervals import ends_alone, with_bands
from stages.aggregate.curves import MEAN, equally_best
from stages.aggregate.facts import Facts, check_result, read_facts
from stages.aggregate.render.page.page import templates
from stages.aggregate.render.verdict import verdict
from stages.aggregate.tables.score_tables import DEPTH_COLUMNS
from stages.aggregate.words.recommendation import use_cells, use_of_rows
from stages.shared.core.csv_table import read_table
from stages.shared.embeddings.split_names import UNSEEN

CELLS = ("layer", "step", "score", "last", "ties (at most)")


@dataclass(frozen=True)
class Told:
    """A study that was written.

    Attributes:
        name: of its folder.
        facts: what it says.
        curves: its scores of unseen classes by layer, of the main pooling at the last step, with their bands.
    """

    name: str
    facts: Facts
    curves: pd.DataFrame


def read_told(folder: Path) -> Told:
    """Read a folder of results.

    Raises:
        UserError: a file is missing, damaged or of another version.
    """
    facts = read_facts(folder)
    rows = read_table(check_result(folder / "depth.csv"), DEPTH_COLUMNS, what="a table of depth", stage="aggregate")
    rows = rows[(rows["split"] == UNSEEN) & (rows["fold"] == MEAN)]
    main = pd.DataFrame([vars(row) for each in facts.findings for row in each.rows])[["dataset", "model", "pooling"]]
    curves = rows.merge(main)
    each = [with_bands(own, spread=False) for _, own in curves.groupby(["dataset", "model", "metric"], sort=False)]
    return Told(folder.as_posix(), facts, pd.concat(each) if each else curves)


def render_against(studies: Sequence[Told]) -> str:
    """Render the page: verdicts, and for each dataset a table by use and network, and charts of the leading scores."""
    found = [(study.name, each) for study in studies for each in study.facts.recommendations]
    datasets = list(dict.fromkeys(each.dataset for _, each in found))
    page = templates().get_template("against.html.j2")
    return page.render(
        headings=CELLS,
        names=[study.name for study in studies],
        verdicts={study.name: verdict(study.facts) for study in studies},
        tables={dataset: _rows(dataset, studies) for dataset in datasets},
        charts={dataset: _chart(dataset, studies) for dataset in datasets},
    )


def _rows(dataset: str, studies: Sequence[Told]) -> dict[tuple[str, str], list[Sequence[str]]]:
    """The cells of each study by use and network; none where a study has not that network."""
    rows: dict[tuple[str, str], list[Sequence[str]]] = {}
    for i, study in enumerate(studies):
        for each in study.facts.recommendations:
            if each.dataset == dataset:
                cells = use_cells(each)
                row = rows.setdefault((use_of_rows(each), each.model), [("",) * len(CELLS)] * len(studies))
                row[i] = [cells[name] if each.recommended else "–" for name in CELLS]
    return rows


def _chart(dataset: str, studies: Sequence[Told]) -> str:
    """The leading score of each use by layer, a line for each network of each study, as SVG in base64."""
    rows: list[theme.Spec] = []
    for study in studies:
        for found in study.facts.recommendations:
            own = study.curves.loc[study.curves["metric"] == found.metric]
            own = own[(own["dataset"] == found.dataset) & (own["model"] == found.model)]
            if found.dataset == dataset and len(own):
                best = own["depth"][equally_best(own["value"].to_numpy(dtype=float), found.better)]
                points = ends_alone(own, min(best, default=-1), found.last_depth).assign(x=own["relative_depth"])
                points = points.assign(line=f"{study.name}: {found.model}", use=use_of_rows(found))
                rows += records(points, ["line", "use", "x", "value", "low", "high", "tied", "best"])
    looks = theme.model_looks(list(dict.fromkeys(row["line"] for row in rows)))
    uses, panels = list(dict.fromkeys(row["use"] for row in rows)), []
    for i, use in enumerate(uses):
        layers = theme.line_layers("line", looks, theme.layer_axis("[]"), ring=True)
        shown = [row for row in rows if row["use"] == use]
        panels.append(panel(layers, {"points": shown}, (inner_width(2), 110), heading(i, len(uses), use)))
    caption = f"{dataset}: scores of unseen classes at the last step, by layer; bars: intervals, where known."
    legend = explain_marks("line", looks, rows, ()) if rows else []
    spec = figure(panels, Words("", caption), columns=2, legend=legend, per_line=1)
    return base64.b64encode(draw_svg(spec).encode()).decode()
