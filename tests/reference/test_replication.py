"""The numbers of docs/paper.md and docs/paper-tables.md are those of the committed files."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from docs.study import paper
from docs.tools import sources
from stages.commands.check import check_sections
from stages.commands.config import read_config
from stages.shared.workflow.params import read_run
from tests.reference.presets import judged
from tests.workflow import Workflow

DOCS = Path(__file__).parents[2] / "docs"
CURVES = json.loads((DOCS / "published_curves.json").read_text())


def rows_of(table: str) -> dict[tuple[str, ...], list[str]]:
    """A table's rows by what is text in them: dataset, network and score."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {tuple(cells[:3]): cells[3:] for cells in lines}


def row(network: str) -> list[str]:
    _, _, cifar100 = paper.comparison_tables().partition("**CIFAR-100**")
    line = next(line for line in cifar100.splitlines() if line.startswith(f"| {network} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_states_what_the_files_hold():
    page = paper.read_pages()
    assert [words for words in paper.statements() if words not in page] == []


def test_the_curves_are_complete_and_agree_with_the_published_table():
    counts = [
        sum(
            len(values)
            for networks in CURVES[release].values()
            for scores in networks.values()
            for values in scores.values()
        )
        for release in ("paper_step_500", "iclr_one_trial")
    ]
    assert [*counts, sum(len(g) for networks in CURVES["g_unseen_over_steps"].values() for g in networks.values())] == [
        234, 176, 72,
    ]  # fmt: skip
    g = paper.read_paper()["g"]
    read = [
        (max(curve.values), g[dataset]["unseen"][metric][name])
        for (dataset, name, metric), curve in paper.PAPER.items()
    ]
    assert max(abs(value - printed) for value, printed in read) <= 0.0064 + 1e-9


def test_a_lead_by_hand():
    cells = rows_of(paper.published_table())["CIFAR-100", "ViT", "NMI"]
    assert cells == ["12 of 13", "0.264", "0.218", "0.046", "12 of 13", "0.337", "0.056", "0.281"]
    assert rows_of(paper.published_table())["calligraphy", "ResNet", "NMI"][:4] == ["–"] * 4
    assert paper.Curve([0.2, 0.5, 0.5]).best == 2
    assert not paper.Curve([0.2, 0.5, 0.5]).last_is_best
    assert paper.Curve([0.2, 0.5]).lead == 0


def test_a_measured_curve_is_the_mean_of_the_cells():
    cells = pd.read_csv(DOCS / "study/replication.csv").query("dataset == 'cifar100' and model == 'efficientnet_lite1'")
    own = cells.query("metric == 'nmi' and split == 'unseen' and step == 500 and depth >= 0")
    means = own.groupby("depth")["value"].mean()
    found = rows_of(paper.measured_table())["CIFAR-100", "`efficientnet_lite1`", "NMI"]
    assert found[:4] == [
        f"{means.idxmax() + 1:.0f} of 9",
        *(f"{v:.3f}" for v in (means.max(), means[8], means.max() - means[8])),
    ]
    switches = pd.read_csv(DOCS / "study/switches.csv").query("choice == 'l2' and dataset == 'cifar100'")
    scaled = (
        switches.query("model == 'efficientnet_lite0' and metric == 'nmi' and split == 'unseen'")
        .groupby("depth")["value"]
        .mean()
    )
    found = rows_of(paper.measured_table())["CIFAR-100", "`efficientnet_lite0`", "NMI"]
    assert found[-1] == f"{scaled.max() - scaled[8]:.3f}"


def test_published_numbers_are_those_of_the_paper():
    assert row("ViT (published)")[1:5] == ["3", f"{(0.9635 + 0.969 + 0.967) / 3:.3f} ± 0.003", "0.84", "0.26"]
    assert row("ViT (published)")[-1] == "12 of 13"


def test_l2_normalized_embeddings_stand_beside_unnormalized_ones():
    switches = pd.read_csv(DOCS / "study/switches.csv").query("dataset == 'cifar100' and choice == 'l2'")
    own = switches.query("model == 'swin_small_scratch' and metric == 'nmi' and split == 'unseen'")
    values = own[own["depth"] == 2]["value"]
    scaled, raw = row("swin_small_scratch, L2-normalized"), row("swin_small_scratch")
    assert scaled[4] == f"{values.mean():.3f} ± {values.std():.3f}" != raw[4]
    assert scaled[-1] == "3 of 5"
    assert scaled[7:9] == raw[7:9]  # the probe standardizes columns


def test_correlations_are_of_ranks():
    ranks = pd.DataFrame({name: [float(row(name)[i].split()[0]) for i in (2, 4)] for name in paper.LITES}).rank(axis=1)
    line = next(line for line in paper.correlation_table().splitlines() if line.startswith("| CIFAR-100 | NMI |"))
    assert float(line.split("|")[-2]) == pytest.approx(ranks.T.corr().iloc[0, 1])


@pytest.mark.parametrize("picture", sorted((DOCS / "images").glob("published_*.png")), ids=lambda path: path.stem)
def test_pictures_were_made_from_the_curves(picture: Path):
    assert sources.is_current(picture)


def test_the_judged_preset_is_the_literal_one_with_its_changes():
    literal, other = ((DOCS / "presets" / f"{name}.yaml") for name in ("paper", "paper-judged"))
    assert other.read_text() == judged(literal.read_text())
    yaml = YAML(typ="safe", pure=True)
    one, two = yaml.load(literal), yaml.load(other)
    different = {f"{s}.{k}" for s in one for k in one[s] if one[s][k] != two[s].get(k)}
    assert different == {"run.folds", "finetune.steps", "measure.metrics", "measure.extra", "measure.kmeans"}
    check_sections(read_config(other))
    scores = [{*preset["measure"]["metrics"], *preset["measure"]["extra"]["metrics"]} for preset in (one, two)]
    assert scores[0] == scores[1]
    assert len(list(read_run(other).cells())) == 4 * len(list(read_run(literal).cells()))


@pytest.mark.slow
def test_the_plan_of_the_page_is_the_one_that_is_printed(tmp_path: Path):
    workflow = Workflow(tmp_path)
    for source in ("calligraphy", "cifar100"):
        (tmp_path / "data/raw" / source).mkdir(parents=True)
        shutil.copy(DOCS.parent / "data/raw" / source / "source.json", tmp_path / "data/raw" / source)
    workflow.start_repository()
    printed = workflow.run("whichlayer", "plan", "--params", str(DOCS / "presets/paper.yaml"), "--no-time").stdout
    cells, disk = re.search(r"(\d+) finetune.*?disk: ([\d.]+ GiB)", printed, flags=re.DOTALL).groups()
    assert f"It prints {cells} cells and {disk}, and as much for DVC's cache" in (DOCS / "paper.md").read_text()
