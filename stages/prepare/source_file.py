"""`source.json`: the committed file that says, for generated and downloaded datasets, what exactly the raw data are.

It may also come from someone else, with a folder of raw data. So every text in it that reaches a program, an address or
a path is held to a pattern of what is harmless there. These patterns match whole texts: pydantic's `$`, unlike that of
`re`, does not match before a newline at the end.
"""

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field, ValidationError

from stages.prepare.raw_files import SOURCE_FILE
from stages.shared.core.params import Params
from stages.shared.runtime.errors import UserError, irregular, short_repr, with_command

HttpsUrl = Annotated[str, Field(pattern=r"^https://[A-Za-z0-9][A-Za-z0-9./:_~?=%+-]*$", max_length=1000)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

MAX_BYTES = 2**20


class SourceFile(Params):
    """Base of the models of `source.json`."""

    about: str
    license: str


F = TypeVar("F", bound=SourceFile)


def read_source_file(raw: Path, model: type[F]) -> F:
    """Read and validate `source.json`.

    Raises:
        UserError: it is missing, no regular file, or not as it was committed.
    """
    path = raw / SOURCE_FILE
    restore_it = with_command("restore it", "git checkout --", path)
    try:
        if kind := irregular(path.lstat().st_mode):  # a link may lead to a file whose content no message should show
            raise UserError(f"{path}: must be a regular file, found {kind}; {restore_it}")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise UserError(f"{path}: must have at most {MAX_BYTES} bytes, found more; {restore_it}")
        return model.model_validate_json(content)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: no such file; it comes with the project; {restore_it}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        found = "" if first["type"] == "missing" or not field else f", found {short_repr(first['input'])}"
        problem = first["msg"].removeprefix("Value error, ")
        raise UserError(f"{path}: {field or 'content'}: {problem}{found}; {restore_it}") from None


def has_only_source_file(raw: Path) -> bool:
    """Return whether a raw folder holds `source.json` and, hidden files apart, nothing else."""
    return raw.is_dir() and {p.name for p in raw.iterdir() if not p.name.startswith(".")} == {SOURCE_FILE}
