"""Pieces of the work, timed on this machine; what costs the same is timed once."""

from collections.abc import Callable
from typing import Any, TypeVar

from stages.commands.config import Config
from stages.commands.plan.calibrate import Speed, in_new_process, time_embedding, time_training
from stages.commands.plan.calibrate_measure import time_measuring
from stages.commands.plan.images import Images

T = TypeVar("T")

OF_ITS_WEIGHTS = {"weights", "epochs"}
"""Fields of a network that do not change how long a pass takes."""


class Timer:
    """Times pieces of the work in new processes, and what costs the same once."""

    def __init__(self, config: Config, threads: int | None) -> None:
        """Time nothing yet.

        Args:
            config: the parameters.
            threads: of a process; None: as many as it takes by itself.
        """
        self.config, self.threads = config, threads
        self._known: dict[tuple[object, ...], Any] = {}

    def training(self, dataset: str, model: str, classes: int) -> Speed:
        """Time training of a network, whose number of classes hardly matters."""
        entry, size = self.config.models[model].network, self.config.datasets[dataset].image_size
        key = "training", entry.model_dump_json(exclude=OF_ITS_WEIGHTS), size
        return self._once(key, time_training, entry, self.config.finetune, size, classes)

    def embedding(self, dataset: str, model: str, classes: int) -> Speed:
        """Time embedding, as `training`."""
        entry, taps = self.config.models[model].network, self.config.models[model].taps
        size = self.config.datasets[dataset].image_size
        key = "embedding", entry.model_dump_json(exclude=OF_ITS_WEIGHTS), taps.model_dump_json(), size
        return self._once(key, time_embedding, entry, taps, self.config.embed, size, classes)

    def measuring(self, model: str, images: Images, width: int) -> tuple[Speed, float]:
        """Time measuring a layer of some width."""
        steps = self.config.checkpoints(model)
        return self._once(
            ("measuring", images, width, steps), time_measuring, self.config.measure, images, width, steps
        )

    def _once(self, key: tuple[object, ...], work: Callable[..., T], *arguments: object) -> T:
        if key not in self._known:
            self._known[key] = in_new_process(work, *arguments, threads=self.threads)
        found: T = self._known[key]
        return found
