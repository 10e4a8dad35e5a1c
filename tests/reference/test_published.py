"""What stands beside the published numbers, by hand."""

from pathlib import Path

import pandas as pd
import pytest

from tests.reference.published import comparison_tables, correlation_table

DOCS = Path(__file__).parents[2] / "docs"
LITES = ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]


def row(network: str) -> list[str]:
    _, _, cifar100 = comparison_tables(DOCS).partition("**CIFAR-100**")
    line = next(line for line in cifar100.splitlines() if line.startswith(f"| {network} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_published_numbers_are_those_of_the_paper():
    assert row("ViT (published)")[1:5] == ["3", f"{(0.9635 + 0.969 + 0.967) / 3:.3f} ± 0.003", "0.84", "0.26"]
    assert row("ViT (published)")[-1] == "about 12 of 13"


def test_measured_numbers_are_those_of_the_cells():
    cells = pd.concat(map(pd.read_csv, (DOCS / "study/cells").glob("cifar100-efficientnet_lite1-*.csv")))
    unseen = cells.query("metric == 'nmi' and split == 'unseen' and step == 500 and depth >= 0")
    best = unseen.groupby("layer")["value"].mean().idxmax()
    values = unseen[unseen["layer"] == best]["value"]
    assert row("efficientnet_lite1")[4] == f"{values.mean():.3f} ± {values.std():.3f}"
    assert row("efficientnet_lite1")[-1].startswith(best)


def test_rows_of_length_1_stand_beside_raw_ones():
    switches = pd.read_csv(DOCS / "study/switches.csv").query("dataset == 'cifar100' and choice == 'l2'")
    own = switches.query("model == 'swin_small_scratch' and metric == 'nmi' and split == 'unseen'")
    values = own[own["depth"] == 2]["value"]
    scaled, raw = row("swin_small_scratch, length 1"), row("swin_small_scratch")
    assert scaled[4] == f"{values.mean():.3f} ± {values.std():.3f}" != raw[4]
    assert scaled[-1] == "3 of 5"
    assert scaled[7:9] == raw[7:9]  # the probe standardizes columns


def test_correlations_are_of_ranks():
    ranks = pd.DataFrame({name: [float(row(name)[i].split()[0]) for i in (2, 4)] for name in LITES}).rank(axis=1)
    line = next(line for line in correlation_table(DOCS).splitlines() if line.startswith("| CIFAR-100 | NMI |"))
    assert float(line.split("|")[-2]) == pytest.approx(ranks.T.corr().iloc[0, 1])
