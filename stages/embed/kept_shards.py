"""How far a cell's embeddings are, kept after every shard, so that a run that was stopped goes on from there."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from accelerate import Accelerator

from stages.shared.core.stage_run import StageRun
from stages.shared.core.kept_work import KeptWork, claim_work
from stages.shared.embeddings.embedding_store import EmbeddingWriter
from stages.shared.networks.network import computing
from stages.shared.runtime.console import Stopwatch


@dataclass
class KeptShards:
    """Rows of each store that are on disk, by the store's name and step.

    Attributes:
        work: where they are kept; None: they are not.
        say: prints one line.
        total: rows of all stores and steps, for messages.
    """

    work: KeptWork | None = None
    say: Callable[[str], None] = print
    total: int = 0
    rows: dict[str, dict[int, int]] = field(default_factory=dict)

    @classmethod
    def claim(cls, run: StageRun, watch: Stopwatch, accelerator: Accelerator) -> Self:
        """Take over an earlier run's work if it is of the same cell, code, parameters, inputs and machine.

        What several processes embed is not kept.
        """
        if accelerator.num_processes > 1:
            return cls()
        facts = {"cell": watch.cell, "machine": computing(accelerator)}
        return cls(claim_work(run, facts, watch.say), watch.say)

    def restore(self, total: int) -> None:
        """Read how far an earlier run was, of so many rows."""
        self.total = total
        if self.work and self.work.progress:
            stores = self.work.progress["rows"].items()
            self.rows = {name: {int(step): rows for step, rows in store.items()} for name, store in stores}
            self.say(f"goes on after {self.work.progress['done']}, where an earlier run was stopped")

    def after_batch(self, name: str, writer: EmbeddingWriter) -> None:
        """Keep the shards of a store, if the batch has finished any."""
        written = writer.written
        if self.work and written != self.rows.get(name, dict.fromkeys(writer.steps, 0)):
            self.rows[name] = written
            before = [self.work.folder / file for file in self.work.files]
            done = sum(rows for store in self.rows.values() for rows in store.values())
            progress = {"rows": self.rows, "done": f"{done} of {self.total} embeddings"}
            self.work.keep(progress, [*before, *writer.shards])
