"""Campaign: patterns of groups put together at random, searched in the names of images: groups, or one message."""

import random

from stages.prepare.candidates import Candidate, group_by_name
from tests.faults.campaign import Campaign, Place, numbered, seed_of
from tests.faults.outcomes import Outcome, attempt

PIECES = (
    *("(", "(", "(?:", "(?=", "(?<=", "(?>", ")", ")", ")", "|", "^", "$", "[a-z]", "[^/]", "a", "1", "_", ".", ".."),
    *(r"\d", r"\w", r"\p{L}", r"\b", r"\1", "(?R)", "(?x)", "(?i)", "(?b)", "#", "\n", " ", "+", "*", "?", "++", "*?"),
    *("{3}", "{2,}", "{1,9}", "{1000}", "{0,100000}", "{e<=3}", "{9999999999}"),
)
NAMES = [f"class{number % 7}/writer_{number:04}_aaaaaaaaaaaaaaaaaaaaaaaaaaaa.png" for number in range(300)]


def run(trial: str, place: Place) -> Outcome:
    """Search a pattern in names."""
    rng = random.Random(seed_of(trial))
    middle = "".join(rng.choice(PIECES) for _ in range(rng.randrange(1, 14)))
    pattern = rng.choice([middle, f"({middle})", f"(?:{middle})+(Q|.*)", f"(?:{middle}){{1000}}(.*)"])
    return attempt(lambda: _group(pattern), "group: ")


def _group(pattern: str) -> None:
    candidates = [Candidate(name, "a", None, name, lambda: b"") for name in NAMES]
    groups = [candidate.group for candidate in group_by_name(candidates, pattern)]
    assert all(groups), "an empty group"


CAMPAIGN = Campaign("patterns of groups at random", numbered("pattern", 300), run)
