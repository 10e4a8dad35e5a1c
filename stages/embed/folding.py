"""Batch normalizations folded into the convolutions before them: the same embeddings to rounding, in less time."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.overrides import TorchFunctionMode

from .taps.tap import tensors


class FoldedNorms(TorchFunctionMode):
    """Within it a network in evaluation mode runs with its batch normalizations folded; its modules stay as they are.

    Where a batch normalization alone reads a convolution's output (a hook that pools it reads it too), and both run
    once, the convolution gets weights and a bias that do the work of both. They are those of the network as it was when
    this was made.
    """

    def __init__(self, forward: Callable[[], object]) -> None:
        """Find them in one run of `forward`, the network's forward pass on any image."""
        super().__init__()
        with _Calls() as recorded:
            forward()
        reads = Counter(
            id(tensor)
            for _, args, kwargs, result in recorded.calls
            if any(tensors(result))
            for argument in (*args, *kwargs.values())
            for _, tensor in tensors(argument)
        )
        outputs = {id(result): args for function, args, _, result in recorded.calls if _is_convolution(function, args)}
        self._weights: dict[int, tuple[nn.Parameter, tuple[Tensor, Tensor]]] = {}
        self._norms: dict[int, Tensor] = {}
        for function, args, kwargs, _ in recorded.calls:
            if function is functional.batch_norm and id(args[0]) in outputs and not kwargs["training"]:
                (output, mean, variance), (_, weight, bias, *_) = args, outputs[id(args[0])]
                if isinstance(weight, nn.Parameter) and all(reads[id(each)] == 1 for each in (output, weight, mean)):
                    scale = mean, variance, kwargs["eps"], kwargs["weight"], kwargs["bias"]
                    self._weights[id(weight)] = weight, fuse_conv_bn_weights(weight, bias, *scale)
                    self._norms[id(mean)] = mean

    def __len__(self) -> int:
        return len(self._norms)

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is functional.batch_norm and id(args[1]) in self._norms:
            return args[0]
        if _is_convolution(function, args) and id(args[1]) in self._weights:
            args = (args[0], *self._weights[id(args[1])][1], *args[3:])
        return function(*args, **(kwargs or {}))


def _is_convolution(function: Any, args: tuple[Any, ...]) -> bool:
    """Return whether a call is a convolution whose input, weights and bias are given by position, as modules do."""
    return function is functional.conv2d and len(args) > 2


class _Calls(TorchFunctionMode):
    """Records every call of a torch function: the function, its arguments and its result, which are kept alive."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        self.calls.append((function, args, kwargs or {}, result))
        return result
