"""How weights fit a network: checked tensor by tensor, then loaded in place."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from stages.shared.networks.network import in_head
from stages.shared.runtime.errors import UserError

State = Mapping[str, Tensor]


def rename_by_order(state: State, own: State) -> dict[str, Tensor]:
    """Give tensors the names of a network that has the same ones, in the same order, under other names.

    The last two, the head's, may differ in shape.

    Raises:
        UserError: another number of tensors, or a shape that differs.
    """
    if len(state) != len(own):
        raise UserError(f"weights do not fit: the network has {len(own)} tensors, the file {len(state)}")
    pairs = list(zip(own.items(), state.items(), strict=True))
    for (name, mine), (theirs, tensor) in pairs[:-2]:
        if mine.shape != tensor.shape:
            found = f"the file's {theirs} {tuple(tensor.shape)}"
            raise UserError(f"weights do not fit: the network's {name} is {tuple(mine.shape)}, {found}")
    return {name: tensor for (name, _), (_, tensor) in pairs}


def load_state(module: nn.Module, state: State, *, head: Sequence[str], keep_head: bool, where: str) -> None:
    """Load weights into a network in place; its head stays fresh unless `keep_head` and the shapes are the same.

    Args:
        module: the network.
        state: tensors by the network's names.
        head: prefixes of the head's parameters.
        keep_head: whether a head of the same shape is taken from `state`.
        where: where the weights come from, for the message.

    Raises:
        UserError: naming the first tensors that are missing, unexpected, of another shape or type, or not finite.
    """
    own = module.state_dict()
    heads = {name for name in [*own, *state] if in_head(name, head)}
    fits = keep_head and all(name in state and name in own and state[name].shape == own[name].shape for name in heads)
    body = {name: tensor for name, tensor in state.items() if fits or name not in heads}
    problems = _problems(body, {name: tensor for name, tensor in own.items() if fits or name not in heads})
    if problems:
        lines = [f"{where} does not fit the network:", *problems, _remedy(problems)]
        raise UserError("\n  ".join(lines))
    module.load_state_dict(body, strict=False)
    _check_finite(module, where)


def _check_finite(module: nn.Module, where: str) -> None:
    statistics = ((n, b) for n, b in module.named_buffers() if n.endswith(("running_mean", "running_var")))
    tensors = [*module.named_parameters(), *statistics]
    bad = [name for name, tensor in tensors if not bool(tensor.isfinite().all())]
    if bad:
        raise UserError(
            f"{where}: weights must be finite, found NaN or infinity in {_first('tensors', bad)}; the file is "
            "damaged, or its training diverged: take other weights"
        )


def _remedy(problems: Sequence[str]) -> str:
    resized = any("pos_embed" in line or "position" in line for line in problems)
    size = "; position embeddings of this number cannot be resized: give the file's own image_size" if resized else ""
    return f"give the network.name, config and image_size of the network that the weights were made for{size}"


def fits(state: State, module: nn.Module, head: Sequence[str]) -> bool:
    """Tell whether weights have the names and shapes of a network's, its head aside."""
    own = module.state_dict()
    body, mine = ({n: t for n, t in tensors.items() if not in_head(n, head)} for tensors in (state, own))
    return not _problems(body, mine)


def _problems(state: State, own: State) -> list[str]:
    """Describe how weights differ from a network's, kind by kind. Old files lack `num_batches_tracked`."""
    kinds = {
        "missing": [
            f"{name} {tuple(own[name].shape)}"
            for name in own
            if name not in state and not name.endswith("num_batches_tracked")
        ],
        "unexpected": [f"{name} {tuple(state[name].shape)}" for name in state if name not in own],
        "of another shape": [
            f"{name} must be {tuple(own[name].shape)}, found {tuple(state[name].shape)}"
            for name in own
            if name in state and state[name].shape != own[name].shape
        ],
        "of another type": [
            f"{name} must be floating-point, found {state[name].dtype}"
            for name in own
            if name in state and own[name].is_floating_point() and not state[name].is_floating_point()
        ],
    }
    return [_first(kind, names) for kind, names in kinds.items() if names]


def _first(kind: str, names: list[str], limit: int = 3) -> str:
    rest = f", and {len(names) - limit} more" if len(names) > limit else ""
    return f"{len(names)} {kind}: {', '.join(names[:limit])}{rest}"
