"""The verdict: what a finished workflow says of each dataset, in at most twelve lines of a terminal of 80 columns.

What to do comes first, then a table by use, in which what choosing gains always stands. Where lines are too long or too
many, further numbers go; they are in summary.md and report.html. A name is never cut, so that it can be typed. Further
networks come beside these lines, each with its own, and so does the pre-trained network.
"""

from collections.abc import Sequence

from tabulate import tabulate
from wcwidth import wcswidth

from ...core.inference.best import TOLERANCE
from ...core.inference.gain import Payoff
from ...core.inference.scopes import is_proven
from ...core.scores.description import USES, sign_of
from ..facts import Facts, Recommendation, RepresentationRecord, best_network, told_of
from ..findings.outcomes import Claim, DatasetFindings, Status
from .formatting import MISSING, decimals, harmless, joined, number, percent, plural, wrapped
from .labels import chosen_by, more_labels
from .representations import brief_for_use
from .scores import LEVELS, LOWER
from .statuses import TITLES, status_words
from .uses import (
    PRETRAINED,
    at_checkpoint,
    brief_ties,
    explain_brackets,
    levels_to_beat,
    reason,
    scored_as,
    use_cells,
)

MAX_LINES, WIDTH = 12, 80

COLUMNS = ("use", "network", "layer", "score", "last layer", "gain over last")
MAX_USE = 18
"""Columns of a use and its score where there is little room; of a longer one the score's name goes."""
DISPENSABLE_LINES = ("unbounded", "accuracy", "depth", "tuned", "design", "labels", "ties", "brackets")
"""Lines that go, in this order, where there are too many."""

TAKE, TRY, NOTHING = "take", "try", "nothing"
"""Kinds of answers: shown, undecided, and none that is better."""

BRIEF = " (pre-trained)"
"""Names that checkpoint in the headline."""

OF_PARAMETERS = " of parameters"
"""What shares are of, which the first one names."""


def verdict(facts: Facts, *, use: str | None = None, embeds: bool = True) -> str:
    """Put the verdict into words.

    Args:
        facts: of the study.
        use: only the layers for this one; None: that of the study (`aggregate.use`).
        embeds: whether there are networks that can embed new images: then the command that does so is named.
    """
    found, claims = facts.of_use(use), facts.claims and (use or facts.use) is None
    cell, blocks = facts.cell if len({each.dataset for each in found}) > 1 else None, []
    for findings in facts.findings:
        networks = [each for each in found if each.dataset == findings.dataset]
        joined = [each for each in facts.representations if each.dataset == findings.dataset]
        own = _of_dataset(networks, findings, joined, embeds=embeds, claims=claims, cell=cell) if networks else ""
        blocks.append(own or f"{harmless(findings.dataset)}: no score measures this use.")
    notice = [wrapped(facts.notice, WIDTH)] if facts.notice else []
    return "\n".join([*notice, "\n\n".join(blocks)])


def _of_dataset(
    networks: Sequence[Recommendation],
    findings: DatasetFindings,
    joined: Sequence[RepresentationRecord],
    *,
    embeds: bool,
    claims: bool,
    cell: str | None,
) -> str:
    """Put what is known of one dataset into `MAX_LINES` lines, further networks and very long names apart.

    Args:
        networks: its recommendations.
        findings: its findings.
        joined: what to take from frozen networks if joins are considered.
        embeds: whether its networks can embed new images.
        claims: whether the findings are told, which are of the main score, at the recommended checkpoint; what is
            undecided is left to summary.md.
        cell: fold and seed by which the command names a cell; None: of a single dataset it need not.
    """
    uses = dict.fromkeys(each.use for each in networks)
    best = [best_network([each for each in networks if each.use == use]) for use in uses]
    chosen = [each for each in best if each is not None]
    claimed = {
        str(claim): f"{TITLES[claim]}: {status_words([findings], claim, at=['recommended'])}"
        for claim in (Claim.DEPTH, Claim.ACCURACY)
        if claims and not {each.status for each in findings.outcomes(claim)} <= {Status.UNKNOWN, Status.OUT_OF_SCOPE}
    }
    head, table = wrapped(headline(networks), WIDTH), use_table(chosen)
    ties = [f"{each.use_name} {brief_ties(each)}" for each in chosen if each.ties and each.last_depth > 0]
    texts = {
        "brackets": f"{explain_brackets(chosen)} {scored_as(networks)}".strip(),
        "ties": f"Ties by layer number{' (loss at most)' * ('(' in str(ties))}: {'; '.join(ties)}." if ties else "",
        "chosen_by": chosen_by(chosen),
        "labels": more_labels(chosen),
        **claimed,
        "tuned": brief_fine_tuning(chosen),
        "design": design(networks, chosen),
        "doubtful": "" if doubt_first(chosen) else brief_doubts(chosen, known=True),
        "unbounded": brief_doubts(chosen, known=False),
    }
    told = {name: wrapped(text, WIDTH) for name, text in texts.items() if text}
    first = next((each for each in chosen if USES[each.use].offered), None)
    if embeds and first:
        told["next"] = next_command(first, cell)
    for name in DISPENSABLE_LINES:
        if len("\n".join([head, table, *told.values()]).splitlines()) > MAX_LINES:
            told.pop(name, None)
    others = [
        brief_untrained(chosen),
        *(f"{harmless(each.model)}, {brief_for_use(each)}" for each in joined),
        *other_networks(networks, chosen),
    ]
    return "\n".join(filter(None, [head, table, *(wrapped(text, WIDTH) for text in others), *told.values()]))


