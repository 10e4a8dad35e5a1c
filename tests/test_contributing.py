"""CONTRIBUTING's lists: a dataset, a model, a score and a parameter are added to a copy of the project as they say.

The checks and the workflow run there. Analyses, libraries and commands are files with a row in a registry, too.
"""

import csv
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
CHECKS = (
    "tests/test_pipeline.py", "tests/test_docs.py", "tests/reference", "tests/prepare/test_params.py",
    "tests/prepare/test_docs.py",
    "tests/embed/test_catalogue_of_models.py", "tests/core/scores/test_catalogue.py",
    "tests/aggregate/words/test_scores.py", "tests/test_set_param.py",
)  # fmt: skip


METRICS = "data/results/metrics.json"
GRID = "run: {datasets: [stripes], models: [efficientnet_lite0_frozen], folds: [0], seeds: [0]}"
CENTROID = "centroid accuracy"
CLI = "from stages.commands.cli import main; main()"


class Copy:
    """A copy of the project, in which text is added to files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
            "\n"
        )
        for name in names:
            if name and not name.startswith(("docs/study/", "docs/images/")) and (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        for folder_of_links in ("docs/study", "docs/images"):
            (folder / folder_of_links).symlink_to(ROOT / folder_of_links)
        of_git = subprocess.run(["git", "show", f":{METRICS}"], cwd=ROOT, capture_output=True, check=True).stdout
        (folder / METRICS).write_bytes(of_git)  # a run on another processor gives other digits
        if (ROOT / ".mypy_cache").is_dir():
            shutil.copytree(ROOT / ".mypy_cache", folder / ".mypy_cache")  # types of what stays as it is
        self.run("git", "init", "-q")
        self.run("git", "add", "-A")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def after(self, name: str, line: str, text: str) -> None:
        """Add text after the first line that begins with `line`, blanks apart."""
        lines = (self.folder / name).read_text().splitlines(keepends=True)
        at = next(i for i, content in enumerate(lines) if content.lstrip().startswith(line))
        self.write(name, "".join([*lines[: at + 1], text, *lines[at + 1 :]]))

    def replace(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text()
        assert old in text, f"{name} has no {old!r}"
        self.write(name, text.replace(old, new, 1))

    def append(self, name: str, text: str) -> None:
        self.write(name, (self.folder / name).read_text() + text)

    def changed(self) -> set[str]:
        self.run("git", "add", "-AN")
        return set(self.run("git", "diff", "--name-only").stdout.split())


def add_dataset(copy: Copy) -> None:
    copy.write(
        "stages/prepare/sources/stripes.py",
        '''"""Stripes: one class for each width."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from PIL import Image

from ..candidates import Candidate, Listing
from ..params import StripesParams


def list_stripes(raw: Path, params: StripesParams, seed: int, resources: ExitStack) -> Listing:
    """List an image of one colour for each width and number."""
    found = []
    for width in range(1, params.widths + 1):
        for number in range(40):
            make = partial(Image.new, "RGB", (16, 16), (20 * width, 5 * number, 0))
            found.append(Candidate(f"{width}/{number}", f"width{width}", None, str(width), make))
    return Listing(found)
''',
    )
    params = "stages/prepare/params.py"
    copy.replace(
        params,
        "DATASET_PARAMS: dict",
        '''class StripesParams(DatasetParams):
    """Stripes.

    Attributes:
        widths: number of classes.
    """

    source: Literal["stripes"]
    widths: Count


DATASET_PARAMS: dict''',
    )
    copy.after(params, '"folder": FolderParams', '    "stripes": StripesParams,\n')
    sources = "stages/prepare/sources/__init__.py"
    copy.after(sources, "from .handwriting", "from .stripes import list_stripes\n")
    copy.after(sources, '"folder": list_folder', '    "stripes": list_stripes,\n')
    entry = "{source: stripes, image_size: 16, widths: 9, test_fraction: 0.2, unseen_count: 2}\n"
    for name in ("params.yaml", "docs/presets/paper.yaml"):
        copy.replace(name, "\ndatasets:\n", f"\ndatasets:\n  stripes: {entry}")
    copy.append(
        "docs/datasets.md", f"\n## Stripes\n\n`widths` is the number of classes.\n\n```yaml\nstripes: {entry}```\n"
    )


def add_model(copy: Copy) -> None:
    entry = (
        "  resnet18:\n    network: {library: timm, name: resnet18, weights: {source: hub, name: a1_in1k}, "
        "image_size: 224}\n    taps: {layers: default}\n"
    )
    for name in ("params.yaml", "docs/presets/paper.yaml"):
        copy.replace(name, "\nmodels:\n", f"\nmodels:\n{entry}")
    copy.after("tests/embed/test_catalogue_of_models.py", "LAYERS = {", '    "resnet18": (5, 512),\n')


def add_score(copy: Copy) -> None:
    metrics = "stages/core/scores/catalogue.py"
    copy.replace(
        metrics,
        "def accuracy(",
        '''def centroid_accuracy(split: "EmbeddedSplit") -> ScoreValue:
    """Share of images that are nearer to the mean of their class's others than to another class's."""
    X, images = split.X.astype(np.float64), np.arange(len(split.y))
    centroids = np.stack([X[split.y == c].mean(axis=0) for c in range(len(split.class_sizes))])
    sizes = split.class_sizes[split.y][:, None]
    means = np.repeat(centroids[None], len(X), axis=0)
    means[images, split.y] = (sizes * means[images, split.y] - X) / np.maximum(sizes - 1, 1)
    distances = ((X[:, None] - means) ** 2).sum(axis=2)
    nearest = (distances / max(distances.max(), 1e-300)).round(9).argmin(axis=1)
    return mean_over(nearest == split.y)


