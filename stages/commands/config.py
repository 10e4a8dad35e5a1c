"""The whole of params.yaml as one frozen object, for commands: it puts the stages' own models together.

A stage reads its own section and entries alone (`stages/shared/workflow/params.py`), so that no stage depends on the
models of another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..aggregate.params import AggregateParams
from ..embed.params import EmbedParams, TapsParams
from ..finetune.params import FinetuneParams
from ..measure.params import MeasureParams
from ..prepare.params import DatasetParams, PrepareParams, parse_dataset
from ..shared.networks.params import NetworkParams
from ..shared.workflow.params import Params, RunParams, load, parse, parse_run


class ModelParams(Params):
    """An entry of `models`, both parts."""

    network: NetworkParams
    taps: TapsParams


@dataclass(frozen=True)
class Config:
    """Every section and every entry of params.yaml, also those that the grid does not use.

    Attributes:
        content: all in plain values.
    """

    run: RunParams
    prepare: PrepareParams
    finetune: FinetuneParams
    embed: EmbedParams
    measure: MeasureParams
    aggregate: AggregateParams
    datasets: Mapping[str, DatasetParams]
    models: Mapping[str, ModelParams]
    content: Mapping[str, Any]

    def root_seed(self, dataset: str) -> int:
        """Return the seed of a dataset's random choices."""
        return self.datasets[dataset].root_seed(self.prepare.seed)

    def checkpoints(self, model: str) -> tuple[int, ...]:
        """Return the steps of the checkpoints of a network that stay on disk."""
        return self.finetune.kept(frozen=self.models[model].network.frozen)


def read_config(path: Path) -> Config:
    """Read and validate a params file, which is parsed once.

    Raises:
        UserError: the file cannot be read, or a section or entry of it does not hold.
    """
    return parse_config(load(path))


def parse_config(content: dict[str, Any]) -> Config:
    """Validate the plain values of a params file, every section and entry by itself.

    Raises:
        UserError: at the first section or entry that does not hold.
    """
    return Config(
        run=parse_run(content),
        prepare=parse(content["prepare"], PrepareParams, where="prepare"),
        finetune=parse(content["finetune"], FinetuneParams, where="finetune"),
        embed=parse(content["embed"], EmbedParams, where="embed"),
        measure=parse(content["measure"], MeasureParams, where="measure"),
        aggregate=parse(content["aggregate"], AggregateParams, where="aggregate"),
        datasets={name: parse_dataset(values, name) for name, values in content["datasets"].items()},
        models={name: parse(values, ModelParams, where=f"models.{name}") for name, values in content["models"].items()},
        content=content,
    )
