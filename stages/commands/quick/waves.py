"""What embeddings tell, in waves.

Plain scores come first, layer by use; then the choice, its gain, ties and intervals, which take four times as long.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from tabulate import tabulate

from ...aggregate.words.formatting import wrapped
from ...aggregate.words.scores import metric_name
from ...aggregate.words.verdict import WIDTH
from ...core.choose import STEADY
from ...core.inference.scopes import MIN_CLASSES
from ...core.representations.choice import MIN_FITTED_CLASSES
from ...core.scores.catalogue import LAYER_SCORES, PROBE, is_clustered
from ...core.scores.description import ON_PAGE
from ...library import Result, score
from ...library.compared import compare
from ...measure.run import worker_count
from ...shared.runtime.errors import UserError
from ...shared.runtime.package import PARAMS
from ..plan.cost import duration
from ..project import new_output

if TYPE_CHECKING:
    from ...library.checks import Layers
    from ...library.representing import Representation, RepresentationChoice

QUICK = sorted(
    (name for name, own in LAYER_SCORES.items() if own.quick),
    key=lambda name: (name == PROBE, ON_PAGE.index(LAYER_SCORES[name].use), LAYER_SCORES[name].rank),
)
"""The few scores that are measured: the main one first, the one that takes longest last."""

WAVES = ("plain scores", "linear probe", "gains and intervals", "joins of layers")

AFTER_PLAIN = "Plain scores of each layer. The choice follows, with scores corrected for picking the best layer."

SOUGHT = (None, "retrieval")
"""Uses that search by nearest neighbours, whose loss from fewer dimensions is known; None: among all."""

UNUSED = f"quick: --dimensions has no effect: it needs {MIN_FITTED_CLASSES} classes"


def answer(
    sources: "Mapping[str, Layers]",
    labels: list[str],
    model: str,
    dataset: str,
    use: str | None,
    out: Path | None,
    command: str,
    dimensions: int | None = None,
) -> None:
    """Print plain scores, then the choice; write it to a folder, with the command that does it again.

    Args:
        sources: the layers of each network, input size and pooling.
        labels: (N,) classes.
        model, dataset: names in the verdict.
        use: the only one to look at; None: all.
        out: the folder.
        command: this one.
        dimensions: of the representation that is kept; None: all.
    """
    from ...library.settings import read_settings

    first, several = next(iter(sources)), len(sources) > 1
    layers, habit = (sources, (first, [*sources[first]][-1])) if several else (sources[first], None)
    compared = compare(layers, "quick", control=habit)
    asked = scores_of(use)
    measure, aggregate, given = read_settings(PARAMS, ",".join(asked))
    joins = len({*labels}) >= MIN_FITTED_CLASSES
    there = (asked != [PROBE], PROBE in asked, asked != [PROBE], joins)
    names, workers = [name for name, is_there in zip(WAVES, there, strict=True) if is_there], worker_count(None)
    announcements = iter([f"quick: {number} of {len(names)}, {name}" for number, name in enumerate(names, 1)])

    def announce() -> None:
        print(next(announcements), file=sys.stderr, flush=True)

    def show(scores: pd.DataFrame) -> None:
        is_first = PROBE not in scores or asked == [PROBE]
        print(plain_table(scores), f"\n{AFTER_PLAIN}\n" if is_first else "", sep="\n", flush=True)
        if is_first and asked != [PROBE]:
            print(f"quick: {cost(scores.attrs['seconds'], len({*labels}), workers, use)}", file=sys.stderr, flush=True)
        if asked != [PROBE]:
            announce()

    announce()
    given |= {"dataset": dataset, "model": model, "workers": workers, "on_scores": show}
    result = score(layers, labels, control=habit, **given)
    print(result.verdict(use or aggregate.use), flush=True)
    if dimensions and not joins:
        print(UNUSED, file=sys.stderr)
    choice = None
    if joins:
        announce()
        choice = result.representation.narrowed(use)
        print(f"\n{choice}{curve_of(choice, dimensions) if dimensions and use in SOUGHT else ''}", flush=True)
    if out:
        measure = measure.model_copy(update={"analyses": []})
        how = {"measure": measure, "aggregate": aggregate, "command": command, "workers": workers}
        how |= {"joined": None if several else choice}  # the page is of one network and of retrieval
        keep(out, result, {**compared.control_last, "labels": np.array(labels)}, choice, dimensions, **how)


def keep(
    out: Path,
    result: Result,
    arrays: Mapping[str, Any],
    choice: "RepresentationChoice | None",
    dimensions: int | None,
    **how: Any,
) -> None:
    """Write the page and tables, the embeddings, and the representation, if one was chosen, to a folder.

    Args:
        out: the folder.
        result: of `score`.
        arrays: of embeddings.npz.
        choice: of representations.
        dimensions: of the representation; None: all.
        how: what `write_result` takes.
    """
    from ...library.export import write_result

    with new_output(out) as scratch:
        write_result(scratch, result, **how)
        np.savez(scratch / "embeddings.npz", allow_pickle=False, **arrays)
        if choice is not None:
            choice.write(scratch, fitted(choice, dimensions))


def fitted(choice: "RepresentationChoice", dimensions: int | None) -> "Representation":
    """Fit the choice; if there are not so many dimensions, keep all, as the work is done, and print that."""
    try:
        return choice.fit(dimensions)
    except UserError as error:
        print(f"quick: the representation keeps all features: {error}", file=sys.stderr)
        return choice.fit()


def scores_of(use: str | None) -> list[str]:
    """List the scores that are measured for a use, with the one that names its layer where labels are few."""
    own = [name for name in QUICK if use in (None, LAYER_SCORES[name].use)]
    return [*own, *(name for name in [STEADY.get(str(use))] if name and name not in own)]


def curve_of(choice: "RepresentationChoice", dimensions: int) -> str:
    """Write the score of fewer dimensions, and whether those asked for reach no more than the habit."""
    from ...library.representing import DIMENSIONS

    curve, habit = (
        choice.curve_at(sorted({*DIMENSIONS, dimensions}))["map_at_r"],
        choice.choice.values[choice.choice.control],
    )
    told = f"MAP@R by dimensions: {', '.join(f'{count}: {score:.3f}' for count, score in curve.items())}."
    if curve.get(dimensions, np.inf) <= habit:
        told += f" With {dimensions} it is no better than the habit ({habit:.3f})."
    return f"\n{wrapped(told, WIDTH)}"


def cost(seconds: Mapping[str, float], classes: int, workers: int, use: str | None) -> str:
    """Return what refits will take, by the seconds of the plain scores; within a factor of 2 on an idle machine.

    Measured on 240 to 1,500 images: neighbours are scored again in 1.5 times as long, as they are sorted once for all
    parts; clusters in 2.5 times as long without classes, and of fewer, with halves, in 5 times as long.
    """
    clusters = sum({seconds[name] for name in seconds if is_clustered(name)})
    others = 1.5 * sum({seconds[name] for name in seconds if not is_clustered(name)}) / workers
    again = 2.5 if classes >= MIN_CLASSES else 5
    told = f"gains and intervals: about {duration(others + again * clusters / workers)}"
    return told if use else f"{told}; --use retrieval: {duration(others)}"


def plain_table(scores: pd.DataFrame) -> str:
    """Tabulate scores: a row per layer, a column per score, below the use that it is for."""
    headings = ["layer", *(f"{LAYER_SCORES[str(name)].use}\n{metric_name(str(name))}" for name in scores)]
    rows = [
        [layer, *(f"{value:.3f}" for value in own)] for layer, own in zip(scores.index, scores.to_numpy(), strict=True)
    ]
    return tabulate(rows, headings, tablefmt="plain", disable_numparse=True)


def plain_name(text: str) -> str:
    """Replace what a name in tables cannot have by `_`."""
    return re.sub(r"\W", "_", text, flags=re.ASCII)
