"""The figures of data/results, each as PNG and SVG."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stages.aggregate.charts.datasets import overview, robustness, steps
from stages.aggregate.charts.frame import with_notice, write_figure
from stages.aggregate.charts.networks import depth, layer_pairs
from stages.aggregate.charts.theme import Spec
from stages.aggregate.results import Results
from stages.shared.runtime.console import progress


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
        if corrupted := robustness(results, models, findings):
            figures[f"robustness-{findings.dataset}"] = corrupted
    return figures | depth(results) | layer_pairs(results)
