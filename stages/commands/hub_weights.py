"""Whether the weights that a network takes from the Hugging Face hub can be had: in the cache, on the hub, or not."""

from typing import Any
from unittest.mock import patch

import huggingface_hub
from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError
from torch import nn

from ..shared.networks.hub import TIMEOUT_SECONDS, RefusedFileError
from ..shared.networks.network import build_network
from ..shared.networks.params import NetworkParams
from ..shared.runtime.errors import UserError
from .project import size


class _AnsweredError(Exception):
    """Ends the search for weights: says where they are."""


def describe_weights(network: NetworkParams, skeleton: nn.Module) -> str | None:
    """Return where the hub weights of a network are, or that the hub cannot be asked; None: they are elsewhere.

    The network is built as its stage builds it, though where the skeleton is, on PyTorch's meta device, so that the
    same code looks for the same files. The client that it calls answers in place of downloading weights.

    Raises:
        UserError: the hub has no such repository or file, or refuses it.
    """
    of_timm: Any = getattr(skeleton, "pretrained_cfg", None)
    if network.library == "torchvision" or (of_timm and not of_timm.get("hf_hub_id")):
        return None
    try:
        with patch.object(huggingface_hub, "hf_hub_download", _answer), next(skeleton.parameters()).device:
            build_network(network, 2, seed=0)
    except _AnsweredError as answer:
        return str(answer)
    except UserError as error:
        unreachable = isinstance(error.__cause__, (RefusedFileError, *HfHubHTTPError.__bases__))
        if not unreachable or isinstance(error.__cause__, FileNotFoundError):
            raise
        return f"warning: {error}; or set HF_ENDPOINT to a hub mirror"
    raise AssertionError("hub weights were loaded without asking for them")


def _answer(repository: str, file: str, *, local_files_only: bool) -> str:
    """Answer as `hf_hub_download`, but with `_AnsweredError` for weights that it would find or download."""
    if file.endswith(".json"):  # of some kilobytes, from which the network is built
        return hf_hub_download(repository, file, local_files_only=local_files_only)
    try:
        hf_hub_download(repository, file, local_files_only=True)
    except LocalEntryNotFoundError:
        if local_files_only:
            raise
    else:
        raise _AnsweredError(f"{file} from {repository} is in the cache")
    try:
        found = get_hf_file_metadata(hf_hub_url(repository, file), timeout=TIMEOUT_SECONDS)
    except EntryNotFoundError:
        raise  # its next name is tried
    except HfHubHTTPError as error:
        if error.response.status_code not in (401, 403, 404):
            raise
        raise UserError(
            f"weights: {repository} must be a repository that {constants.ENDPOINT} lets you read, found "
            f"{error.response.status_code}; correct the name, or accept its terms on its page and set HF_TOKEN"
        ) from None
    raise _AnsweredError(f"{file} from {repository} can be downloaded ({size(found.size or 0)})")
