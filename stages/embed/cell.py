"""One cell of the grid: every image at every layer of every checkpoint of one network, and more at the last.

How far it is, is kept after every shard, so that a run that was stopped goes on from there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from accelerate import Accelerator
from numpy.typing import NDArray

from stages.shared.core.stage_run import StageRun
from stages.embed.embedder import Embedder, baseline_layers, open_embedder, raw_pixels, stored
from stages.embed.image_sets import Batch, ImageSet, change_pixels, last_step_sets, remaining_batches, samples_of
from stages.embed.loading import Checkpoints, load_checkpoint
from stages.embed.params import EmbedParams, TapsParams
from stages.shared.core.kept_work import KeptWork, claim_work
from stages.shared.embeddings.embedding_store import BASELINE, LAST_STEP, EmbeddingWriter
from stages.shared.images.image_store import MAX_SHARD_BYTES, PackedImages, Pixels, Rows
from stages.shared.networks.network import computing, gather
from stages.shared.runtime.console import Stopwatch, progress


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


@dataclass(frozen=True)
class Store:
    """One of a cell's two stores.

    Attributes:
        name: what messages call it.
        path: its folder.
        sets: what it holds.
        steps: the checkpoints' steps, ascending.
    """

    name: str
    path: Path
    sets: Sequence[ImageSet]
    steps: Sequence[int]


@dataclass(frozen=True)
class Cell:
    """What a cell embeds, ready to run.

    Attributes:
        images: the dataset.
        params: the `embed` section.
        checkpoints: paths by step, ascending.
        classes: names of the head's classes; none of a frozen network, which has no head.
        embedder: the network, and what is taken from it.
    """

    images: PackedImages
    params: EmbedParams
    checkpoints: Mapping[int, Path]
    classes: tuple[str, ...]
    embedder: Embedder

    @property
    def rows(self) -> Rows:
        """Rows of the images to embed at every checkpoint, ascending."""
        return self.images.rows(*self.params.splits)

    @property
    def last_step_sets(self) -> list[ImageSet]:
        """What is embedded only at the last checkpoint, in a store inside the store."""
        return last_step_sets(self.images, self.params)

    def write(self, out: Path, attributes: Mapping[str, Any], kept: KeptShards | None = None) -> int:
        """Embed into a new store: one forward pass per image and checkpoint, and per image of the last step's sets.

        Args:
            out: the store to create.
            attributes: JSON values to keep in it: dataset, model, fold, seed, made_with, frozen.
            kept: where it goes on from, and is kept; None: it starts anew and is not kept.

        Returns:
            Number of layers written, the raw-pixel baseline included.

        Raises:
            UserError: a layer's embedding is NaN or infinite, or a checkpoint does not fit the network.
        """
        store, last = self._stores(out)
        kept = kept or KeptShards()
        kept.restore(sum(len(each.steps) * len(image_set.rows) for each in (store, last) for image_set in each.sets))
        with self._writer(store, attributes, kept) as writer:
            self._fill(writer, store, kept)
            if last.sets:  # finished before the store around it
                with self._writer(last, attributes, kept) as inner:
                    self._fill(inner, last, kept)
        return len(writer.layers)

    def help(self) -> None:
        """Embed what falls to this process, for the first one, which writes."""
        for store in self._stores(Path()):
            for _ in self._embedded(store, {step: self._remaining(store, 0) for step in store.steps}):
                raise AssertionError("only the first process gets embeddings")

    def _stores(self, out: Path) -> tuple[Store, Store]:
        steps = list(self.checkpoints)
        store = Store("embed", out, [ImageSet(self.rows)], steps)
        return store, Store("embed, last step", out / LAST_STEP, self.last_step_sets, steps[-1:])

    def _remaining(self, store: Store, rows_on_disk: int) -> list[Batch]:
        return remaining_batches(store.sets, self.params.batch_size, rows_on_disk)

    def _writer(self, store: Store, attributes: Mapping[str, Any], kept: KeptShards) -> EmbeddingWriter:
        return EmbeddingWriter(
            store.path,
            samples=samples_of(self.images, store.sets),
            steps=store.steps,
            layers=baseline_layers(self.params.baseline_size) + [layer.layer for layer in self.embedder.layers],
            classes=self.classes,
            dtype=self.params.dtype,
            attributes=attributes,
            written=kept.rows.get(store.name),
        )

    def _fill(self, writer: EmbeddingWriter, store: Store, kept: KeptShards) -> None:
        """Embed what is not on disk yet, step by step, batch by batch."""
        remaining = {step: self._remaining(store, rows) for step, rows in writer.written.items()}
        total = len(store.steps) * len(self._remaining(store, 0))
        done = total - sum(map(len, remaining.values()))
        batches = self._embedded(store, remaining)
        for step, batch, arrays in progress(batches, total=total, what=store.name, unit="batch", done_before=done):
            for name, values in arrays.items():
                writer.write(name, step, stored(values, name, step, self.params.dtype)[batch.rows_on_disk :])
            kept.after_batch(store.name, writer)

    def _embedded(
        self, store: Store, remaining: Mapping[int, Sequence[Batch]]
    ) -> Iterator[tuple[int, Batch, dict[str, NDArray[np.float32]]]]:
        """Yield the step, the batch and its arrays {name: (B, D)}.

        Of n processes each embeds every n-th batch; the first one yields all of them, the others none.
        """
        accelerator = self.embedder.accelerator
        process, processes = accelerator.process_index, accelerator.num_processes
        read = self._read([batch for batches in remaining.values() for batch in batches[process::processes]])
        for step, batches in remaining.items():
            if not batches:
                continue
            load_checkpoint(self.embedder.network, self.checkpoints[step])
            size = self.params.baseline_size if step == store.steps[0] else 0
            with self.embedder.running(self.params.batch_size) as embed:
                for number in range(0, len(batches), processes):
                    arrays: dict[str, NDArray[np.float32]] = {}
                    if number + process < len(batches):
                        batch, pixels = next(read)
                        arrays = {BASELINE: raw_pixels(pixels, size)} if size else {}
                        arrays |= embed(batch.rows, pixels)
                    for batch, gathered in zip(batches[number:], gather(accelerator, arrays), strict=False):
                        yield step, batch, gathered

    def _read(self, batches: Sequence[Batch]) -> Iterator[tuple[Batch, Pixels]]:
        """Yield batches and their pixels."""
        for batch, (rows, pixels) in zip(batches, self.images.batches(batch.rows for batch in batches), strict=True):
            yield batch, change_pixels(self.images, batch.image_set, rows, pixels)


def open_cell(
    images: PackedImages,
    checkpoints: Checkpoints,
    taps: TapsParams,
    params: EmbedParams,
    *,
    seed: int,
) -> Cell:
    """Build a cell's network and find its layers.

    Args:
        images: the dataset.
        checkpoints: of the network, with its entry's `network` part.
        taps: the other part.
        params: the `embed` section.
        seed: of the cell; rotations are drawn from it.

    Raises:
        UserError: a module path is not in the network.
    """
    last = checkpoints.last
    embedder = open_embedder(
        checkpoints.network, taps, params, images, classes=len(last.classes), augment=last.augment, seed=seed
    )
    in_memory = images.in_memory(MAX_SHARD_BYTES)  # if no more than a shard: samples' rows are scattered
    return Cell(in_memory, params, checkpoints.paths, last.classes, embedder)
