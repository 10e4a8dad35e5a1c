"""To a device and back, without keeping a CUDA device waiting."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_device(batch: Tensor, device: torch.device) -> Tensor:
    """Move a batch from memory to a device; to a CUDA device by pinned memory, while the processor goes on."""
    return batch.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else batch.to(device)


def send(embeddings: Mapping[str, Tensor]) -> Callable[[], dict[str, NDArray[np.float32]]]:
    """Begin to move a batch's embeddings to memory: {name: (B, D)}, all of one device.

    Returns:
        A function that waits for them; a CUDA device may have been given the next batch meanwhile.
    """
    cuda = next((X.device for X in embeddings.values() if X.is_cuda), None)
    received = {name: X.to("cpu", non_blocking=X.is_cuda) for name, X in embeddings.items()}  # then pinned
    end = torch.cuda.current_stream(cuda).record_event() if cuda else None

    def wait() -> dict[str, NDArray[np.float32]]:
        if end:
            end.synchronize()
        return {name: X.numpy() for name, X in received.items()}

    return wait
