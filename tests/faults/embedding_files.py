"""Campaign: files of embeddings whose headers or metadata are changed, read as `whichlayer score` reads them."""

import json
import random
import zipfile
from ast import literal_eval
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from stages.commands.score.arrays_file import open_arrays
from stages.commands.score.embedding_file import read_embedding_file
from tests.commands.score.made import WIDTHS, arrays, write_npz, write_zarr
from tests.faults.campaign import Campaign, Place, numbered, seed_of, shuffled
from tests.faults.outcomes import Outcome, attempt
from tests.faults.params import mutated, mutated_text

CONTENT = arrays() | {"layers": np.array(list(WIDTHS))}
HEADERS, METADATA = "header", "metadata"
NESTED = ["(", "[", "{", "-", "not ", "'", '"""', "\\", "1+"]


def run(trial: str, place: Place) -> Outcome:
    """Change one header or one file of metadata, and read all: values, or one message."""
    seed = seed_of(trial)
    if trial.startswith(HEADERS):
        path = write_npz(place.scratch / "a.npz", CONTENT)
        member = f"{random.Random(seed).choice(list(CONTENT))}.npy"
        write_with_header(path, member, changed_header(header_of(path, member), seed))
    else:
        path = write_zarr(place.scratch / "a", CONTENT)
        file = random.Random(seed).choice(sorted(path.rglob("zarr.json")))
        file.write_bytes(changed_metadata(file.read_text(), seed).encode("utf-8", "surrogatepass"))
    return attempt(lambda: read_all(path), str(path))


def read_all(path: Path) -> None:
    """Read every value."""
    with ExitStack() as resources:
        found = read_embedding_file(open_arrays(path, resources))
        for layer in found.layers:
            for split in found.labels:
                found.features(layer, split)


def header_of(path: Path, member: str) -> str:
    """Read the header of one array of an .npz file, as text."""
    with zipfile.ZipFile(path) as archive, archive.open(member) as file:
        return file.read(128)[10:].decode("latin-1")


def write_with_header(path: Path, member: str, header: str) -> None:
    """Replace the header of one array of an .npz file."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    whole, encoded = members[member], header.encode("latin-1", "replace")[: 2**16 - 1]
    values = whole[10 + int.from_bytes(whole[8:10], "little") :]
    members[member] = whole[:8] + len(encoded).to_bytes(2, "little") + encoded + values
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def changed_header(header: str, seed: int) -> str:
    """Change the text of a header, or its shape and type, or write brackets in its place."""
    rng = random.Random(seed)
    return [
        lambda: mutated_text(header, seed),
        lambda: repr(mutated(literal_eval(header), seed)),
        lambda: rng.choice(NESTED) * rng.choice([1, 50, 3000]),
    ][seed % 3]()


def changed_metadata(metadata: str, seed: int) -> str:
    """Change the text of JSON, or its values."""
    return mutated_text(metadata, seed) if seed % 2 else json.dumps(mutated(json.loads(metadata), seed))


CAMPAIGN = Campaign(
    "embeddings with changed headers", shuffled([*numbered(HEADERS, 400), *numbered(METADATA, 400)]), run
)
