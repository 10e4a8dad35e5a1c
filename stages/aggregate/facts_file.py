"""facts.json: the facts of a study as a file of its results."""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from ..shared.runtime.errors import UserError
from .facts import Facts
from .result_files import check_result

FILE = "facts.json"

FACTS = TypeAdapter(Facts)


def write_facts(folder: Path, facts: Facts) -> None:
    """Write facts.json: the same bytes for the same facts."""
    folder.mkdir(parents=True, exist_ok=True)
    empty = {name for name in ("notice", "no_joins") if not getattr(facts, name)}
    (folder / FILE).write_bytes(FACTS.dump_json(facts, indent=1, exclude=empty) + b"\n")


def read_facts(folder: Path) -> Facts:
    """Read facts.json of a folder of results.

    Raises:
        UserError: there is none, it is of another version, or it is damaged.
    """
    path = folder / FILE
    what = f"{path}: must hold a finished workflow's facts"
    try:
        return FACTS.validate_json(check_result(path).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{what}, found no file; run the aggregate stage (`dvc repro`)") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{what}, found what another whichlayer version wrote, or damage ({place or 'the file'}: "
            f"{first['msg']}); write it anew (`dvc repro`), or read it with that version"
        ) from None
