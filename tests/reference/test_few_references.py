"""What few labels give representations: the table's rows by plain loops."""

import csv

import pytest

from docs.study.few_references import TABLE, references_table


@pytest.mark.parametrize(("classes", "images"), [("2", "2"), ("5", "10"), ("10", "5"), ("15", "20")])
def test_a_row_is_the_mean_over_datasets(classes: str, images: str):
    with TABLE.open() as file:
        rows = [row for row in csv.DictReader(file) if (row["classes"], row["images"]) == (classes, images)]
    line = next(each for each in references_table().splitlines() if f"| {classes} classes of {images} images |" in each)
    count, *found = [cell.strip() for cell in line.split("|")[2:-1]]

    def mean(of: str, less: str | None = None) -> float:
        return sum(float(row[of]) - (float(row[less]) if less else 0) for row in rows) / len(rows)

    assert int(count) == len(rows) == len({row["dataset"] for row in rows})
    gains = [f"{mean(of, 'habit'):+.3f}" for of in ("layer", "chosen")]
    losses = [f"{mean('best', of):.3f}" for of in ("chosen", "habit")]
    assert found == [*gains, *losses, f"{mean('worse'):.0%}"]
