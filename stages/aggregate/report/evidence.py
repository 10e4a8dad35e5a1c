"""What the results say of the networks of each dataset, as the rules of the findings want it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from stages.aggregate.curves import MEAN, Scores
from stages.aggregate.inference.accuracy_difference import difference_over_folds, difference_over_images
from stages.aggregate.inference.accuracy_intervals import by_cell
from stages.aggregate.inference.contrasts import Estimate, Float64, Inference
from stages.aggregate.inference.image_scores import ByFold, ImageScores
from stages.aggregate.inference.intervals import point_keys
from stages.aggregate.inference.layer_comparison import Direction, Lead, best_against, best_of_two
from stages.aggregate.inference.network_data import Gathered
from stages.aggregate.inference.refits import FEWEST_FOLDS, Key, Replicates, over_classes, over_images
from stages.aggregate.report.accuracy_rule import (
    AccuracyEvidence,
    AccuracyFinding,
    NetworkAccuracy,
    NetworkPair,
    judge_accuracy,
)
from stages.aggregate.report.depth_rule import DepthFinding, judge_depth
from stages.aggregate.report.fine_tuning_rule import FineTuningFinding
from stages.aggregate.report.folds import single_folds
from stages.aggregate.tables.summary import SummaryRow
from stages.shared.embeddings.split_names import SEEN, UNSEEN

Infer = Callable[..., Inference | None]


@dataclass(frozen=True)
class DatasetEvidence:
    """What is known of the networks of one dataset.

    Attributes:
        rows: main rows of summary.csv, in the order of the grid.
        accuracy: whether accuracy implies generalization.
        depth: whether an earlier layer beats the last, one for each row.
        fine_tuning: what fine-tuning did, of networks that have a checkpoint of step 0 and a later one.
        fold_rows: the same networks fold by fold; none of a single fold.
    """

    rows: list[SummaryRow]
    accuracy: AccuracyFinding
    depth: list[DepthFinding]
    fine_tuning: list[FineTuningFinding]
    fold_rows: list[SummaryRow]


@dataclass(frozen=True)
class Network:
    """One network on one dataset.

    Attributes:
        row: its main row.
        last: the main score of its layers and the raw pixels at the last step; None where a value is missing.
        first: the same at step 0; None where there is no step 0, or no later one.
        layers: the embeddings of its main curve.
        pixels: the embedding of raw pixels; None where it was not measured.
        accuracies: (J, S) of its own head; None where it has none.
        pixel_accuracies: (J, S) of the linear probe on raw pixels, on the same images; None where not measured.
        images: what its images say; None where they were not kept.
    """

    row: SummaryRow
    last: Replicates | None
    first: Replicates | None
    layers: list[Key]
    pixels: Key | None
    accuracies: Float64 | None
    pixel_accuracies: Float64 | None
    images: ImageScores | None

    @property
    def better(self) -> Direction:
        """Which values of the main score are better."""
        return "lower" if self.row.lower_is_better else "higher"


def collect_evidence(
    summary: Sequence[SummaryRow],
    scores: Scores,
    known: Gathered,
    margin: float,
) -> list[DatasetEvidence]:
    """Collect what the findings are judged by, dataset by dataset.

    Args:
        summary: rows of summary.csv.
        scores: curves averaged over seeds and folds.
        known: what else is known of each network.
        margin: accuracy below the best network's up to which a network counts as accurate.
    """
    found = []
    for dataset in dict.fromkeys(row.dataset for row in summary):
        rows = [row for row in summary if row.main and row.dataset == dataset]
        of_dataset = [_network(row, scores, known) for row in rows]
        judged = [net for net in of_dataset if net.accuracies is not None]
        by_classes = _accuracies(judged, _over_folds, over_classes) if len(scores.folds) >= FEWEST_FOLDS else None
        found.append(
            DatasetEvidence(
                rows=rows,
                accuracy=judge_accuracy(by_classes, _accuracies(judged, _over_images, over_images), margin=margin),
                depth=[_depth(net) for net in of_dataset],
                fine_tuning=[_fine_tuning(net) for net in of_dataset if net.last and net.first],
                fold_rows=[row for row in single_folds(summary) if row.dataset == dataset],
            )
        )
    return found


def _network(row: SummaryRow, scores: Scores, known: Gathered) -> Network:
    name = (row.dataset, row.model)
    network = known.networks[name]
    curve = scores.curves
    curve = curve[(curve["dataset"] == row.dataset) & (curve["model"] == row.model) & (curve["fold"] == MEAN)]
    curve = curve[curve["main"] & (curve["metric"] == row.metric) & (curve["split"] == UNSEEN)]
    points = curve[curve["step"] == row.step].sort_values("depth")
    pixels = network.layers[(network.layers["depth"] == -1).fillna(value=False)]
    key: Key | None = None if pixels.empty else (str(pixels.iloc[0]["layer"]), str(pixels.iloc[0]["pooling"]))
    trained = row.step > 0 and (curve["step"] == 0).any()
    probed = pixels[(pixels["metric"] == "probe_accuracy") & (pixels["split"] == SEEN) & (pixels["step"] == row.step)]
    return Network(
        row=row,
        last=network.at(row.metric, row.step),
        first=network.at(row.metric, 0) if trained else None,
        layers=point_keys(points),
        pixels=key,
        accuracies=known.accuracies.get(name),
        pixel_accuracies=None if probed.empty else by_cell(probed, network.run),
        images=known.images[name],
    )


def _accuracies(networks: Sequence[Network], difference: "Difference", infer: Infer) -> AccuracyEvidence | None:
    """Compare all networks in one scope; None where that scope's replicates or images are missing."""
    best = max(networks, key=lambda net: float(np.mean(net.accuracies)), default=None)  # type: ignore[arg-type]
    if best is None:
        return None
    pairs = [_pair(first, second, difference, infer) for first, second in combinations(networks, 2)]
    known = [pair for pair in pairs if pair is not None]
    if len(known) < len(pairs):
        return None
    accurate = [
        NetworkAccuracy(
            name=net.row.model,
            accuracy=float(np.mean(net.accuracies)),  # type: ignore[arg-type]
            to_best=None if net is best else difference(_own(net), _own(best)),
            over_pixels=difference(_own(net), _of_pixels(net)),
        )
        for net in networks
    ]
    return AccuracyEvidence(accurate, known)


