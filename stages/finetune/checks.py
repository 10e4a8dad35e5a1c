"""What must hold of the images before any work is done."""

from pathlib import Path

from stages.shared.images.image_store import PackedImages
from stages.shared.runtime.errors import UserError


def check_images(images: PackedImages, path: Path, model: str) -> None:
    """Check that there is something to learn and something to test.

    Raises:
        UserError: fewer than two seen classes, or no train or test images.
    """
    if len(images.seen) < 2:
        classes = f"{len(images.seen)}: {', '.join(images.seen)}" if images.seen else "none"
        raise UserError(
            f"{path}: fine-tuning needs at least 2 seen classes, found {classes}; give the dataset some (`datasets`), "
            f"or measure the network as it is: models.{model}.network.frozen: true"
        )
    for split in ("train", "test"):
        if not len(images.rows(split)):
            raise UserError(f"{path}: fine-tuning needs {split} images, found none; give the dataset some (`datasets`)")
