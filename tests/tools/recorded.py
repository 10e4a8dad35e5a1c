"""Compare the default study that was just run with the one that is recorded in git.

    python -m tests.tools.recorded        # after `make repro`; exit status 1 where they differ

Processors round differently, and training amplifies it: docs/method.md tabulates what the study gave on several
machines. A number must lie in their range, widened to either side by its width, at least by `LEAST_MARGIN`. A layer
that is recorded in metrics.json, of the main score or of a use, must be the best again or tie with it, where ties are
known.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "data" / "results"
LEAST_MARGIN = 0.01

COLUMNS = {"accuracy": "accuracy", "NMI of layer 5, the best": "g_unseen", "of the last": "last_value"}
"""Columns of the table in docs/method.md and the numbers of metrics.json."""

LEADS = "lead (at least)"


def main() -> None:
    found = list(differences(recorded_metrics(), json.loads((RESULTS / "metrics.json").read_text()), summary()))
    print("\n".join(found) or "the study is as recorded in git, as far as machines agree")
    sys.exit(bool(found))


def recorded_metrics() -> dict[str, Any]:
    show = ["git", "show", "HEAD:data/results/metrics.json"]
    return json.loads(subprocess.run(show, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def summary() -> pd.DataFrame:
    table = pd.read_csv(RESULTS / "summary.csv", dtype={"fold": str, "tied_classes": str, "tied_images": str})
    return table[table["fold"] == "mean"].set_index("metric")


def differences(recorded: dict[str, Any], found: dict[str, Any], table: pd.DataFrame) -> Iterator[str]:
    """Yield a line for each number out of its range and each layer that neither is the best nor ties with it.

    Args:
        recorded, found: metrics.json as git has it, and as the run wrote it.
        table: rows of summary.csv over all folds, by metric.
    """
    names = {(dataset, model) for dataset, models in recorded.items() for model in models}
    if names != {(dataset, model) for dataset, models in found.items() for model in models}:
        yield f"metrics.json: networks and datasets must be those recorded, {recorded.keys()}, found {found.keys()}"
        return
    ((dataset, model),) = names
    before, now = recorded[dataset][model], found[dataset][model]
    for name, (low, high) in ranges().items():
        if not low <= now[name] <= high:
            yield f"{name}: must lie in {low:.3f} to {high:.3f}, found {now[name]:.3f} (recorded: {before[name]:.3f})"
    layers = {use: (known["metric"], known["depth"]) for use, known in before["uses"].items()}
    for use, (metric, depth) in (layers | {"the main score": ("nmi", before["best_depth"])}).items():
        row = table.loc[metric]
        tied = [
            int(d) for scope in ("tied_classes", "tied_images") if pd.notna(row[scope]) for d in row[scope].split(";")
        ]
        if tied and depth not in {row["best_depth"], *tied}:
            yield (
                f"{use} ({metric}): layer {depth + 1}, which is recorded, must be the best or tie with it, found layer "
                f"{row['best_depth'] + 1}, with which {sorted({d + 1 for d in tied})} tie"
            )


def ranges() -> dict[str, tuple[float, float]]:
    """Return what each number of metrics.json may be, from the table of machines in docs/method.md."""
    rows = [line for line in (ROOT / "docs" / "method.md").read_text().splitlines() if line.startswith("|")]
    first = next(i for i, row in enumerate(rows) if row.startswith("| the default study on |"))
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[first:]]
    header, machines = cells[0], [row for row in cells[2:] if len(row) == len(cells[0])]
    values = {
        name: [float(row[header.index(column)]) for row in machines if row[header.index(column)]]
        for column, name in COLUMNS.items()
    }
    leads = [re.findall(r"[+-][\d.]+", row[header.index(LEADS)]) for row in machines]
    values |= {name: [float(pair[i]) for pair in leads] for i, name in enumerate(("lead", "lead_at_least"))}
    margins = {name: max(LEAST_MARGIN, max(known) - min(known)) for name, known in values.items()}
    return {name: (min(known) - margins[name], max(known) + margins[name]) for name, known in values.items()}


if __name__ == "__main__":
    main()
