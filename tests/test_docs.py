"""The documents name every stage and parameter, and nothing that does not exist."""

import json
import re
from os.path import relpath
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from docs.study import sentences, tables
from docs.tools import scopes, texts, words
from stages.commands.check import check_sections
from stages.commands.cli import COMMANDS
from stages.commands.config import read_config
from stages.core.inference.scopes import is_proven
from tests.reference.pages import fill
from tests.reference.regions import regions

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted(DOCS.glob("*.md")),
    *sorted(DOCS.glob("*/README.md")),
]
UNCERTAINTY = (DOCS / "uncertainty.md").read_text()
PARAMS = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")
SECTIONS = ("run", "prepare", "finetune", "embed", "measure", "aggregate")


def test_pages_have_the_tables_of_the_code():
    marked = {
        (relpath(page, DOCS), name)
        for page in PAGES
        for name in re.findall("<!-- (.+): written by `make", page.read_text())
    }
    assert marked == {(page, name) for page, name, _ in regions()}
    for page, name, content in regions():
        text = (DOCS / page).read_text()
        assert fill(text, name, content) == text, f"docs/{page}, {name}: run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_parameter_named_exists(page: Path):
    for section, key in re.findall(rf"`({'|'.join(SECTIONS)})\.(\w+)", page.read_text()):
        if (section, key) != ("finetune", "py"):
            assert key in PARAMS[section], f"{page.name} names {section}.{key}"


