"""Draw README's picture of the default study: the method above, a score by layer below.

Reads what a finished workflow has in data/: results, prepared images and embeddings.

    python -m docs.tools.hero docs/images/hero.png --metric map_at_r
"""

import argparse
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import ConnectionPatch, Patch, Rectangle
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from stages.aggregate.tables.summary import SUMMARY_COLUMNS, SummaryRow, summary_rows
from stages.aggregate.words.figure_titles import layers_title
from stages.aggregate.words.scores import metric_name
from stages.commands.dvc_project.workspace import stage_path
from stages.shared.core.csv_table import read_table
from stages.shared.embeddings.embedding_store import Embeddings, open_embeddings
from stages.shared.embeddings.split_names import SEEN, UNSEEN
from stages.shared.images.image_store import PackedImages, Pixels, open_images

WIDTH, HEIGHT, DPI = 8.3, 7.1, 200
"""Inches, and pixels per inch: twice those of a page 830 px wide, for dense screens."""

EDGE, BASE, PICTURE = 0.08, 3.8, 0.4
"""Inches: the margin, the lower end of the upper row, and the side of a shown image."""

TITLE, HEAD, TEXT, SMALL = 12.0, 9.5, 8.5, 7.5
"""Points."""

BEST, OTHER, GREY, BLACK, STRIP = "#0072B2", "#444444", "#6C6C6C", "#222222", "#DCE6EE"
COLORS, MARKERS = (BEST, "#D55E00", "#009E73", "#CC79A7", "#E69F00"), "os^Dv"
"""Of the unseen classes."""

LEVELS: dict[str, Any] = {
    "raw pixels": {"color": "#5E5E5E", "linestyle": (0, (4, 2)), "linewidth": 0.9},
    "chance": {"color": "#6E6E6E", "linestyle": (0, (1, 1.5)), "linewidth": 0.9},
}
RC: Any = {
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
}


@dataclass(frozen=True)
class Study:
    """What the picture shows of one network.

    Attributes:
        row: the score's row of summary.csv, the mean over folds.
        curve: rows of depth.csv of the same score, of every fold and of their mean.
        fold: whose images and embeddings are shown: its best score is the nearest to the mean.
        images: the dataset in this fold.
        store: the cell's embeddings.
    """

    row: SummaryRow
    curve: pd.DataFrame
    fold: str
    images: PackedImages
    store: Embeddings

    @property
    def by_fold(self) -> "pd.Series[float]":
        """Score of the best layer on unseen classes, fold by fold."""
        rows = self.curve[(self.curve["split"] == UNSEEN) & (self.curve["depth"] == self.row.best_depth)]
        return rows.set_index("fold")["value"].drop("mean")

    def mean(self, split: str) -> pd.DataFrame:
        """Rows of the mean over folds of one split, by depth."""
        rows = self.curve[(self.curve["fold"] == "mean") & (self.curve["split"] == split)]
        return rows.sort_values("depth")

    def color(self, depth: int) -> str:
        """Color of a layer whose embeddings are shown."""
        return BEST if depth == self.row.best_depth else OTHER


def read_study(results: Path, dataset: str, model: str, metric: str = "nmi", seed: int = 0) -> Study:
    """Read a study of three folds or more, in which the score's best layer is not the last."""
    key = (dataset, model, metric, "mean")
    summary = read_table(results / "summary.csv", SUMMARY_COLUMNS, what="a summary", stage="aggregate")
    rows = summary_rows(summary.to_dict("records"))
    (row,) = (r for r in rows if (r.dataset, r.model, r.metric, r.fold) == key)
    depth = pd.read_csv(results / "depth.csv", dtype={"fold": str})
    names = ("dataset", "model", "pooling", "metric", "step")
    curve = depth[np.logical_and.reduce([depth[name] == getattr(row, name) for name in names])]
    best = curve[(curve["split"] == UNSEEN) & (curve["depth"] == row.best_depth) & (curve["fold"] != "mean")]
    fold = str(best.loc[(best["value"] - row.unseen).abs().idxmin(), "fold"])
    cell = dataset, model, fold, seed
    images = open_images(stage_path("embed", "--prepared", cell), fold, dataset=dataset)
    return Study(row, curve, fold, images, open_embeddings(stage_path("embed", "--out", cell)))


def draw(study: Study) -> Figure:
    """Draw the picture."""
    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI)
    text_at(figure, EDGE, HEIGHT - 0.12, layers_title([study.row]), size=TITLE, weight="bold", va="top")
    draw_images(figure, study)
    draw_layers(figure, study)
    draw_curve(axes_at(figure, 0.72, 1.4, 5.75, 2.0), study)
    text_at(figure, EDGE, 0.1, textwrap.fill(details(study), 150), size=SMALL, color=OTHER)
    return figure


