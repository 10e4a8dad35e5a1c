"""Ways to damage a file, and the files that stages hand to each other: what must never be read in silence."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def flip(path: Path, sibling: Path) -> None:
    """Change one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path, sibling: Path) -> None:
    """Cut off the second half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def delete(path: Path, sibling: Path) -> None:
    """Remove the file."""
    path.unlink()


def empty(path: Path, sibling: Path) -> None:
    """Cut off everything."""
    path.write_bytes(b"")


def swap(path: Path, sibling: Path) -> None:
    """Exchange it with a file of the same kind that belongs to something else."""
    own, other = path.read_bytes(), sibling.read_bytes()
    path.write_bytes(other)
    sibling.write_bytes(own)


def zeros(path: Path, sibling: Path) -> None:
    """Write zeros over everything, as a file system may after a power failure."""
    path.write_bytes(bytes(path.stat().st_size))


DAMAGES: dict[str, Callable[[Path, Path], None]] = {
    each.__name__: each for each in (flip, truncate, delete, empty, swap, zeros)
}


@dataclass(frozen=True)
class Artifact:
    """A file that one stage writes and another reads.

    Attributes:
        stage: the folder of the stage that reads it.
        file: its path below data/, with names of the cell in braces.
        sibling: such a file of another dataset, fold, seed, step or layer.
    """

    stage: str
    file: str
    sibling: str

    def paths(self, data: Path, names: dict[str, str]) -> tuple[Path, Path]:
        """Where it and its sibling are, below a folder data/.

        Args:
            data: the folder.
            names: of a cell (dataset, model, fold, seed), and of something else of each kind (other_dataset, ...).
        """
        return data / self.file.format(**names), data / self.sibling.format(**names)


def _of_other(stage: str, other: str, *files: str) -> list[Artifact]:
    """Files whose sibling differs in one name."""
    return [Artifact(stage, file, file.replace(f"{{{other}}}", f"{{other_{other}}}")) for file in files]


CELL = "{dataset}/{model}/{fold}/{seed}"
PREPARED, WEIGHTS, TRAINING = "prepared/{dataset}", f"checkpoints/{CELL}/weights", f"training/{CELL}"
EMBEDDINGS, MEASURES = f"embeddings/{CELL}", f"measures/{CELL}"
COORDINATES = ("sample_id", "split", "label", "class_name", "step")
ARTIFACTS = [
    *_of_other(
        "finetune",
        "dataset",
        f"{PREPARED}/images.zarr/zarr.json",
        f"{PREPARED}/images.zarr/pixels/zarr.json",
        f"{PREPARED}/images.zarr/pixels/c/0/0/0/0",
        f"{PREPARED}/manifest.csv",
        f"{PREPARED}/digests.json",
    ),
    *_of_other("finetune", "fold", f"{PREPARED}/folds/{{fold}}.csv", f"{PREPARED}/folds/{{fold}}.digests.json"),
    *_of_other("embed", "step", f"{WEIGHTS}/step_{{step}}.safetensors"),
    *_of_other("embed", "seed", f"{WEIGHTS}/step_{{step}}.safetensors", f"{WEIGHTS}/digests.json"),
    *_of_other("measure", "layer", f"{EMBEDDINGS}/{{layer}}/zarr.json", f"{EMBEDDINGS}/{{layer}}/c/0/0/0"),
    *_of_other(
        "measure",
        "seed",
        f"{EMBEDDINGS}/zarr.json",
        f"{EMBEDDINGS}/digests/zarr.json",
        f"{EMBEDDINGS}/{{layer}}/c/0/0/0",
        f"{EMBEDDINGS}/logits/zarr.json",
        f"{EMBEDDINGS}/logits/c/1/0/0",
        f"{EMBEDDINGS}/pixels/zarr.json",
        f"{EMBEDDINGS}/pixels/c/0/0",
        f"{EMBEDDINGS}/last_step/zarr.json",
        f"{EMBEDDINGS}/last_step/digests/zarr.json",
        f"{EMBEDDINGS}/last_step/{{layer}}/c/0/0/0",
        f"{EMBEDDINGS}/last_step/label/c/0",
        f"{EMBEDDINGS}/group/zarr.json",  # all images have the same, so it has no chunk
        *(f"{EMBEDDINGS}/{name}/{file}" for name in COORDINATES for file in ("zarr.json", "c/0")),
    ),
    Artifact("measure", f"{EMBEDDINGS}/{{layer}}/c/0/0/0", f"{EMBEDDINGS}/{{layer}}/c/1/0/0"),  # of another step
    *_of_other("aggregate", "seed", f"{TRAINING}/training.csv", f"{TRAINING}/digests.json"),
    *_of_other("aggregate", "dataset", f"{PREPARED}/manifest.csv", f"{PREPARED}/digests.json"),
    *_of_other("measure", "dataset", "thumbnails/{dataset}/thumbnails.parquet", "thumbnails/{dataset}/digests.json"),
    *_of_other(
        "aggregate",
        "seed",
        f"{MEASURES}/layers.csv",
        f"{MEASURES}/images.parquet",
        f"{MEASURES}/refits.parquet",
        f"{MEASURES}/gallery.parquet",
        f"{MEASURES}/k_sensitivity.csv",
        f"{MEASURES}/digests.json",
    ),
]
"""Every kind of file that passes from one stage to another."""


def blamed(path: Path, sibling: Path, damage: str) -> list[Path]:
    """What a message may name: the damaged file; of two exchanged ones either, or any in a store that those belie."""
    described = path.parent.parent if path.parent.name == "digests" else path
    return [path, sibling, described] if damage == "swap" else [path]
