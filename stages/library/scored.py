"""The scores of arrays by fold and layer, which `scoring` fills: table, choice and facts, which `Result` shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import fsum, isnan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..aggregate.facts import Facts, Recommendation
from ..aggregate.findings.outcomes import AccuracyFinding, DatasetFindings, NetworkFindings, Status
from ..aggregate.recommend.record import record, with_shares
from ..aggregate.tables.summary_row import LEADS, SummaryRow
from ..core.choose import Candidates, Decision, decide, levels_not_beaten, naming_score
from ..core.inference.best import best_index
from ..core.inference.layer_comparison import infer_layers
from ..core.inference.refitted import Refits, find_groups
from ..core.inference.scopes import MIN_CLASSES
from ..core.scores.catalogue import LAYER_SCORES
from ..core.scores.description import Score, facts_of, leading_scores
from ..core.scores.embedded_split import Settings
from ..core.scores.halves import halves_seed
from ..core.scores.kmeans import Search
from ..core.scores.layer import LayerScores, few_clusters, split_settings, unusable_images, zero_rows
from ..core.scores.refits import Parts, draw_parts, left_out_part
from ..measure.score_params import ScoreParams, notes_on_refits
from ..shared.embeddings.split_names import BASELINE, UNSEEN
from ..shared.runtime.errors import UserError

SEED = 0
"""Root seed of what is drawn, as of the first training of a network."""


@dataclass(frozen=True)
class Fold:
    """The unseen images of one fold.

    Attributes:
        rows: (n,) their places among all images.
        labels: (n,) their classes.
        y: (n,) the same as integers.
        groups: (n,) their groups; None: they have none.
        settings, parts: how they are scored, and scored again.
        notes: what there is not to score again.
    """

    rows: NDArray[np.int64]
    labels: NDArray[np.str_]
    y: NDArray[np.int64]
    groups: NDArray[np.str_] | None
    settings: Settings
    parts: Parts
    notes: list[str]


def fold_of(samples: pd.DataFrame, number: int, measure: ScoreParams, dataset: str) -> Fold:
    """Take the unseen images of one fold from the table of all.

    Raises:
        UserError: only images of other groups are neighbours, and there is one group.
    """
    own = samples[(samples["fold"] == number) & (samples["split"] == UNSEEN)]
    labels = own["label"].to_numpy(dtype=str)
    groups = own["group"].to_numpy(dtype=str) if (own["group"] != "").any() else None
    y, apart = np.unique(labels, return_inverse=True)[1], measure.neighbours == "other_groups"
    kmeans, refits, probe = measure.kmeans, measure.refits, measure.probe
    search, on_halves = (Search(each.starts, each.polished, kmeans.seed) for each in (kmeans, refits))
    near = groups if apart else None
    settings = split_settings(y, search=search, C=probe.C, folds=probe.folds, seed=SEED, groups=near)
    seed = halves_seed(dataset, str(number), own["sample_id"])
    parts, notes = draw_parts(labels, groups, count=refits.halves, seed=seed, search=on_halves, apart=apart)
    return Fold(np.flatnonzero(samples.index.isin(own.index)), labels, y, groups, settings, parts, notes)


def spare_halves(folds: Sequence[Fold]) -> list[Fold]:
    """Leave out the halves where classes tell of other classes, so that no interval over images is shown."""
    counts = [len(fold.parts.groups) for fold in folds]
    tell = len({*counts}) == 1 and sum(counts) >= MIN_CLASSES and not any(fold.notes for fold in folds)
    return [replace(fold, parts=replace(fold.parts, halves=fold.parts.halves[:0])) if tell else fold for fold in folds]


@dataclass(frozen=True)
class Scored:
    """Scores of every layer of every fold, and what is inferred of them.

    Attributes:
        layers: names, and what each takes (`LayerRecord`), from input to output, raw pixels first if there are any.
        folds: the images of each fold.
        found: scores by fold and layer; `scoring` adds to them wave by wave.
        measure: how they were scored, the main score first.
        worthwhile: gain up to which choosing does not pay.
        dataset, model: names.
        notes: what a user should know, one sentence each.
        drawn: the same of images that were drawn from more.
    """

    layers: Mapping[str, Mapping[str, Any]]
    folds: Sequence[Fold]
    found: dict[tuple[int, str], LayerScores]
    measure: ScoreParams
    worthwhile: float
    dataset: str
    model: str
    notes: list[str]
    drawn: list[str]

    @property
    def names(self) -> list[str]:
        """Names of the layers, from input to output."""
        return [name for name in self.layers if name != BASELINE]

    @cached_property
    def catalogue(self) -> dict[str, Score]:
        """The facts of the scores."""
        return facts_of(LAYER_SCORES, self.measure.normalize)

    def values(self, metric: str, name: str, what: str = "value") -> NDArray[np.float64]:
        """Return a score of one layer in each fold, (J,), or its chance level."""
        found = [self.found[fold, name].scores[metric] for fold in range(len(self.folds))]
        return np.array([getattr(each, what) for each in found])

    @cached_property
    def table(self) -> pd.DataFrame:
        """Scores, mean over folds: a row per layer, a column per score."""
        rows = [
            {"depth": each["depth"], "layer": name, "metric": metric, "value": value}
            for fold in range(len(self.folds))
            for name, each in self.layers.items()
            for metric in self.found[fold, name].scores
            for value in [self.found[fold, name].scores[metric].value]
        ]
        table = pd.DataFrame(rows).pivot_table(index=["depth", "layer"], columns="metric", values="value", sort=False)
        return table.sort_index(level="depth").droplevel("depth").rename_axis(columns=None)

    def refits(self, metric: str) -> Refits | None:
        """Arrange one score of all layers, raw pixels among them; None if a value is not finite."""
        values = np.stack([self.values(metric, name) for name in self.layers], axis=-1)[:, None]
        if not np.isfinite(values).all():
            return None
        again = [
            np.stack([self.found[fold, name].refits.get(metric, np.empty(0)) for name in self.layers], axis=-1)
            for fold in range(len(self.folds))
        ]
        cuts = [min(len(fold.parts.groups), len(each)) for fold, each in zip(self.folds, again, strict=True)]
        orders = [_order(fold, cut) for fold, cut in zip(self.folds, cuts, strict=True)]
        without = _padded([each[order] for each, order in zip(again, orders, strict=True)])
        halves = _padded([each[cut:] for each, cut in zip(again, cuts, strict=True)])
        keys = [(name, str(own["pooling"])) for name, own in self.layers.items()]
        groups = [find_groups(fold.labels, fold.groups) for fold in self.folds if fold.groups is not None]
        found = Refits.of(keys, self.catalogue[metric], values, without, halves)
        return replace(found, groups=tuple(each for each in groups if each) or None, frozen=True)

    def row(self, metric: str) -> SummaryRow | None:
        """Sum one score up; None if no layer is best by it."""
        better, names = self.catalogue[metric].better, self.names
        means = np.stack([self.values(metric, name) for name in names], axis=-1).mean(axis=0)
        best = best_index(means, better)
        if best is None or better == "neither":
            return None
        chance = fsum(self.values(metric, names[best], "chance")) / len(self.folds)
        pixels = float(self.values(metric, BASELINE).mean()) if BASELINE in self.layers else None
        return SummaryRow(
            dataset=self.dataset,
            model=self.model,
            fold="mean",
            pooling="none",
            step=0,
            n_folds=len(self.folds),
            n_seeds=1,
            metric=metric,
            unseen=float(means[best]),
            best_layer=names[best],
            best_depth=best,
            last_depth=len(names) - 1,
            last_layer=names[-1],
            main=metric == self.measure.metrics[0],
            better=better,
            baseline=None if pixels is None or isnan(pixels) else pixels,
            chance=None if isnan(chance) else chance,
        )

    @cached_property
    def rows(self) -> dict[str, SummaryRow]:
        """The scores by which a layer is best."""
        return {metric: row for metric in self.measure.metrics if (row := self.row(metric)) is not None}

    def candidates(self, metric: str) -> Candidates:
        """Return what can be chosen by one score."""
        arranged = self.refits(metric)
        keys = {name: (name, str(own["pooling"])) for name, own in self.layers.items()}
        gains = np.stack([self.values(metric, name) for name in self.names], axis=-1)[:, None]
        return Candidates(
            score=self.catalogue[metric],
            gains=self.catalogue[metric].sign * gains,
            refits={0: arranged and arranged.take([keys[name] for name in self.names])},
            levels=self.rows[metric].levels,
            pixels={} if self.rows[metric].baseline is None else {0: arranged and arranged.take([keys[BASELINE]])},
        )

    @cached_property
    def decisions(self) -> dict[str, tuple[Recommendation, Decision]]:
        """The record and the decision of each use."""
        decided = {}
        described = with_shares([self.layers[name] for name in self.names])
        for use, metric in leading_scores(self.rows, self.measure.metrics[0], self.catalogue).items():
            n_classes = sum(len({*fold.y}) for fold in self.folds)
            fewest = min(np.bincount(fold.y).min() for fold in self.folds)
            measured = {name: self.catalogue[name] for name in self.rows}
            by = naming_score(use, metric, measured, n_classes=n_classes, least_images=fewest)
            network = replace(self.candidates(metric), by=None if by == metric else self.candidates(by))
            decision = decide(network, self.worthwhile)
            assert decision is not None, "this score has a best layer"
            found = record(
                network,
                decision,
                described,
                dataset=self.dataset,
                model=self.model,
                use=use,
                metric=metric,
                n_folds=len(self.folds),
                n_seeds=1,
                n_classes=max(int(fold.y.max()) + 1 for fold in self.folds),
                n_images=sum(len(fold.y) for fold in self.folds),
                last_step=0,
                last_depth=len(self.names) - 1,
                fine_tuning=None,
                regret=[],
                neighbours=self.measure.neighbours,
            )
            decided[use] = found, decision
        return decided

    @cached_property
    def facts(self) -> Facts:
        """What the verdict is made of."""
        main = self.measure.metrics[0]
        if main not in self.rows:
            raise UserError(f"metrics: {main} has no finite value at any layer; put another score first")
        network, row = self.candidates(main), self.rows[main]
        layers = network.refits[0]
        for scope, known in infer_layers(layers).items() if layers else ():
            numbers = known.lead.value, known.lead.low, known.lead.high
            leads: dict[str, Any] = dict(zip(LEADS[scope], numbers, strict=True))
            known_leads: dict[str, Any] = {name: None if isnan(lead) else lead for name, lead in leads.items()}
            row = replace(row, **known_leads)
        in_scope = not levels_not_beaten([layers], network.levels, [*network.pixels.values()])
        findings = DatasetFindings([NetworkFindings(row, in_scope)], AccuracyFinding(Status.UNKNOWN, {}))
        return Facts([found for found, _ in self.decisions.values()], [findings], claims=False)

    def curve(self, use: str) -> pd.DataFrame:
        """Tabulate a use's score of each layer, `low` and `high` if it has intervals, and whether it is named."""
        found, decision = self.decisions[use]
        means = [float(self.values(found.metric, name).mean()) for name in self.names]
        table = pd.DataFrame({"layer": self.names, "value": means})
        if found.best.scope:
            known = decision.sure[found.best.scope]
            table = table.assign(low=known.low, high=known.high)
        return table.assign(named=table["layer"] == found.best.layer)