def details(study: Study) -> str:
    """Return what stands below the picture."""
    row, folds = study.row, [f"{score:.2f}" for score in study.by_fold]
    return (
        f"{row.dataset}, {row.model}, step {row.step}. a: fold {study.fold} (best layer's {metric_name(row.metric)} by "
        f"fold: {', '.join(folds[:-1])} and {folds[-1]}), first two principal components of the unseen images. b: "
        "bands: 95 % intervals on other classes of this domain, training repeated; bracket: one-sided bounds, layers "
        "compared on the same classes."
    )


def draw_images(figure: Figure, study: Study) -> None:
    """Show images of seen and of unseen classes, a column for each class, above the markers of their embeddings."""
    text_at(figure, EDGE, BASE + 2.5, "a", size=HEAD, weight="bold")
    text_at(figure, EDGE + 0.2, BASE + 2.5, "Seen classes: fine-tuned on", size=HEAD)
    text_at(figure, EDGE + 0.2, BASE + 1.12, "Unseen classes: not fine-tuned on", size=HEAD)
    for split, classes, bottom in ((SEEN, study.images.seen, 1.6), (UNSEEN, study.images.unseen, 0.22)):
        for column, label in enumerate(classes[: len(COLORS)]):
            color, left = COLORS[column] if split == UNSEEN else GREY, EDGE + 0.2 + column * (PICTURE + 0.05)
            for line, image in enumerate(first_and_last(study.images, split, label)):
                place = (left, BASE + bottom + (1 - line) * (PICTURE + 0.05), PICTURE, PICTURE)
                frame(axes_at(figure, *place), color, 1.6).imshow(image)
            if split == UNSEEN:
                ax = axes_at(figure, left, BASE, PICTURE, 0.2)
                ax.plot([0], [0], color=color, marker=MARKERS[column], markersize=6)
                ax.set_axis_off()


def first_and_last(images: PackedImages, split: str, label: str) -> Pixels:
    """Read the first and the last image of a class in one split, (2, S, S, 3)."""
    of_class = (images.manifest["split"] == split) & (images.manifest["label"] == label)
    return images.read(np.flatnonzero(of_class)[[0, -1]])


def draw_layers(figure: Figure, study: Study) -> None:
    """Draw the layers as blocks, and below them the embeddings of the first, the best and the last."""
    row, left, width = study.row, 3.1, WIDTH - 3.1 - 0.12
    text_at(figure, 2.78, BASE + 2.19, "\N{RIGHTWARDS ARROW}", size=TITLE, va="center", ha="center")
    question = f"Every layer of {row.model} is scored: do unseen classes separate there?"
    text_at(figure, left, BASE + 2.5, question, size=HEAD)
    strip = axes_at(figure, left, BASE + 2.0, width, 0.38)
    strip.set(xlim=(0, row.last_depth + 1), ylim=(0, 1))
    strip.set_axis_off()
    shown = sorted({0, row.best_depth, row.last_depth})
    for depth in range(row.last_depth + 1):
        color, words = (study.color(depth), "white") if depth in shown else (STRIP, BLACK)
        strip.add_patch(Rectangle((depth + 0.08, 0), 0.84, 1, facecolor=color, edgecolor="none"))
        strip.text(depth + 0.5, 0.48, str(depth + 1), ha="center", va="center", size=TEXT, color=words)
    side = (width - 0.6) / 3
    for i, depth in enumerate(shown):
        ax = axes_at(figure, left + i * (width - side) / 2, BASE, side, 1.4)
        draw_embeddings(ax, study, depth)
        ends = ((depth + 0.5, 0.0), (0.5, 1.2))
        figure.add_artist(ConnectionPatch(*ends, strip.transData, ax.transAxes, color=study.color(depth)))


def draw_embeddings(ax: Axes, study: Study, depth: int) -> None:
    """Draw the unseen images of one layer in the plane of their first two principal components."""
    row, labels, places = study.row, study.store.labels(UNSEEN), principal_plane(study.store, depth, study.row.step)
    for label, color, marker in zip(study.images.unseen, COLORS, MARKERS, strict=False):
        x, y = places[labels == label].T
        ax.scatter(x, y, s=7, color=color, marker=marker, alpha=0.75, linewidth=0, zorder=3)
    frame(ax, study.color(depth), 1.6 if depth == row.best_depth else 0.8)
    scores = study.curve[(study.curve["fold"] == study.fold) & (study.curve["split"] == UNSEEN)].set_index("depth")
    name = {row.best_depth: "best, ", row.last_depth: "last, "}.get(depth, "") + f"layer {depth + 1}"
    title = f"{name}: {metric_name(row.metric)} {scores.at[depth, 'value']:.2f}"
    ax.set_title(title, size=SMALL, color=study.color(depth), pad=4, weight="bold")


