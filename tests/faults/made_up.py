"""Campaigns whose trials end in the ways that workers must get over."""

import os
import time

from tests.faults.campaign import Campaign, Place
from tests.faults.outcomes import SAME, Outcome


def run(trial: str, place: Place) -> Outcome:
    """End as the trial's name says."""
    assert not [*place.scratch.iterdir()], "another trial left something"
    (place.scratch / "left").touch()
    if trial == "hang":
        time.sleep(600)
    if trial == "exit":
        os._exit(7)
    if trial == "raise":
        raise ValueError("wrong")
    if trial == "fill memory":
        assert b"x" * (1600 << 20)
    return Outcome(SAME, str(os.getpid()))


CAMPAIGNS = {"made up": Campaign("ends", ["same", "hang", "exit", "raise", "fill memory"], run, seconds=15)}
