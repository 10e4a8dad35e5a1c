"""What must hold of the images and the weights before any work is done."""

from pathlib import Path

from ..shared.images.image_store import PackedImages
from ..shared.networks.params import NetworkParams, check_file
from ..shared.runtime.errors import UserError


def check_cell(images: PackedImages, path: Path, network: NetworkParams, model: str) -> None:
    """Check that a network that is not frozen has something to learn and something to test, and its weights' file.

    Raises:
        UserError: fewer than two seen classes, no train or test images, or no such file of weights.
    """
    if network.weights.source == "file":
        check_file(network.weights)
    if network.frozen:
        return
    if len(images.seen) < 2:
        classes = f"{len(images.seen)}: {', '.join(images.seen)}" if images.seen else "none"
        raise UserError(
            f"{path}: fine-tuning needs at least 2 seen classes, found {classes}; give the dataset some (`datasets`), "
            f"or measure the network as it is: models.{model}.network.frozen: true"
        )
    for split in ("train", "test"):
        if not len(images.rows(split)):
            raise UserError(f"{path}: fine-tuning needs {split} images, found none; give the dataset some (`datasets`)")