def accuracy(''',
    )
    entry = (
        '    "centroid_accuracy": LayerScore(\n'
        '        centroid_accuracy, better="higher", low=0, high=1, use="classifier", per_image=True, refit=True,\n'
        "        chance=lambda split: 1 / len(split.class_sizes), ceiling=1,\n    ),\n"
    )
    copy.after(metrics, "LAYER_SCORES = {", entry)
    copy.after("tests/core/scores/test_catalogue.py", '"collapse": np.nan,', '        "centroid_accuracy": 4 / 15,\n')
    sentence = "Share of images nearest to the mean of their class."
    for words, text in (("NAMES", CENTROID), ("DEFINITIONS", sentence)):
        copy.after("stages/aggregate/words/scores.py", f"{words} = {{", f'    "centroid_accuracy": "{text}",\n')
    for name in ("params.yaml", "docs/presets/paper.yaml"):
        copy.replace(name, "cluster_silhouette]", "cluster_silhouette, centroid_accuracy]")
    copy.append("docs/scores.md", "\n## `centroid_accuracy`\n\nShare of images nearest to their class's mean.\n")


def add_parameter(copy: Copy) -> None:
    params = "stages/finetune/params.py"
    copy.after(params, "clip_norm: largest norm", "        warm_up: steps in which the learning rate rises.\n")
    copy.after(params, "clip_norm: Annotated", "    warm_up: Annotated[int, Field(ge=0)]\n")
    for file in ("params.yaml", "docs/presets/paper.yaml"):
        copy.after(file, "clip_norm: 1.0", "  warm_up: 0\n")


ADDITIONS: dict[str, Callable[[Copy], None]] = {
    "A dataset": add_dataset,
    "A model": add_model,
    "A score": add_score,
    "A parameter": add_parameter,
}


def named_files(section: str) -> set[str]:
    """The files that a section of CONTRIBUTING names, NAME and <library> left as they are."""
    text = PAGE.split(f"### {section}\n")[1].split("\n##")[0]
    return {name for name in re.findall(r"`([\w./<>]+\.(?:py|yaml|md|toml))`", text) if not name.startswith("test_")}


@pytest.mark.slow
@pytest.mark.long
def test_one_of_each_kind_is_added_as_contributing_says(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    before: set[str] = set()
    for section, add in ADDITIONS.items():
        add(copy)
        names = named_files(section)
        for file in copy.changed() - before:
            generic = {re.sub(r"\w+(\.py)$", r"NAME\1", file), re.sub(r"\w+(\.py)$", r"<library>\1", file), file}
            generic.add(re.sub(r"^stages/\w+/params", "stages/<stage>/params", file))
            assert generic & names, f"{section}: CONTRIBUTING does not name {file}"
        before = copy.changed()
    for command in (
        (sys.executable, "-m", "tests.reference"),
        (sys.executable, "-m", "ruff", "check", "."),
        (sys.executable, "-m", "ruff", "format", "--check", "."),
        (sys.executable, "-m", "mypy"),
        (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *CHECKS),
        (
            sys.executable,
            "-c",
            CLI,
            "check",
        ),
    ):
        done = copy.run(*command)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    run_what_was_added(copy)


def run_what_was_added(copy: Copy) -> None:
    """Run the workflow on the added dataset with the added score."""
    params = (copy.folder / "params.yaml").read_text()
    copy.write("params.yaml", re.sub(r"(?s)\nrun:.*?\n(?=\S)", f"\n{GRID}\n", params))
    (copy.folder / "data/raw/stripes").mkdir()
    scripts = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{scripts}:{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(
        [scripts / "dvc", "repro"], cwd=copy.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    with (copy.folder / "data/results/layers.csv").open() as file:
        values = [float(row["value"]) for row in csv.DictReader(file) if row["metric"] == "centroid_accuracy"]
    assert values
    assert all(0 <= value <= 1 for value in values)
    assert CENTROID in (copy.folder / "data/results/summary.md").read_text()
