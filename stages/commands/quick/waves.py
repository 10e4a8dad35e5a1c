"""What embeddings tell, in waves.

Plain scores come first, layer by use; then the choice, its gain, ties and intervals, which take four times as long.
"""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tabulate import tabulate

from ...aggregate.words.scores import metric_name
from ...core.scores.catalogue import LAYER_SCORES, PROBE
from ...core.scores.description import ON_PAGE
from ...library import score
from ...measure.run import worker_count
from ...shared.runtime.package import PARAMS
from ..project import new_output

QUICK = sorted(
    (name for name, own in LAYER_SCORES.items() if own.quick),
    key=lambda name: (name == PROBE, ON_PAGE.index(LAYER_SCORES[name].use), LAYER_SCORES[name].rank),
)
"""The few scores that are measured: the main one first, the one that takes longest last."""

WAVES = ("plain scores", "linear probe", "gains and intervals")

AFTER_PLAIN = "Plain scores of each layer. The choice follows, with scores corrected for picking the best layer."


def answer(
    layers: dict[str, NDArray[np.float32]],
    labels: list[str],
    model: str,
    dataset: str,
    use: str | None,
    out: Path | None,
    command: str,
) -> None:
    """Print plain scores, then the choice; write it to a folder, with the command that does it again."""

    from ...library.settings import read_settings

    measure, aggregate, given = read_settings(PARAMS, ",".join(QUICK))
    waves, workers = iter(WAVES), worker_count(None)
    announce(next(waves), 1)

    def show(scores: pd.DataFrame) -> None:
        wave = next(waves)
        print(plain_table(scores), f"\n{AFTER_PLAIN}\n" if wave == WAVES[1] else "", sep="\n", flush=True)
        announce(wave, WAVES.index(wave) + 1)

    result = score(layers, labels, **given, dataset=dataset, model=model, workers=workers, on_scores=show)
    print(result.verdict(use or aggregate.use), flush=True)
    if out:
        from ...library.export import write_result

        with new_output(out) as scratch:
            measure = measure.model_copy(update={"analyses": []})
            write_result(scratch, result, measure=measure, aggregate=aggregate, command=command, workers=workers)
            np.savez(scratch / "embeddings.npz", allow_pickle=False, labels=np.array(labels), **layers)


def announce(wave: str, number: int) -> None:
    """Print what comes next."""
    print(f"quick: {number} of {len(WAVES)}, {wave}", file=sys.stderr, flush=True)


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
