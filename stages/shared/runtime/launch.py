"""One cell in several processes, each with a device of its own: a launcher starts them.

`WHICHLAYER_LAUNCH` is the launcher's command, such as `torchrun --nproc-per-node 4`; a stage that can share its work
becomes that command, which starts the stage once for each device. The first process is the stage, as always; the
others do a share of its work, and write nothing.
"""

import os
import shlex
import sys

LAUNCH = "WHICHLAYER_LAUNCH"
SHARING = ("stages.finetune", "stages.embed")

LAUNCHED = {LAUNCH, "RANK"} <= os.environ.keys()
"""Whether a launcher started this process."""

FURTHER = LAUNCHED and os.environ["RANK"] != "0"
"""Whether this is one of those that help the first."""


def launch(stage: str) -> None:
    """Become the launcher, if the environment names one and the stage can share its work."""
    launcher = shlex.split(os.environ.get(LAUNCH, ""))
    if "RANK" in os.environ and stage in SHARING and not launcher:  # libraries would wait for other processes
        sys.exit(f"error: RANK must be set by the launcher that {LAUNCH} names alone, found it without; unset it")
    if launcher and stage in SHARING and not LAUNCHED:
        try:
            os.execvp(launcher[0], [*launcher, "-m", stage, *sys.argv[1:]])
        except OSError as error:
            sys.exit(f"error: {LAUNCH} must begin with a command, found {launcher[0]!r} ({error.strerror})")
