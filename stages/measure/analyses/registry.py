"""The analyses of the last checkpoint, some of the first as well, by name: what each reads. It imports nothing heavy.

An analysis NAME is the function NAME of stages/measure/analyses/NAME.py. If it fills a table, that has its name, and
its columns are in `ANALYSIS_TABLES` of stages/shared/tables/metric_table.py. docs/scores.md#analyses defines each.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ...core.scores.description import Normalize
from ...shared.embeddings.split_names import SEEN, UNSEEN
from ...shared.runtime.errors import UserError


@dataclass(frozen=True)
class Analysis:
    """What an analysis reads.

    Attributes:
        splits: scored splits; it belongs to the job of the first, and without any to every job.
        reads: further splits, of which it reads embeddings alone.
        tuned_reads: the same of fine-tuned networks only.
        training: whether it reads training images, which are embedded at the last checkpoint alone.
        whole_network: it looks at all layers at once, as NAME(cell), else at one, as NAME(cell, layer, split).
        all_sets: such a one looks at all sets of the cell's classes at once, as NAME(cells), with a result for each.
        ends: of one layer; it looks at the first checkpoint as well as at the last, as NAME(cell, layer, split, step).
        scaling: of its split's rows, where `measure.normalize` asks for any.
    """

    splits: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    tuned_reads: tuple[str, ...] = ()
    training: bool = False
    whole_network: bool = False
    all_sets: bool = False
    ends: bool = False
    scaling: Normalize = "none"

    def belongs_to(self, split: str) -> bool:
        """Whether the job of a layer's embedding of a split carries it out."""
        return not self.whole_network and split in (self.splits[:1] or (split,))


ANALYSES = {
    "seen_matched": Analysis((UNSEEN, SEEN), scaling="l2"),
    "k_sensitivity": Analysis(scaling="l2"),
    "layer_pairs": Analysis(whole_network=True),
    "scalings": Analysis((UNSEEN,), ends=True, scaling="l2"),
    "ood": Analysis((UNSEEN,), (SEEN,), training=True),
    "representations": Analysis((UNSEEN,), tuned_reads=(SEEN,), whole_network=True, all_sets=True),
}


def load(name: str) -> Callable[..., Any]:
    """Import an analysis and return its function; the result is an `AnalysisResult`."""
    found: Callable[..., Any] = getattr(import_module(f"{__package__}.{name}"), name)
    return found


def check_embedded(names: Collection[str], splits: Collection[str], *, training: bool, frozen: bool) -> None:
    """Check that what analyses read is embedded.

    Args:
        names: the analyses.
        splits: the splits that are embedded.
        training: whether training images are embedded at the last checkpoint.
        frozen: whether no network is fine-tuned.

    Raises:
        UserError: naming the first analysis that lacks something, and both remedies.
    """
    for name in names:
        analysis = ANALYSES[name]
        needed = analysis.splits + analysis.reads + (() if frozen else analysis.tuned_reads)
        missing = [f"embed.splits to list {split!r}" for split in needed if split not in splits]
        missing += ["embed.train_per_class to be more than 0"] if analysis.training and not training else []
        if missing:
            raise UserError(
                f"measure.analyses: {name!r} needs {missing[0]}, but embedded are the images {', '.join(splits)}"
                f"{', train' * training}; change that, or remove {name} from measure.analyses"
            )