def use_table(chosen: Sequence[Recommendation]) -> str:
    """Lay out the layer of each use, its score, and what choosing it gains.

    Where a line does not fit, these go in this order: a word of headings, the score's interval, the network, the
    score's name.
    """
    if not chosen:
        return ""
    several = len({each.model for each in chosen}) > 1
    rows = [use_cells(each) | {"network": harmless(each.model)} for each in chosen]
    ends = {"use": " (", "score": " "}
    known = [heading for heading in COLUMNS if any(row[heading] != MISSING for row in rows)]
    for gone in range(5):
        kept = [heading for heading in known if heading != "network" or (several and gone < 3)]
        most = {"use": (WIDTH, MAX_USE, MAX_USE, MAX_USE, 0)[gone], "score": WIDTH if gone < 2 else 0}
        cells = [row | {n: row[n].partition(ends[n])[0] for n in ends if len(row[n]) > most[n]} for row in rows]
        headings = [heading.removesuffix(" layer") if gone else heading for heading in kept]
        body = [[row[heading] for heading in kept] for row in cells]
        text = tabulate([headings, *body], tablefmt="plain", disable_numparse=True)
        if max(map(wcswidth, text.splitlines())) <= WIDTH:
            break
    return "\n".join(line.rstrip() for line in text.splitlines())


def headline(networks: Sequence[Recommendation]) -> str:
    """Answer for each use of one dataset, by names that can be typed: the best network's, what is sure first.

    A doubt about all of them comes before.
    """
    uses = dict.fromkeys(each.use for each in networks)
    chosen = [told_of([each for each in networks if each.use == use]) for use in uses]
    useful = [each for each in chosen if each.recommended is not None]
    models = list(dict.fromkeys(each.model for each in useful))
    checkpoints = list(dict.fromkeys(_brief_checkpoint(each) for each in useful))
    answers: dict[str, dict[tuple[str, str], list[str]]] = {TAKE: {}, TRY: {}, NOTHING: {}}
    for each in chosen:
        checkpoint = _brief_checkpoint(each) if each.best.step < each.last_step and len(checkpoints) > 1 else ""
        kind, what, why = _answer(each, each.best.layer + f" of {each.model}" * (len(models) > 1), checkpoint)
        answers[kind].setdefault((what, why), []).append(each.use_name)
    sure, undecided, nothing = (
        [f"{what} for {joined(uses)}{why}" for (what, why), uses in own.items()] for own in answers.values()
    )
    clauses = [*sure, *([f"{TRY} {joined(undecided)}: gain undecided"] if undecided else []), *nothing]
    clauses.sort(key=lambda clause: f" for {USES['detection'].words}" in clause)  # it comes last
    doubt = doubt_first(chosen)
    doubt += "if any, " * bool(doubt and (sure or undecided))
    whose = f", {models[0]}" * (len(models) == 1) + checkpoints[0] * (len(checkpoints) == 1) if useful else ""
    told, unit, others = f"{doubt}{'; '.join(clauses)}.".partition(OF_PARAMETERS)
    return f"{networks[0].dataset}{whose}: {told}{unit}{others.replace(OF_PARAMETERS, '')}"


def _brief_checkpoint(found: Recommendation) -> str:
    return at_checkpoint(found).replace(PRETRAINED, BRIEF)


def _answer(found: Recommendation, name: str, checkpoint: str) -> tuple[str, str, str]:
    """What to do for a use: of which kind that is, the words before the use, and those after it.

    Args:
        found: for the use.
        name: of its layer.
        checkpoint: of the layer, as far as it is to be named.
    """
    last, is_last = found.gain_over_last, found.best.depth == found.last_depth
    if why := reason(found):
        return NOTHING, NOTHING, f": {why}"
    if found.last_depth == 0:
        return TAKE, f"take the only layer, {name}{checkpoint},", ""
    if last.status == Payoff.PAYS:
        return TAKE, f"take {name}{checkpoint}", ": choosing pays"
    if last.status == Payoff.DOES_NOT_PAY:
        at_most = decimals(last.at_most or 0.0, sign=True)
        return TAKE, f"take the last layer, {name},", f": no earlier one is shown to be better (at most {at_most})"
    if is_last:
        return TRY, f"the last layer, {name}{checkpoint},", ""
    if last.last_does_as_well:
        return NOTHING, f"the last layer does as well as {name}{checkpoint}", ""
    share, known = found.best.parameters_share, ["pre-trained"] if checkpoint == BRIEF else []
    known += [percent(share) + OF_PARAMETERS] if share is not None else []
    return TRY, name + checkpoint.removesuffix(BRIEF) + f" ({', '.join(known)})" * bool(known), ""


