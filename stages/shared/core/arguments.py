"""The command line of a stage: which cell of the grid, and where its artifacts lie."""

import argparse
import re
from pathlib import Path

from stages.shared.runtime.errors import UserError

ITEM = {
    "dataset": "entry of `datasets`",
    "model": "entry of `models`",
    "fold": "which classes are unseen: a number, or `all`",
    "seed": "a whole number",
}
"""What DVC passes to a stage of a matrix; it quotes these, so that no name reaches the shell as a command."""


class StageParser(argparse.ArgumentParser):
    """The command line of a stage.

    Args:
        description: the stage's docstring.
        *item: the flags that say which cell of the matrix this is, of `ITEM`.
    """

    def __init__(self, description: str | None, *item: str) -> None:
        super().__init__(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        self.item = item
        for name in item:
            self.add_argument(f"--{name}", required=True, type=_item_name, help=ITEM[name])
        self.add_argument("--params", type=Path, default=Path("params.yaml"), help="the params file")
        self.add_argument("--record", type=Path, help="write down in this file what was read")
        self.add_argument("--log", type=Path, help="append this run's duration to this JSON-lines file")

    def add_artifact(self, flag: str, text: str) -> None:
        """Add a required path, in which `{dataset}` and the like stand for this cell's."""
        self.add_argument(flag, required=True, type=Path, help=text)

    def parse_cell(self) -> argparse.Namespace:
        """Read the command line, with the cell's own paths; `cell` is its name, `of` a tuple, `seed` a number.

        Raises:
            UserError: a name that is no id.
        """
        args = self.parse_args()
        names = {f"{{{name}}}": getattr(args, name) for name in self.item}
        for key, value in vars(args).items():
            if isinstance(value, Path):
                setattr(args, key, Path(re.sub(r"{\w+}", lambda found: names.get(found[0], found[0]), str(value))))
        args.cell = "-".join(names.values())
        if "seed" in self.item:
            args.seed = int(args.seed)
        args.of = tuple(getattr(args, name) for name in self.item)
        return args


def _item_name(text: str) -> str:
    if not re.fullmatch("[A-Za-z0-9_]+", text):
        raise UserError(f"run: names are made of letters, digits and _, found {text!r}; run `whichlayer check`")
    return text
