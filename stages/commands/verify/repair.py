"""What repairs damage, and doing it: from whole copies where there are any, else by running the stage again."""

import os
from dataclasses import dataclass
from pathlib import Path

from stages.commands.dvc_project.inventory import Inventory
from stages.commands.verify.damage import Survey
from stages.shared.runtime.scratch import remove


@dataclass(frozen=True)
class Repair:
    """What is to be done, in this order.

    Attributes:
        remove: files to delete: damaged objects and entries of the cache, and damaged files of the workspace.
        store: objects that the cache lacks then, and the whole copies that they are made of.
        checkout: outputs that the cache has whole then.
        rerun: stages of whose outputs there is no whole copy.
    """

    remove: list[Path]
    store: dict[str, Path | bytes]
    checkout: list[Path]
    rerun: list[str]

    def steps(self) -> list[str]:
        """Return what is done, a few words each."""
        done = [
            (self.remove, "deletes {} that are not whole", "file"),
            (self.store, "stores {} in the cache again, from the workspace", "object"),
            (self.checkout, "checks {} out of the cache", "output"),
            (self.rerun, f"runs {{}} again ({', '.join(self.rerun)})", "stage"),
        ]
        return [text.format(count(len(what), unit)) for what, text, unit in done if what]


def plan_repair(survey: Survey) -> Repair:
    """Work out what repairs damage."""
    copies = {oid: copy for each in survey.outputs if each.output.cached for oid, copy in each.copies.items()}
    store = {oid: copies[oid] for oid in sorted({*survey.objects, *survey.missing} & copies.keys())}
    available, lost = survey.whole | store.keys(), []
    for each in survey.outputs:  # what cannot be restored from the cache, of whole outputs, too
        in_cache = each.output.cached and each.objects is not None and each.objects <= available
        if not in_cache and (each.output.cached or each.damages):
            lost.append(each)
    damages = [damage for each in survey.damaged for damage in each.damages]
    gone = [each.path for each in [*survey.objects.values(), *survey.runs, *damages] if os.path.lexists(each.path)]
    checkout = [each.output.path for each in survey.damaged if each not in lost]
    return Repair(gone, store, checkout, sorted({each.output.stage for each in lost}))


def put_back(inventory: Inventory, repair: Repair) -> None:
    """Remove what is damaged, and put back what there are whole copies of; to be called under DVC's lock.

    Raises:
        UserError: DVC cannot check an output out.
    """
    for path in repair.remove:
        remove(path)
    for oid, copy in repair.store.items():
        inventory.store(oid, copy)
    inventory.checkout(repair.checkout)


def count(number: int, unit: str) -> str:
    """Write a number with its unit: `1 file`, `2 files`."""
    return f"{number:,} {unit}{'' if number == 1 else 's'}"
