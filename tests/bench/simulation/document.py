"""Print a table of `make coverage` as docs/uncertainty.md shows it.

python -m tests.bench.simulation --out coverage.csv
python -m tests.bench.simulation.document coverage.csv
"""

import sys
from collections.abc import Sequence

import pandas as pd

from tests.bench.simulation.designs import CHEAP, DESIGNS, FEW_SHOT

STATEMENTS = {
    "design": "design",
    "score": "score",
    "true lead": "true lead",
    "cross-fitted": "cross-fitted",
    "low holds": "`at_least` holds",
    "high holds": "`at_most` holds",
    "supported": "shown",
    "ties hold best": "best layer among the ties",
    "ties": "layers that tie",
    "width / ideal": "width / ideal",
}
TWO_NETWORKS = {
    "design": "design",
    "score": "score",
    "data sets": "data sets",
    "true difference of g": "true difference of g",
    "mean estimate": "estimate",
    "interval holds it": "interval holds it",
    "says they differ": "says that they differ",
}
SIGNED = ("true lead", "cross-fitted", "true difference of g", "mean estimate")
STATEMENT_SCORES = ("nmi", "knn_purity")


def main() -> None:
    table = pd.read_csv(sys.argv[1], keep_default_na=False, na_values=[""])  # a design is called null
    table = table[table["folds"].isna() | (table["folds"] == table["design"].map(lambda name: DESIGNS[name].folds))]
    for target in ("images", "classes"):
        own = table[table["design"].map(lambda name, target=target: DESIGNS[name].target == target)]
        one = own[own["coverage"].notna()]
        print(f"{target}\n\n{coverage(one)}\n")
        shown = one[one["score"].isin(STATEMENT_SCORES) & one["true lead"].notna()]
        print(f"{markdown(shown, STATEMENTS)}\n")
        two = own[own["coverage"].isna() & own["score"].isin(STATEMENT_SCORES)]
        print(f"{markdown(two, TWO_NETWORKS)}\n")


def coverage(table: pd.DataFrame) -> str:
    """One row for a design, one column for a score: mean coverage of the layers, and of the worst one."""
    scores = [score for score in (*CHEAP, *FEW_SHOT) if score in set(table["score"])]
    cells = {(row["design"], row["score"]): _share(row["coverage"], row["worst layer"]) for _, row in table.iterrows()}
    rows = [
        [design, str(int(own["data sets"].iloc[0])), *(cells.get((design, score), "") for score in scores)]
        for design, own in table.groupby("design", sort=False)
    ]
    return _lines(["design", "data sets", *(f"`{score}`" for score in scores)], rows, left=1)


def markdown(table: pd.DataFrame, columns: dict[str, str]) -> str:
    """Some columns of the table under other headings."""
    rows = [[_cell(name, row[name]) for name in columns] for _, row in table.iterrows()]
    return _lines(list(columns.values()), rows, left=2)


def _cell(name: str, value: object) -> str:
    if name == "data sets":
        return str(int(float(str(value))))
    if isinstance(value, float):
        return f"{value:+.3f}" if name in SIGNED else f"{value:.1f}" if name == "ties" else f"{value:.2f}"
    return f"`{value}`" if name == "score" else str(value)


def _share(mean: float, worst: float) -> str:
    shown = f"{mean:.2f}", f"{worst:.2f}"
    return shown[0] if shown[0] == shown[1] else f"{shown[0]} ({shown[1]})"


def _lines(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> str:
    rule = ["---"] * left + ["--:"] * (len(header) - left)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


if __name__ == "__main__":
    main()
