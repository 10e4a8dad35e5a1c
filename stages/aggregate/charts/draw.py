"""The figures of data/results, each as PNG and SVG, and the page's charts."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ...shared.runtime.errors import UserError, explain_limits
from ...shared.runtime.progress import progress
from ..compute import Results
from . import theme
from .dataset_figures import LINE_LOOKS, STEP_AXIS, overview, overview_layers, steps
from .frame import with_notice, write_figure
from .network_figures import depth, depth_layers, layer_pairs
from .theme import Look, Spec, encode_looks, layer

MIN_LIMITS = {"RLIMIT_AS": 72, "RLIMIT_DATA": 3}
"""GiB of limits, most of which the JavaScript engine that draws figures reserves, and crashes without."""


def check_limits() -> None:
    """Check, before what figures show is computed, that this process may reserve what drawing them takes.

    Raises:
        UserError: a limit of the process is lower.
    """
    if said := explain_limits(**MIN_LIMITS):
        raise UserError(said)


def draw_figures(out: Path, results: Results, models: Sequence[str]) -> int:
    """Draw every figure (docs/results.md names them) as out/figures/*.png and out/figures_svg/*.svg; returns how many.

    Two folders, since DVC shows every picture of a folder, and would show each figure twice.
    """
    figures = make_figures(results, models)

    def write(name: str) -> None:
        spec = with_notice(figures[name], results.facts.notice)
        write_figure(out / "figures" / f"{name}.png", out / "figures_svg" / f"{name}.svg", spec)

    with ThreadPoolExecutor(2) as threads:  # vl-convert draws without the interpreter
        list(progress(threads.map(write, figures), total=len(figures), what="figures", unit="figure"))
    return len(figures)


def make_figures(results: Results, models: Sequence[str]) -> dict[str, Spec]:
    """Return the specification of every figure by its name.

    Args:
        results: what the figures show.
        models: every model of the grid, in order, which fixes its look.
    """
    figures: dict[str, Spec] = {}
    for findings in results.facts.findings:
        figures[f"overview-{findings.dataset}"] = overview(results, models, findings)
        if any(each.training for each in findings.networks):
            figures[f"steps-{findings.dataset}"] = steps(results, findings)
    return figures | depth(results) | layer_pairs(results)


LEGEND: Spec = {"orient": "bottom"}
ENDS = {"best layer": Look(theme.UNSEEN), "last layer": Look(theme.ORANGE, "square")}
"""The dots of a class or fold."""
COLUMN: Spec = LEGEND | {"direction": "vertical", "columns": 1}


def page_charts(models: Sequence[str]) -> dict[str, Spec]:
    """Return every chart by name; what it draws is documented at the function that makes its layers.

    Args:
        models: every model of the grid, in order, which fixes its colour, shape and dashes, as in the figures.
    """
    return {
        "overview": _chart(300, overview_layers(theme.model_looks(models), "names", LEGEND), names=[]),
        "depth": _chart(190, depth_layers("names"), names=[], split="unseen"),
        "steps": _chart(290, theme.line_layers("line", LINE_LOOKS, STEP_AXIS, COLUMN)[1:]),  # without bars
        "pairs": _chart(200, theme.dumbbell_layers("name", "at", ENDS, COLUMN)),
        "projection": _chart(300, projection_layers()) | {"view": {"stroke": "#80808055"}},
    }


def projection_layers() -> list[Spec]:
    """Draw embeddings on their first two principal axes, coloured by class.

    Data set: points (label, x, y, tip, whose image is shown on hover).
    """
    scale = {"domain": [-1, 1], "nice": False, "padding": 10}
    axis: Spec = {"type": "quantitative", "title": None, "axis": None, "scale": scale}
    encoded = encode_looks("label", {}, LEGEND | {"columns": 2, "labelLimit": 140})
    look = {"color": encoded["color"], "shape": encoded["shape"], "tooltip": {"field": "tip", "type": "nominal"}}
    mark = {"type": "point", "filled": True, "size": 60, "opacity": 0.85}
    return [layer("points", mark, {"x": axis | {"field": "x"}, "y": axis | {"field": "y"}} | look)]


def _chart(height: int, layers: Sequence[Spec], **params: Any) -> Spec:
    return {
        "width": "container",
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "config": theme.config("system-ui, sans-serif", 11),
        "params": [{"name": name, "value": value} for name, value in params.items()],
        "layer": list(layers),
    }