def principal_plane(store: Embeddings, depth: int, step: int) -> NDArray[np.float64]:
    """Return the first two principal components of the unseen images at one layer, under its main pooling, (N, 2)."""
    layer = next(layer for layer in store.layers if layer.depth == depth)
    features = store.features(layer, step, UNSEEN).astype(np.float64)
    return np.asarray(PCA(2, svd_solver="full").fit_transform(features))


def draw_curve(ax: Axes, study: Study) -> None:
    """Draw the score against layers: unseen classes with their interval, seen ones thin."""
    row, seen, unseen = study.row, study.mean(SEEN), study.mean(UNSEEN)
    levels = {"raw pixels": row.baseline, "chance": row.chance}
    low, high, depth = unseen["ci_classes_low"], unseen["ci_classes_high"], unseen["depth"]
    ax.fill_between(depth, low, high, color=BEST, alpha=0.22, linewidth=0.0, zorder=1)
    ax.plot(seen["depth"], seen["value"], color=GREY, linewidth=1.0, zorder=2)
    ax.plot(depth, unseen["value"], color=BEST, linewidth=2.2, marker="o", markersize=5, zorder=3)
    ax.plot([row.best_depth], [row.unseen], "o", markersize=12, color=BEST, mfc="none", mew=1.8)
    for name, height in levels.items():
        ax.axhline(height, zorder=1, **LEVELS[name])
    ax.grid(axis="y")
    ax.set_ylim(0, 1.14 * high.max())
    ax.set_xticks(depth, depth + 1)
    ax.tick_params(labelsize=TEXT)
    ax.set_xlabel(f"layer of {row.model}, from input (1) to output ({row.last_depth + 1})", size=TEXT)
    ax.set_ylabel(metric_name(row.metric), size=TEXT)
    seeds = f"{row.n_seeds} seeds" if row.n_seeds > 1 else "one seed"
    for x, text, weight in (
        (-46, "b", "bold"),
        (-32, f"Score of every layer, mean of {row.n_folds} folds, {seeds} each", None),
    ):
        ax.annotate(text, (0, 1), (x, 8), "axes fraction", "offset points", size=HEAD, weight=weight)
    draw_lead(ax, row)
    entries = {
        "unseen classes": Line2D([], [], color=BEST, linewidth=2.2, marker="o", markersize=5),
        "interval": Patch(color=BEST, alpha=0.22, linewidth=0),
        "best layer": Line2D([], [], color=BEST, marker="o", markersize=9, mfc="none", mew=1.6, ls=""),
        "seen classes": Line2D([], [], color=GREY, linewidth=1.0),
        **{f"{name}, unseen": Line2D([], [], **look) for name, look in LEVELS.items()},
    }
    ax.legend(
        [*entries.values()], [*entries], loc="upper left", bbox_to_anchor=(-0.08, -0.2), frameon=False, fontsize=TEXT,
        handlelength=2.2, borderaxespad=0.0, ncols=3, columnspacing=2.0,
    )  # fmt: skip


def draw_lead(ax: Axes, row: SummaryRow) -> None:
    """Join the scores of the best and the last layer, and write by how much an earlier layer beats the last."""
    ax.set_xlim(-0.03 * row.last_depth - 0.1, row.last_depth * 1.06 + 0.1)
    x, arm = row.last_depth * 1.05, 0.012 * row.last_depth
    ends = (row.unseen, row.last_value)
    ax.plot([x - arm, x, x, x - arm], np.repeat(ends, 2), color=BEST, linewidth=1.4)
    low, high = row.lead_classes_at_least, row.lead_classes_at_most
    words = f"an earlier layer beats\nthe last by {low:+.3f}\nto {high:+.3f} (95 %)"
    ax.annotate(
        words, (x, np.mean(ends)), (8, 0), textcoords="offset points", va="center", color=BEST, size=HEAD,
        annotation_clip=False,
    )  # fmt: skip


def axes_at(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes at a place given in inches."""
    return figure.add_axes((left / WIDTH, bottom / HEIGHT, width / WIDTH, height / HEIGHT))


def text_at(figure: Figure, x: float, y: float, text: str, **look: Any) -> None:
    """Add text at a place given in inches."""
    figure.text(x / WIDTH, y / HEIGHT, text, {"size": TEXT, "va": "bottom"} | look)


def frame(ax: Axes, color: str, width: float) -> Axes:
    """Draw all four sides of axes without ticks; return the axes."""
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(visible=True, color=color, linewidth=width)
    return ax


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the picture into a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the PNG file")
    parser.add_argument("--dataset", default="handwriting")
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--metric", default="nmi")
    args = parser.parse_args(arguments)
    study = read_study(stage_path("aggregate", "--out"), args.dataset, args.model, args.metric)
    with mpl.rc_context(RC):
        draw(study).savefig(args.out, metadata={"Software": None})


if __name__ == "__main__":
    main()
