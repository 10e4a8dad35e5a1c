"""The analyses of the last checkpoint, some of the first as well, by name: what each reads. It imports nothing heavy.

An analysis NAME is the function NAME of stages/measure/analyses/NAME.py. If it fills a table, that has its name, and
its columns are in `ANALYSIS_TABLES` of stages/shared/tables/metric_table.py. docs/analyses.md defines each.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from stages.shared.embeddings.split_names import SEEN, UNSEEN
from stages.shared.runtime.errors import UserError
from stages.shared.tables.scores import Normalize

Extra = Literal["train", "corrupted"]
EXTRA: dict[Extra, str] = {
    "train": "embed.train_per_class to be more than 0",
    "corrupted": "embed.corruptions.kinds to name some",
}
"""Images that may be embedded at the last checkpoint alone, and what asks for them."""


@dataclass(frozen=True)
class Analysis:
    """What an analysis reads.

    Attributes:
        splits: scored splits; it belongs to the job of the first, and without any to every job.
        reads: further splits, of which it reads embeddings alone.
        extra: images embedded at the last checkpoint alone.
        whole_network: it looks at all layers at once, as NAME(cell), else at one, as NAME(cell, layer, split).
        ends: of one layer; it looks at the first checkpoint as well as at the last, as NAME(cell, layer, split, step).
        head: of one layer; the function `head(cell)` beside it scores the network's own head.
        probe: it fits the linear probe on its first split.
        scaling: of its split's rows, where `measure.normalize` asks for any.
    """

    splits: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    extra: Extra | None = None
    whole_network: bool = False
    ends: bool = False
    head: bool = False
    probe: bool = False
    scaling: Normalize = "none"

    def belongs_to(self, split: str) -> bool:
        """Whether the job of a layer's embedding of a split carries it out."""
        return not self.whole_network and split in (self.splits[:1] or (split,))


ANALYSES = {
    "seen_matched": Analysis((UNSEEN, SEEN), scaling="l2"),
    "k_sensitivity": Analysis(scaling="l2"),
    "layer_pairs": Analysis(whole_network=True),
    "scalings": Analysis((UNSEEN,), ends=True, scaling="l2"),
    "joined": Analysis((UNSEEN,), whole_network=True),
    "ood": Analysis((UNSEEN,), (SEEN,), extra="train"),
    "corruptions": Analysis((SEEN,), extra="corrupted", head=True, probe=True),
}


def load(name: str, function: str | None = None) -> Callable[..., Any]:
    """Import an analysis and return its function, or another one beside it; the result is an `AnalysisResult`."""
    found: Callable[..., Any] = getattr(import_module(f"{__package__}.{name}"), function or name)
    return found


def check_embedded(names: Collection[str], splits: Collection[str], extra: Collection[Extra]) -> None:
    """Check that what analyses read is embedded.

    Args:
        names: the analyses.
        splits: the splits that are embedded.
        extra: what is embedded at the last checkpoint alone.

    Raises:
        UserError: naming the first analysis that lacks something, and both remedies.
    """
    for name in names:
        analysis = ANALYSES[name]
        needed = analysis.splits + analysis.reads
        missing = [f"embed.splits to list {split!r}" for split in needed if split not in splits]
        missing += [EXTRA[analysis.extra]] if analysis.extra and analysis.extra not in extra else []
        if missing:
            raise UserError(
                f"measure.analyses: {name!r} needs {missing[0]}, but embedded are the images {', '.join(splits)}"
                f"{''.join(f', {kind}' for kind in extra)}; change that, or take {name} out of measure.analyses"
            )
