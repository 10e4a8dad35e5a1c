"""`source.json`: the committed file that says, for generated and downloaded datasets, what exactly the raw data are."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from stages.prepare.raw_files import SOURCE_FILE
from stages.shared.console import UserError


class SourceFile(BaseModel):
    """Base of the models of `source.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    about: str
    license: str


F = TypeVar("F", bound=SourceFile)


def read_source_file(raw: Path, model: type[F]) -> F:
    """Read and validate `source.json`.

    Raises:
        UserError: it is missing or not as it was committed.
    """
    path = raw / SOURCE_FILE
    try:
        return model.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: no such file; it comes with the project: git checkout {path}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path}: {field or 'content'}: {first['msg']}; restore it: git checkout {path}") from None


def has_only_source_file(raw: Path) -> bool:
    """Tell whether a raw folder holds `source.json` and, hidden files apart, nothing else."""
    return raw.is_dir() and {p.name for p in raw.iterdir() if not p.name.startswith(".")} == {SOURCE_FILE}
