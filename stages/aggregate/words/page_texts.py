"""The texts of the page's own parts: names of uses, columns of its tables, and cards."""

from typing import Any

from stages.aggregate.inference.gain import Gain
from stages.aggregate.recommend.schema import Recommendation
from stages.aggregate.words.formatting import MISSING, place
from stages.aggregate.words.recommendation import at_checkpoint, doubt, gain_words, reason, use_cells
from stages.aggregate.words.scores import metric_name

USES: dict[str, str] = {
    "discovery": "Discovery of classes, clustering",
    "retrieval": "Retrieval",
    "classifier": "Classifiers",
    "detection": "Detection of unseen classes",
    "geometry": "Geometry of the embeddings",
}

NETWORK_COLUMNS = [
    ("model", "network", ""), ("dataset", "dataset", ""), ("best", "best layer", "counted from 1 at the input"),
    ("layer", "name", ""), ("value", "unseen", "of the best layer on unseen classes, as chosen: too high"),
    ("range", "interval", "of other classes if known, else of other images"),
    ("last", "last layer", "score of the last layer on unseen classes"),
    ("gain", "gain", "over the last layer, of choosing a layer by this score (docs/results.md); over all folds"),
    ("least", "at least", "lower end of its interval"),
    ("seen", "seen", "best score of any layer on test images of the seen classes"),
    ("accuracy", "accuracy", "of the network on seen classes"),
    ("parameters", "parameters", "share of the network's parameters up to the best layer"),
    ("operations", "multiply-adds", "share of the network's multiply-adds up to the best layer"),
]  # fmt: skip
LAYER_COLUMNS = [
    ("layer", "name", ""), ("number", "layer", "counted from 1 at the input"),
    ("unseen", "unseen", "score on unseen classes"),
    ("range", "interval", "of other classes if known, else of other images"),
    ("tied", "ties", "whether it is not distinguishable from the best layer"),
    ("seen", "seen", "score on test images of the seen classes"),
    ("parameters", "parameters", "share of the network's parameters up to this layer"),
    ("operations", "multiply-adds", "share of the network's multiply-adds up to this layer"),
]  # fmt: skip


def card_texts(found: Recommendation) -> dict[str, Any]:
    """Return the texts of the card of one use: the answer, the doubt, and numbers with what stands under each."""
    chosen, cells = found.recommended, use_cells(found)
    if chosen is None:
        return {"use": cells["use"], "answer": f"No recommendation: {reason(found)}.", "doubt": "", "numbers": []}
    score, _, interval = cells["score"].partition(" ")
    return {
        "use": cells["use"],
        "answer": f"Layer {place(chosen.depth, found.last_depth)} ({chosen.layer}){at_checkpoint(found)}",
        "doubt": doubt(found),
        "numbers": [
            (metric_name(found.metric), score, interval),
            ("gain over the last layer", *_parts(found.gain_over_last)),
            ("over the one before it", *_parts(found.gain_over_before)),
            *_untrained(found),
            ("ties (at most)", cells["ties (at most)"], ""),
            ("parameters", cells["parameters"], _of_all(chosen.parameters, chosen.parameters_share)),
            ("multiply-adds", cells["multiply-adds"], _of_all(chosen.operations, chosen.operations_share)),
        ],
    }


def _parts(gain: Gain) -> tuple[str, str]:
    """A gain, and its interval."""
    value, _, interval = gain_words(gain).partition(" ")
    return value or MISSING, interval


def _untrained(found: Recommendation) -> list[tuple[str, str, str]]:
    """The gain of the network before fine-tuning over its own last layer, and of which layer it is."""
    if found.untrained is None:
        return []
    gain, interval = _parts(found.untrained.gain_over_last)
    where = f"layer {place(found.untrained.layer.depth, found.last_depth)}"
    return [("untrained, over its own last", gain, f"{interval} {where}".lstrip())]


def _of_all(part: int | None, share: float | None) -> str:
    return f"of {float(f'{part / share / 1e6:.3g}'):,g} million" if part and share else ""