def brief_untrained(networks: Sequence[Recommendation]) -> str:
    """Write which layer each network has before fine-tuning, of several uses in a line; nothing where not known."""
    told = []
    for each in networks:
        if (made := each.untrained) is not None:
            gained = made.gain_over_last.estimate
            number = "" if gained is None else f" {decimals(gained, sign=True)}"
            told.append(f"{each.use_name} {made.layer.depth + 1}/{each.last_depth + 1}{number}")
    return f"Pre-trained network, over its own last layer: {', '.join(told)}." if told else ""


def brief_doubts(networks: Sequence[Recommendation], *, known: bool) -> str:
    """Name the uses for which no layer is shown to beat chance and raw pixels, or for which that is not known."""
    own = [each for each in networks if (each.doubtful if known else each.doubtful is None)]
    told = [f"{levels_to_beat(each)} for {each.use_name}" for each in own]
    words = "No layer clearly beats" if known else "It is untested if a layer beats"
    return f"{words} {'; '.join(told)}." if own else ""


def doubt_first(networks: Sequence[Recommendation]) -> str:
    """Doubt the choices where for no use a layer is shown, at a proven level, to beat chance and raw pixels.

    Nothing where for some use one is, or for none it is known that none is.
    """
    useful = [each for each in networks if each.recommended is not None]
    doubted = [each for each in useful if each.doubtful and (each.use != "detection" or len(useful) == 1)]
    shown = [each for each in useful if each.doubtful == [] and each.shortlist_scope]
    if not doubted or any(is_proven(each.metric, each.shortlist_scope or "images") for each in shown):
        return ""
    levels = dict.fromkeys(LEVELS[level] for each in doubted for level in each.doubtful or ())
    return f"no layer is shown to beat {joined([*levels])} for {joined([each.use_name for each in doubted])}; "


def brief_fine_tuning(networks: Sequence[Recommendation]) -> str:
    """Write what fine-tuning did to the best layer's score of several uses in a line; nothing where not known."""
    told = [
        f"{each.use_name}{LOWER * (each.better == 'lower')} "
        + ("ties" if made.status == Status.NOT_DISTINGUISHABLE else f"{sign_of(each.better) * made.change:+.2f}")
        for each in networks
        if (made := each.fine_tuning)
    ]
    return f"Fine-tuning: {', '.join(told)}" if told else ""


def other_networks(networks: Sequence[Recommendation], chosen: Sequence[Recommendation]) -> list[str]:
    """Further networks, a line each: their layer and score for each use, and whether it ties with the best network."""
    gains, lines = {best.use: best.gain for best in chosen}, []
    for model in dict.fromkeys(each.model for each in networks if each.model not in {best.model for best in chosen}):
        told = [
            f"{each.use_name} {each.best.depth + 1}, {number(each.best.estimate[0])}" + beside(each, gains[each.use])
            for each in networks
            if each.model == model and each.recommended is not None
        ]
        lines.append(f"{model}: {'; '.join(told) or 'no useful layer'}")
    return lines


def beside(network: Recommendation, best: float) -> str:
    """Write that a network ties with the best one, or was not compared with it; nothing if that is shown better."""
    if best - network.gain <= TOLERANCE:
        return " (ties)"
    return " (not compared)" if network.behind is None else "" if network.behind.distinguishable else " (ties)"


def design(networks: Sequence[Recommendation], chosen: Sequence[Recommendation]) -> str:
    """On how many folds, classes, images and seeds it rests, and how accurate the chosen networks are."""
    first, several = networks[0], len({each.model for each in chosen}) > 1
    known = sorted((each.best.accuracy, each.model) for each in chosen if each.best.accuracy is not None)
    accuracies = {model: number(accuracy) + f" of {model}" * several for accuracy, model in known}
    accurate = f"; accuracy on seen classes {joined(list(accuracies.values()))}" if accuracies else ""
    parts = f"{plural(first.n_folds, first.parts.removesuffix('s'))} of {first.n_classes} classes"
    return f"{parts}, {first.n_images:,} images, {plural(first.n_seeds, 'seed')}{accurate}."


def next_command(found: Recommendation, cell: str | None) -> str:
    """Write what embeds new images at a recommended layer.

    Args:
        found: the recommendation.
        cell: fold and seed by which the command names a network; None: of a single dataset it need not.
    """
    origin = [f"--from {harmless(f'{found.dataset}/{found.model}/{cell}')}"] * (cell is not None)
    return " \\\n  ".join([f"Next: whichlayer features photos/ --use {found.use} --out photos.parquet", *origin])
