"""Small networks of the four libraries with random weights: CNNs, hierarchical and plain transformers."""

from typing import Any

import torch

from stages.embed.embedder import PooledLayer, pooled_layers
from stages.embed.params import TapsParams
from stages.embed.taps.find import find_taps
from stages.shared.networks.network import Network, build_network
from stages.shared.networks.params import NetworkParams

SWIN = {"embed_dim": 16, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 4, 8], "window_size": 4}
VIT = {"num_hidden_layers": 4, "hidden_size": 48, "num_attention_heads": 3, "intermediate_size": 96}
STAGES = {"depths": [1, 1, 2, 1], "hidden_sizes": [16, 24, 32, 48]}
DEFAULT_TAPS = TapsParams()

NETWORKS: dict[str, tuple[str, str, int, dict[str, Any] | None]] = {
    "timm-swin": ("timm", "swin_tiny_patch4_window7_224", 64, SWIN),
    "timm-vit": ("timm", "vit_tiny_patch16_224", 48, {"depth": 4, "embed_dim": 48, "num_heads": 3}),
    "torchvision-cnn": ("torchvision", "mobilenet_v3_small", 64, None),
    "torchvision-swin": ("torchvision", "swin_t", 64, None),
    "open_clip-vit": ("open_clip", "ViT-B-32", 64, {"layers": 4, "width": 64, "head_width": 32}),
    "open_clip-cnn": ("open_clip", "RN50", 64, {"layers": [1, 1, 1, 1], "width": 8}),
    "transformers-cvt": ("transformers", "microsoft/cvt-21", 64, {"depth": [1, 2, 3]}),
    "transformers-vit": ("transformers", "google/vit-base-patch16-224-in21k", 48, VIT),
}
"""Two of each library. They are tried at their first, middle and last layer."""

MORE: dict[str, tuple[str, str, int, dict[str, Any] | None]] = {
    "timm-resnet": ("timm", "resnet10t", 64, None),
    "timm-convnext": ("timm", "convnext_atto", 64, None),
    "timm-siglip": ("timm", "vit_base_patch16_siglip_224", 48, {"depth": 3, "embed_dim": 48, "num_heads": 3}),
    "timm-dinov2": ("timm", "vit_small_patch14_dinov2", 56, {"depth": 3, "embed_dim": 48, "num_heads": 3}),
    "timm-registers": ("timm", "vit_small_patch14_reg4_dinov2", 56, {"depth": 3, "embed_dim": 48, "num_heads": 3}),
    "torchvision-resnet": ("torchvision", "resnet18", 64, None),
    "torchvision-vit": ("torchvision", "vit_b_32", 64, None),
    "torchvision-convnext": ("torchvision", "convnext_tiny", 64, None),
    "torchvision-densenet": ("torchvision", "densenet121", 64, None),
    "torchvision-efficientnet": ("torchvision", "efficientnet_b0", 64, None),
    "torchvision-googlenet": ("torchvision", "googlenet", 64, None),
    "torchvision-maxvit": ("torchvision", "maxvit_t", 224, None),
    "torchvision-squeezenet": ("torchvision", "squeezenet1_1", 64, None),
    "open_clip-timm": ("open_clip", "MobileCLIP-S1", 64, None),
    "transformers-resnet": ("transformers", "microsoft/resnet-50", 64, {**STAGES, "embedding_size": 16}),
    "transformers-swin": ("transformers", "microsoft/swin-tiny-patch4-window7-224", 64, {**SWIN, "window_size": 2}),
    "transformers-pvt": ("transformers", "Zetatech/pvt-tiny-224", 64, None),
    "transformers-poolformer": ("transformers", "sail/poolformer_s12", 64, None),
    "transformers-convnext": ("transformers", "facebook/convnextv2-tiny-1k-224", 64, STAGES),
}
"""Further ones, tried where WHICHLAYER_EVERY_EXPORT is set."""


def build(
    library: str, name: str, size: int, config: dict[str, Any] | None, taps: TapsParams = DEFAULT_TAPS
) -> tuple[Network, list[PooledLayer]]:
    """Build a network with random weights; its layers under their main pooling."""
    entry = {"library": library, "name": name, "image_size": size, "weights": {"source": "none"}, "config": config}
    params = NetworkParams.model_validate(entry)
    network = build_network(params, 5, seed=0)
    network.move(torch.device("cpu"))
    return network, pooled_layers(find_taps(network, params, taps), ["auto"])