def _order(fold: Fold, count: int) -> list[int]:
    """Order so many left-out parts by name, as tables are: sums then have the same digits."""
    names = np.unique(fold.labels)
    return sorted(range(count), key=lambda number: left_out_part(names[fold.parts.groups[number]].tolist()))


def _padded(parts: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Put values on parts, (P, E) of each fold, into one array (J, 1, P, E); NaN where a fold has fewer parts."""
    most = max(len(each) for each in parts)
    padded = np.full((len(parts), 1, most, parts[0].shape[1]), np.nan)
    for each, own in zip(padded, parts, strict=True):
        each[0, : len(own)] = own
    return padded


def notes(scored: Scored) -> list[str]:
    """List what a user should know about the scores."""
    told, names = list[str](), list(scored.layers)
    for number, fold in enumerate(scored.folds):
        found = [scored.found[number, name] for name in names]
        told += notes_on_refits(scored.measure, fold.notes)
        for name, own in zip(names, found, strict=True):
            told += few_clusters(f"layer {name!r}, step 0, split 'unseen'", own.clusterings, int(fold.y.max()) + 1)
        told += zero_rows([(UNSEEN, name, own.zero_rows) for name, own in zip(names, found, strict=True)])
        told += unusable_images([(UNSEEN, own.scores) for own in found])
    return told
