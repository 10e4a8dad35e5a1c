"""Every layer's embedding from one forward pass."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from stages.embed.layers import PooledLayer
from stages.embed.pooling import pool
from stages.shared.embeddings.embedding_store import LOGITS
from stages.shared.networks.network import Network
from stages.shared.runtime.errors import UserError


class LayerEmbeddings:
    """Pools every layer's output while the network runs; its hooks exist inside the `with` block only.

    Pooling happens inside the hook, on the device: no unpooled output outlives its module, and none is changed by an
    in-place activation before it is read. The hook returns nothing: the network computes what it would without it.
    """

    def __init__(self, network: Network, layers: Sequence[PooledLayer], *, logits: bool = True) -> None:
        self.network = network
        self._by_path: dict[str, list[PooledLayer]] = {}
        for layer in layers:
            self._by_path.setdefault(layer.tap.path, []).append(layer)
        self._names = [*(layer.layer.name for layer in layers), *([LOGITS] if logits else [])]
        self._pooled: dict[str, Tensor] = {}
        self._handles: list[RemovableHandle] = []

    def __call__(self, inputs: Tensor) -> dict[str, Tensor]:
        """Run the network on one batch.

        Args:
            inputs: (B, 3, H, W) float, normalized.

        Returns:
            Every layer's name with its (B, D), in order, then `logits` with (B, K), if asked for; float32, on the
            device.
        """
        self._pooled.clear()
        self._pooled[LOGITS] = self.network.logits(inputs).float()
        return {name: self._pooled[name] for name in self._names}

    def __enter__(self) -> Self:
        """Register one hook per module."""
        for path in self._by_path:
            self._handles.append(self.network.module.get_submodule(path).register_forward_hook(self._hook(path)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the hooks."""
        while self._handles:
            self._handles.pop().remove()

    def _hook(self, path: str) -> Any:
        def keep(module: nn.Module, inputs: Any, output: Any) -> None:
            for layer in self._by_path[path]:
                tensor = output if layer.tap.item is None else output[layer.tap.item]
                if layer.layer.name in self._pooled:
                    raise UserError(
                        f"module {path!r} must run once in a forward pass, runs again; choose another in `taps.layers`"
                    )
                self._pooled[layer.layer.name] = pool(tensor, layer.tap, layer.pooling)

        return keep