def _pair(first: Network, second: Network, difference: "Difference", infer: Infer) -> NetworkPair | None:
    accuracy = difference(_own(first), _own(second))
    g = None if first.last is None or second.last is None else _difference_of_g(
        first.last.take(first.layers), second.last.take(second.layers), infer, first.better
    )  # fmt: skip
    if accuracy is None or g is None:
        return None
    return NetworkPair(first.row.model, second.row.model, accuracy, g)


def _difference_of_g(first: Replicates, second: Replicates, infer: Infer, better: Direction) -> Estimate | None:
    """By how much the first's best layer beats the second's; None where the scope lacks replicates of either."""
    inference = infer(first, second)
    return None if inference is None else best_of_two(inference, len(first.keys), better=better)


@dataclass(frozen=True)
class _Accuracy:
    """One classifier's accuracy, by fold and seed, and by test image."""

    by_cell: Float64 | None
    by_image: ByFold


Difference = Callable[[_Accuracy, _Accuracy], Estimate | None]


def _own(network: Network) -> _Accuracy:
    return _Accuracy(network.accuracies, network.images.accuracy if network.images else {})


def _of_pixels(network: Network) -> _Accuracy:
    return _Accuracy(network.pixel_accuracies, network.images.pixels if network.images else {})


def _over_folds(first: _Accuracy, second: _Accuracy) -> Estimate | None:
    if first.by_cell is None or second.by_cell is None:
        return None
    return difference_over_folds(first.by_cell, second.by_cell)


def _over_images(first: _Accuracy, second: _Accuracy) -> Estimate | None:
    folds = [first.by_image[fold] - second.by_image[fold] for fold in first.by_image if fold in second.by_image]
    return difference_over_images(folds) if folds and len(folds) == len(first.by_image) else None


def _depth(network: Network) -> DepthFinding:
    row = network.row
    over_pixels: list[Lead | None] = []
    if network.last is not None and network.pixels is not None:
        both = network.last.take([*network.layers, network.pixels])
        inferences = [infer(both) for infer in (over_classes, over_images)]
        over_pixels = [best_against(known, better=network.better) for known in inferences if known is not None]
    return judge_depth(
        row.model,
        row.lead,
        classes=_lead(row.lead_classes_at_least, row.lead_classes_at_most),
        images=_lead(row.lead_images_at_least, row.lead_images_at_most),
        over_pixels=next((lead for lead in over_pixels if lead is not None), None),
    )


def _lead(at_least: float | None, at_most: float | None) -> Lead | None:
    return None if at_least is None or at_most is None else Lead(at_least, at_most)


def _fine_tuning(network: Network) -> FineTuningFinding:
    assert network.last is not None
    assert network.first is not None
    last, first = (part.take(network.layers) for part in (network.last, network.first))
    classes, images = (_difference_of_g(last, first, infer, network.better) for infer in (over_classes, over_images))
    row = network.row
    known = None if row.accuracy is None or row.accuracy_chance is None else (row.accuracy_chance, row.accuracy)
    return FineTuningFinding(row.model, classes, images, accuracy=known)
