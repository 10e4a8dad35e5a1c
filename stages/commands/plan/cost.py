"""What one network costs on one dataset: passes, operations, disk and memory, from its true layers and parameters."""

from dataclasses import dataclass

from torch import nn

from stages.commands.config import Config
from stages.commands.plan.images import Images
from stages.embed.params import EmbedParams
from stages.embed.pooling import baseline_layers, pooled_layers
from stages.embed.taps.find import find_taps
from stages.embed.taps.trace import trace_forward
from stages.finetune.params import schedule_length
from stages.shared.embeddings.embedding_writer import SAMPLES_PER_SHARD
from stages.shared.networks.network import build_skeleton

BYTES = {"float32": 4, "float16": 2}


@dataclass(frozen=True)
class Cost:
    """What one network costs on one fold of a dataset, for one seed.

    Attributes:
        parameters: of the network with its head; of a frozen one, without.
        trained: images that pass forward and backward; passed: forward only, in tests and embedding.
        flops: floating-point operations of all passes (a backward pass counts as two forward passes).
        checkpoints, embeddings: bytes on disk, embeddings before compression.
        training_memory: bytes of weights, gradients and AdamW's two moments, without activations.
        embed_memory: bytes of the shards being written.
        layers: number of layers that are embedded, without the raw pixels; middle_width: the median of their widths.
    """

    parameters: int
    trained: int
    passed: int
    flops: float
    checkpoints: int
    embeddings: int
    training_memory: int
    embed_memory: int
    layers: int = 1
    middle_width: int = 1


def cost(config: Config, model: str, images: Images) -> Cost:
    """Work out what one network costs on one fold of a dataset, from its true layers and parameters.

    Raises:
        UserError: the network cannot be built.
    """
    entry, finetune, embed = config.models[model].network, config.finetune, config.embed
    classes = 0 if entry.frozen else images.classes  # a frozen network has no head
    network = build_skeleton(entry, max(1, classes))
    taps = find_taps(network, entry, config.models[model].taps)
    widths = [layer.layer.width for layer in pooled_layers(taps, embed.pooling)]
    saved, steps = config.checkpoints(model), [] if entry.frozen else finetune.steps
    if not entry.frozen:
        schedule_length(finetune, images.train, epochs=entry.epochs)
    trained = min(steps[-1] * finetune.batch_size, steps[-1] * images.train) if steps else 0
    embedded, extra = sum(getattr(images, split) for split in embed.splits), last_step_images(embed, images)
    passed = len(steps) * images.test + len(saved) * embedded + extra
    state = network.body_state() if entry.frozen else network.module.state_dict()
    weights = sum(t.numel() * t.element_size() for t in state.values())
    parameters = sum(p.numel() for name, p in network.module.named_parameters() if name in state)
    row = sum(widths) * BYTES[embed.dtype] + classes * 4
    pixels = sum(layer.width for layer in baseline_layers(embed.baseline_size)) * BYTES[embed.dtype]
    return Cost(
        parameters=parameters,
        trained=trained,
        passed=passed,
        flops=forward_flops(network.module, entry.image_size) * (3 * trained + passed),
        checkpoints=weights * len(saved),
        embeddings=embedded * (row * len(saved) + pixels) + extra * (row + pixels),
        training_memory=4 * 4 * parameters if trained else 0,
        embed_memory=min(max(embedded, extra), SAMPLES_PER_SHARD) * row,
        layers=len(widths),
        middle_width=sorted(widths)[len(widths) // 2],
    )


def last_step_images(embed: EmbedParams, images: Images) -> int:
    """Count the images that pass at the last checkpoint alone; fewer do if some classes have less than is asked for."""
    train = min(images.train, images.classes * embed.train_per_class)
    test = min(images.test, images.classes * embed.corruptions.per_class)
    return train + test * len(embed.corruptions.kinds) * len(embed.corruptions.severities)


def forward_flops(module: nn.Module, size: int) -> float:
    """Count the floating-point operations of one image's forward pass, two for a multiply-add."""
    return 2.0 * trace_forward(module, size).operations[""]
