"""What choosing a layer costs, in words: the criteria's names, and how to read the table."""

from stages.aggregate.recommend.criteria import criterion_of
from stages.aggregate.recommend.regret import MIN_PAIRS, RegretSummary
from stages.aggregate.tables.regret import Kind
from stages.aggregate.words.scores import metric_name

NAMES = {
    "other_folds": "the other folds",
    "last_layer": "last layer",
    "penultimate": "layer before the last",
    "two_thirds": "two thirds of the depth",
    "random_layer": "random layer, on average",
    "other_datasets": "median depth of other datasets",
    "seen_score": "best on seen classes",
    "tunnel": "95 % of the seen accuracy",
}
"""Names of the criteria that go by no label-free score."""

KINDS: dict[Kind, str] = {
    "criterion": "recommended by",
    "baseline": "baseline",
    "label_free": "label-free",
    "control": "control",
}


def criterion_words(criterion: str) -> str:
    """A criterion's name in tables."""
    score, rule = criterion_of(criterion).score, criterion_of(criterion).rule
    if score is None:
        return NAMES[criterion]
    return f"{metric_name(score)} nearest to 1" if rule == "nearest_to_one" else f"{rule} {metric_name(score)}"


def kind_words(criterion: str) -> str:
    """What a criterion is, in tables."""
    return KINDS[criterion_of(criterion).kind]


def explain_regrets(summary: RegretSummary) -> str:
    """Explain the table of regrets over datasets and networks, in Markdown."""
    n = summary.n_pairs
    interval = (
        f"in brackets its 95 % interval by Student's t over the {n} pairs of a dataset and a network"
        if n >= MIN_PAIRS
        else f"without an interval, which takes {MIN_PAIRS} pairs of a dataset and a network (here {n})"
    )
    return (
        f"{metric_name(summary.metric)} lost to the best on a fold that the choice did not know, mean over folds; the "
        "best is chosen on one half of the images and scored on the other. A column per dataset and *all*: to the best "
        f"layer at the last step, mean over networks; *all* {interval}. *Against 2/3*: how much more it lost than the "
        "layer nearest to two thirds of the depth; below 0 it lost less. *With checkpoints*: to the best layer at any "
        "checkpoint; only the other folds choose a checkpoint, too."
    )
