"""Synthetic images and params files."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.prepare.candidates import Candidate

PARAMS = """
run: {{datasets: [mine], models: [net], folds: [0], seeds: [0]}}
datasets:
  mine: {row}
models: {{net: {{}}}}
prepare: {{seed: {seed}}}
finetune: {{}}
embed: {{}}
measure: {{}}
aggregate: {{}}
"""


@pytest.fixture
def save_image() -> Callable[[Path, int], None]:
    """Save a 12 x 10 image of noise, different for each number."""

    def save(path: Path, number: int) -> None:
        pixels = np.random.default_rng(number).integers(0, 256, (10, 12, 3), dtype=np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)

    return save


@pytest.fixture
def make_folder(tmp_path, save_image) -> Callable[[dict[str, int]], Path]:
    """Fill tmp_path/raw with PNG files: {folder: count}."""

    def make(counts: dict[str, int]) -> Path:
        number = 0
        for folder, count in counts.items():
            for i in range(count):
                save_image(tmp_path / "raw" / folder / f"{i:02d}.png", number)
                number += 1
        return tmp_path / "raw"

    return make


@pytest.fixture
def five_classes(make_folder) -> Path:
    """Five classes of eight images, without splits."""
    return make_folder(dict.fromkeys("abcde", 8))


@pytest.fixture
def write_params(tmp_path) -> Callable[..., Path]:
    """Write a params file whose one dataset, `mine`, has the given entry."""

    def write(row: str, seed: int = 0) -> Path:
        path = tmp_path / "params.yaml"
        path.write_text(PARAMS.format(row=row, seed=seed))
        return path

    return write


@pytest.fixture
def resources():
    """What a source opens is closed after the test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def make_candidates() -> Callable[..., list[Candidate]]:
    """Candidates without content: {label: {split or None: count}}."""

    def make(counts: dict[str, dict[str | None, int]]) -> list[Candidate]:
        return [
            Candidate(f"{split}/{label}/{i}", label, split, f"{split}/{label}/{i}.png", lambda: b"")
            for label, splits in counts.items()
            for split, count in splits.items()
            for i in range(count)
        ]

    return make
