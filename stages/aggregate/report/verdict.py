"""The verdict in words: a table of the main score, advice for every dataset and model, the findings, and the figures.

Every sentence is about these images of these unseen classes. A maximum over layers is chosen and scored on the same
images, so that whether a layer beats the last one is judged by its lead, which is not (docs/uncertainty.md).
"""

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from stages.aggregate.curves import CURVE
from stages.aggregate.formatting import beaten_by, lower_is_better, number
from stages.aggregate.metric_info import metric_name, shorten
from stages.aggregate.report import depth_finding
from stages.aggregate.report.findings import Finding, find
from stages.aggregate.tables.summary import SUMMARY_COLUMNS
from stages.shared.console import UserError

WIDTH = 120
HEADER = ("dataset", "model", "accuracy", "g seen", "g unseen", "best layer", "depth", "last layer")
TEXTS = ("dataset", "model", "best layer")
NAMES = (
    *CURVE,
    "best_layer",
    "last_layer",
    "seen_layer",
    "shallowest_layer",
    "fixed_layer",
    "seen_fixed_layer",
    "best_set",
)
"""Columns of the tables that stay as they are written, also where they look like numbers."""

GAP = "  "
AGAIN = "run the aggregate stage again (`dvc repro --single-item --force aggregate`)"


def verdict(results: Path) -> str:
    """Put the verdict of a finished `data/results` into words.

    Args:
        results: the folder that the aggregate stage wrote.

    Returns:
        Lines of at most 120 characters.

    Raises:
        UserError: there are no results, or they are of another version.
    """
    summary = _read_summary(results)
    rows = summary[summary["main"]]
    table = _table([HEADER, *(_cells(row) for _, row in rows.iterrows())])
    sentences = [_wrapped(sentence(row)) for _, row in rows.iterrows()]
    findings = [_finding(finding) for finding in find(summary, _read(results / "steps.csv"))]
    return "\n\n".join(
        [_title(rows), table, "\n".join(sentences), *findings, _wrapped(_scope(rows)), _figures(results)]
    )


def sentence(row: "pd.Series[float]") -> str:
    """Say from which layer to take features, for one main row of summary.csv, and what the others give."""
    score = metric_name(str(row["metric"]))
    subject = f"{row['dataset']}, {row['model']}:"
    reached = f"{score} {number(row['unseen'], row['unseen_sd'])}"
    place = f"{row['best_layer']} (depth {row['best_depth']} of {row['last_depth']}, {reached})"
    share = f"{_percent(row['best_parameters'], row['total_parameters'])} of the parameters up to the last layer"
    end = f"{row['last_layer']} ({number(row['last_value'], row['last_value_sd'])})"
    if row["best_depth"] == row["last_depth"]:
        advice = f"take features from the last layer, {place}: no earlier layer scores better."
    elif depth_finding.judge(row) in ("open", "fails"):
        advice = f"{place} scores best, but no lead over the last layer, {end}, is shown; computing it takes {share}."
    elif depth_finding.judge(row) == "not tested":
        advice = (
            f"{place} scores best; its lead over the last layer, {end}, was not tested; computing it takes {share}."
        )
    else:
        advice = f"take features from {place} rather than from the last layer, {end}; computing it takes {share}."
    level = beaten_by(row)
    return f"{subject} {advice}" + (f" But no layer beats {level}." if level else "")


def _finding(finding: Finding) -> str:
    lines = [f"Finding {finding.claim}"]
    for dataset, ruling in finding.rulings.items():
        lines.append(_wrapped(f"{dataset}: {ruling}"))
        lines += [_wrapped(f"- {detail}", "  ") for detail in finding.details[dataset]]
    return "\n".join([*lines, _wrapped(finding.caution)])


def _percent(part: float, whole: float) -> str:
    share = 100 * float(part) / float(whole) if whole else 100.0
    return f"{share:.0f} %" if share >= 1 or share == 0 else "under 1 %"


def _title(rows: pd.DataFrame) -> str:
    steps = sorted(rows["step"].unique())
    return (
        f"Which layer separates unseen classes best? Score: {metric_name(str(rows.iloc[0]['metric']))} "
        f"at step {', '.join(map(str, steps))}; g is the "
        f"{'minimum' if lower_is_better(rows.iloc[0]) else 'maximum'} over layers."
    )


def _scope(rows: pd.DataFrame) -> str:
    seeds = int(rows["n_seeds"].max())
    spread = "one seed, so no spread is known" if seeds == 1 else f"mean ± standard deviation over {seeds} seeds"
    return (
        f"All of it is about these images of these unseen classes ({spread}). In the table the best layer is chosen "
        "and scored on the same images, so that g is somewhat flattered."
    )


def _figures(results: Path) -> str:
    names = sorted(path.name for path in (results / "figures").glob("*.png"))
    shown = [name for name in names if name.startswith("overview-")] + [
        n for n in names if not n.startswith("overview-")
    ]
    rest = f", and {len(shown) - 4} more" if len(shown) > 4 else ""
    return _wrapped(
        f"Figures: {(results / 'figures').as_posix()}/: {', '.join(shown[:4])}{rest} (SVG beside each PNG). "
        "Tables: summary.md, summary.csv."
    )


def _cells(row: "pd.Series[float]") -> tuple[str, ...]:
    return (
        *(str(row["dataset"]), str(row["model"])),
        *(number(row[name], row[f"{name}_sd"]) for name in ("accuracy", "seen", "unseen")),
        *(str(row["best_layer"]), f"{row['best_depth']} of {row['last_depth']}"),
        number(row["last_value"], row["last_value_sd"]),
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = _fit([max(map(len, column)) for column in zip(*rows, strict=True)])
    texts = [[shorten(cell, width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    texts.insert(1, ["-" * width for width in widths])
    return "\n".join(_aligned(row, widths) for row in texts)


def _fit(widths: list[int]) -> list[int]:
    """Narrow the widest text column, layers before models, until a row has at most `WIDTH` characters."""
    texts = [i for i, name in enumerate(HEADER) if name in TEXTS]
    layer = HEADER.index("best layer")
    while sum(widths) + len(GAP) * (len(widths) - 1) > WIDTH:
        widest = max(texts, key=lambda i: widths[i] + 6 * (i == layer))
        widths = [width - (i == widest) for i, width in enumerate(widths)]
    return widths


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    pairs = zip(HEADER, row, widths, strict=True)
    return GAP.join(f"{cell:<{w}}" if name in TEXTS else f"{cell:>{w}}" for name, cell, w in pairs).rstrip()


def _wrapped(text: str, indent: str = "") -> str:
    whole = re.sub(r"(\[\S+,) ", "\\1\N{NO-BREAK SPACE}", text)  # no line break within an interval
    filled = textwrap.fill(
        whole, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
    return filled.replace("\N{NO-BREAK SPACE}", " ")


def _read_summary(results: Path) -> pd.DataFrame:
    path = results / "summary.csv"
    summary = _read(path)
    missing = [c for c in SUMMARY_COLUMNS if c not in summary.columns]
    if missing:
        raise UserError(
            f"{path}: must have the columns {', '.join(SUMMARY_COLUMNS)}; lacks {', '.join(missing)}: it was "
            f"written by another version; {AGAIN}"
        )
    return summary


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype=dict.fromkeys(NAMES, str), keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        raise UserError(f"{path}: no results there; run the workflow first (`make repro` or `dvc repro`)") from None
    except ValueError as error:  # of pandas, where it is empty, cut or no text
        raise UserError(f"{path}: must be a table, found it damaged ({error}); {AGAIN}") from None
