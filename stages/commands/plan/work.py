"""What one network has to do on one fold: images, passes, operations, disk and memory, without decoding an image."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from stages.commands.config import Config
from stages.commands.folds import find_folds
from stages.embed.embedder import PooledLayer, baseline_layers, pooled_layers
from stages.embed.taps.find import find_taps
from stages.embed.taps.tap import trace_forward
from stages.finetune.params import schedule_length
from stages.shared.embeddings.embedding_store import SAMPLES_PER_SHARD
from stages.shared.networks.network import build_skeleton

BYTES = {"float32": 4, "float16": 2}


@dataclass(frozen=True)
class Images:
    """How many images a fold of a dataset has by split, and how many seen and unseen classes.

    Attributes:
        packed: images that are prepared for all folds together.
        sets: number of classes of each set in which they are scored; none: all at once.
    """

    train: int
    test: int
    unseen: int
    classes: int
    unseen_classes: int = 0
    packed: int = field(default=0, compare=False)
    sets: tuple[int, ...] = ()

    @property
    def of_set(self) -> "Images":
        """As many as one set of classes has; themselves where there are no sets."""
        if not self.sets:
            return self
        return replace(self, unseen=self.unseen * self.sets[0] // self.unseen_classes, unseen_classes=self.sets[0])


def count_images(config: Config, raw: Path, dataset: str) -> dict[str, Images]:
    """Count the images of the grid's folds of a dataset, as listing its files gives.

    Of a dataset that is yet to be downloaded, what its entry asks for is counted, where that says enough.

    Raises:
        UserError: the dataset lacks a fold of the grid, or its images cannot be listed.
    """
    plan = find_folds(config, raw, dataset, counted=True)
    images = {}
    for fold in config.run.folds:
        splits = [plan.splits[fold][split] for split in ("train", "test", "unseen")]
        seen, _, others = (len({candidate.label for candidate in split}) for split in splits)
        train, test, unseen = map(len, splits)
        images[fold] = Images(train, test, unseen, seen, others, len(plan.packed), tuple(map(len, plan.sets)))
    return images


@dataclass(frozen=True)
class Work:
    """What one network has to do on one fold of a dataset, for one seed.

    Attributes:
        parameters: of the network with its head; of a frozen one, without.
        trained: images that pass forward and backward.
        tested: images that pass forward in finetune; passed: in tests and embedding together.
        embedded: images of which every checkpoint's embedding is stored.
        flops: floating-point operations of all passes (a backward pass counts as two forward passes).
        checkpoints, embeddings: bytes on disk, embeddings before compression.
        embed_memory: bytes of the weights and of the shards being written.
        layers: that are embedded, without the raw pixels.
        baselines: number of raw-pixel layers.
    """

    parameters: int
    trained: int
    tested: int
    passed: int
    embedded: int
    flops: float
    checkpoints: int
    embeddings: int
    embed_memory: int
    layers: Sequence[PooledLayer]
    baselines: int


def work_of(config: Config, model: str, images: Images) -> Work:
    """Work out what one network has to do on one fold of a dataset, from its true layers and parameters.

    Raises:
        UserError: the network cannot be built.
    """
    entry, finetune, embed = config.models[model].network, config.finetune, config.embed
    classes = 0 if entry.frozen else images.classes  # a frozen network has no head
    network = build_skeleton(entry, max(1, classes))
    taps = find_taps(network, entry, config.models[model].taps)
    layers = pooled_layers(taps, embed.pooling)
    saved, steps = config.checkpoints(model), [] if entry.frozen else finetune.steps
    if not entry.frozen:
        schedule_length(finetune, images.train, epochs=entry.epochs)
    trained = min(steps[-1] * finetune.batch_size, steps[-1] * images.train) if steps else 0
    embedded = sum(getattr(images, split) for split in embed.splits)
    extra = min(images.train, images.classes * embed.train_per_class)  # at the last checkpoint only, at most
    tested = len(steps) * images.test
    passed = tested + len(saved) * embedded + extra
    state = network.body_state() if entry.frozen else network.module.state_dict()
    weights = sum(t.numel() * t.element_size() for t in state.values())
    row = sum(layer.layer.width for layer in layers) * BYTES[embed.dtype] + classes * 4
    baselines = baseline_layers(embed.baseline_size)
    pixels = sum(layer.width for layer in baselines) * BYTES[embed.dtype]
    return Work(
        parameters=sum(p.numel() for name, p in network.module.named_parameters() if name in state),
        trained=trained,
        tested=tested,
        passed=passed,
        embedded=embedded,
        flops=2.0 * trace_forward(network.module, entry.image_size).operations[""] * (3 * trained + passed),
        checkpoints=weights * len(saved),
        embeddings=embedded * (row * len(saved) + pixels) + extra * (row + pixels),
        embed_memory=weights + min(max(embedded, extra), SAMPLES_PER_SHARD) * row,
        layers=layers,
        baselines=len(baselines),
    )
