"""What a study of this design shows of other classes, in words, and what a smaller lead takes."""

from math import ceil

from stages.aggregate.findings.power import POWER, Power


def power_sentence(power: Power, wanted: float | None = None) -> str:
    """Say which lead and difference such studies show, and how many folds, seeds or classes a wanted lead takes.

    Args:
        power: of one network.
        wanted: lead over the last layer; None: half the one that is shown.
    """
    wanted = _up(power.lead / 2) if wanted is None else wanted
    told = max(f"{wanted:.2f}", f"{wanted:g}", key=len)
    return (
        f"{power.dataset}, {power.model}: of other classes, {100 * POWER:.0f} % of studies like this one show a lead "
        f"of {_up(power.lead):.2f} over the last layer, and that a layer is worse which is "
        f"{_up(power.difference):.2f} below the best. A lead of {told} takes {_needed(power, wanted)}."
    )


def _up(value: float) -> float:
    """Round up to two decimals, so that what is said to be shown is."""
    return ceil(round(100 * value, 6)) / 100


def _needed(power: Power, wanted: float) -> str:
    """Write what a lead takes, each with the rest of the design as it is."""
    each, least = " in each fold" if power.folds else "", "at least " if power.folds and not power.seeds else ""
    numbers = (
        (power.folds, "fold", "folds", "", ""),
        (power.seeds, "seed", "seeds", each, ""),
        (power.classes, "unseen class", "unseen classes", each, least),
    )
    texts = []
    for leads, one, several, where, before in numbers:
        enough = next((number for number, lead in leads.items() if lead <= wanted), None)
        if enough is not None:
            texts.append(f"{before}{enough} {one if enough == 1 else several}{where}")
        elif leads:
            texts.append(f"more than {max(leads)} {several}{where}")
    return ", or ".join(texts)