def code_of(text: str) -> str:
    """Code blocks and spans of a page, a line each."""
    blocks = re.findall(r"^(?: {4,}|\t)(.+)$", text, flags=re.M)
    return "\n".join([*blocks, *(" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text))])


def anchors(page: Path) -> set[str]:
    """The names by which headings of a page can be linked to, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_make_target_and_module_exists(page: Path):
    text = page.read_text()
    for link, anchor in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]+))?\)", text):
        target = page.parent / link if link else page
        assert target.exists(), f"{page.name} links to {link}"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {link}#{anchor}"
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.M)
    for target in re.findall(r"\bmake ([a-z-]+)\b(?=`|\s+#|$)", text, flags=re.M):
        assert target in targets, f"{page.name} names make {target}"
    for name in re.findall(r"^\s*whichlayer ([a-z]+)", code_of(text), flags=re.M):
        assert name in COMMANDS, f"{page.name} names whichlayer {name}"
    for module in re.findall(r"python -m ((?:stages|tests|docs)[.\w]*)", text):
        path = ROOT.joinpath(*module.rstrip(".").split("."))
        assert path.is_dir() or path.with_suffix(".py").exists() or module.endswith(".NAME"), f"{page.name}: {module}"


def test_every_page_that_the_code_names_exists():
    for module in sorted((ROOT / "stages").rglob("*.py")):
        for page, anchor in re.findall(r"\b(docs/[\w/-]+\.md)(?:#([\w-]+))?", module.read_text()):
            assert (ROOT / page).exists(), f"{module.name} names {page}"
            assert not anchor or anchor in anchors(ROOT / page), f"{module.name} names {page}#{anchor}"


def test_presets_are_valid_and_differ_from_the_default_only_where_they_say():
    yaml = YAML(typ="safe", pure=True)
    path = ROOT / "docs" / "presets" / "paper.yaml"
    check_sections(read_config(path))
    preset = yaml.load(path)
    different = {f"{s}.{k}" for s in PARAMS for k in PARAMS[s] if preset[s].get(k) != PARAMS[s][k]}
    expected = {
        "run.datasets",
        "run.models",
        "run.folds",
        "run.seeds",
        "finetune.steps",
        "finetune.learning_rate",
        "embed.pooling",
        "embed.augment",
    }
    assert different == expected | {
        "measure.analyses", "measure.kmeans", "measure.knn_k", "measure.normalize",
    }  # fmt: skip


def test_limits_has_the_gains_that_the_pilot_would_show():
    pilot = pd.read_csv(DOCS / "study" / "pilot.csv").dropna(subset="shown_by_4")
    page = (DOCS / "limits.md").read_text()
    (folds,) = re.findall(r"^\| folds \| (.+) \|$", page, flags=re.M)
    assert len(pilot) == 2
    for study in pilot.to_dict("records"):
        gains = " | ".join(f"{study[f'shown_by_{n}']:.3f}" for n in folds.split(" | "))
        assert f"| {study['dataset']} | {gains} |" in page


def test_cut_has_the_scores_of_the_pilot():
    own = pd.read_csv(DOCS / "study" / "tuned.csv").query("score == 'nmi' and rows == 'raw' and step == 500")
    means = own.groupby(["depth", "dataset"])["value"].mean().unstack()[["calligraphy", "cifar100"]]
    page = (DOCS / "cut.md").read_text()
    for depth, row in means.iterrows():
        (cells,) = re.findall(rf"^\| {depth + 1} `.* \| (.+? \| .+?) \|$", page, flags=re.M)
        assert cells.split(" | ")[-2:] == [f"{value:.3f}" for value in row]


def test_limits_has_the_losses_of_few_labels():
    rows = re.findall(r"^\| MAP@R \| (.+?) \| (.+) \|$", (DOCS / "five-datasets.md").read_text(), flags=re.M)
    losses = {choice: [cell.split(" ")[0] for cell in cells.split(" | ")] for choice, cells in rows}
    five, ten, last = losses["5 classes"][1], losses["10 classes"][2], losses["last layer"][0]
    page = words_of(DOCS / "limits.md")
    assert f"five classes of five images choose a layer {five} MAP@R below the best one" in page
    assert f"ten classes of ten images a layer {ten} below it. The last layer is {last} below" in page


def test_pages_keep_their_budgets_of_words():
    found = list(words.lengths())
    for page, prose, _ in found:
        assert page in words.GENERATED or prose <= words.BUDGETS.get(page, words.BUDGET), f"{page}: {prose} words"
    assert sum(to_read for _, _, to_read in found) <= words.READING_PATH


@pytest.mark.parametrize("text", [words.reading_path, texts.printed, texts.public], ids=lambda text: text.__name__)
def test_habits_are_a_third_of_what_an_editor_counted(text):
    found = words.habits(text())
    assert {habit: found[habit] for habit, (_, before) in words.HABITS.items() if found[habit] > before // 3} == {}


@pytest.mark.parametrize("text", [words.reading_path, texts.printed, texts.public], ids=lambda text: text.__name__)
def test_texts_use_compounds(text):
    assert words.words_per_of(text()) >= words.WORDS_PER_OF


def test_the_tutorial_uses_contractions():
    assert len(re.findall(words.CONTRACTION, (DOCS / "getting-started.md").read_text())) >= 5


def test_printed_texts_are_those_of_errors_help_and_the_page():
    printed = texts.printed()
    assert "the unknown recipe X" in printed
    assert "Delete damaged files" in printed
    assert "Hash the files in dvc.lock" in printed
    assert "Download as CSV" in printed
    assert "This network has no stored images." in printed
    assert "what the recipe" not in printed


def test_headings_that_went_are_listed():
    assert words.gone("# A\n\n```\n# code\n```\n\n## B\n", "# A\n") == ["B"]


def test_only_prose_counts_and_what_a_command_writes_is_not_to_read():
    page = "Two words\n\n    a command\n\n| a | table |\n\n```\nfenced code\n```\n[a link](x.md) <!-- a comment -->\n"
    assert words.prose(page).split() == ["Two", "words", "a", "link"]
    region = "<!-- t: written by `make docs` -->\n| a | b |\n<!-- end of t -->"
    assert words.count(words.to_read(f"{page}{region}")) == 10


def test_the_picture_of_the_scopes_is_drawn_by_its_script():
    assert (DOCS / "images" / "scopes.svg").read_text() == scopes.draw()


def test_the_page_of_uncertainty_has_the_scores_of_a_proven_level():
    names = {"1-NN": "nn1_accuracy", "MAP@R": "map_at_r", "R-precision": "r_precision", "k-NN purity": "knn_purity"}
    names |= {"NMI": "nmi", "AMI": "ami", "silhouette": "silhouette", "ARI": "ari", "collapse": "collapse"}
    names |= {"cluster accuracy": "cluster_accuracy", "linear probe": "probe_accuracy"}
    rows = re.findall(r"^\| (.+?) \| (proven|not proven)\b.* \| (proven|not proven)\b", UNCERTAINTY, flags=re.M)
    known = {name: found for scores, *found in rows for name in scores.split(", ")}
    for name, metric in names.items():
        found = [scope for scope, level in zip(("classes", "images"), known[name], strict=True) if level == "proven"]
        assert found == [scope for scope in ("classes", "images") if is_proven(metric, scope)], name


def gains_of(metrics: str) -> dict[str, dict]:
    ((_, network),) = json.loads(metrics)["handwriting"].items()
    return {use: known | {"gain": known["gain_over_last"]["estimate"]} for use, known in network["uses"].items()}


def test_sentences_have_the_numbers_of_the_runs():
    readme = words_of(ROOT / "README.md")
    before, after = (tables.over_datasets(sentences.lite0_at("map_at_r", step))[0] for step in (0, tables.TRAINED))
    assert f"[{before:.3f} MAP@R frozen, {after:.3f} fine-tuned](docs/five-datasets.md#after-fine-tuning)" in readme
    small, large = sentences.sized("map_at_r")
    gains = [tables.mean_of({pair: tables.RULES["last"](own) for pair, own in each.items()}, tables.GLYPHS)
             for each in (small, large)]  # fmt: skip
    assert f"{gains[0]:.3f} MAP@R at 64 px, and {gains[1]:.3f} at 224 px" in words_of(DOCS / "limits.md")
    frozen = gains_of((DOCS / "default-study" / "frozen.json").read_text())
    classifier, retrieval, discovery = (frozen[use]["gain"] for use in ("classifier", "retrieval", "discovery"))
    page = words_of(DOCS / "getting-started.md")
    assert f"gains {retrieval:.3f} MAP@R and {discovery:.3f} NMI over the last layer" in page
    assert f"For a classifier it gains {classifier:.3f}." in page
    pairs = tables.pairs_table(tables.read_scores("frozen.csv"), tables.SCORES["MAP@R"]).splitlines()
    photos = [float(cell.split(" /")[0]) for row in pairs[-2:] for cell in row.split(" | ")[1:5]]
    assert f"{min(photos):.3f} to {max(photos):.3f} MAP@R" in words_of(DOCS / "limits.md")


def words_of(page: Path) -> str:
    return " ".join(page.read_text().split())
