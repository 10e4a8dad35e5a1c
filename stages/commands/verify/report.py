"""What `whichlayer verify` prints: what is damaged, and what would repair it."""

from stages.commands.verify.inventory import Project
from stages.commands.verify.locks import StaleLock
from stages.commands.verify.repair import Repair, count
from stages.commands.verify.survey import Seen, Survey
from stages.shared.runtime.errors import printable


def report(project: Project, found: Survey, locks: list[StaleLock]) -> str:
    """Say what was found, a line for each damaged file."""
    lines = [f"{lock.path}: {lock.found} (a lock that nothing holds)" for lock in locks]
    lines += [f"{damage.path}: {damage.found} (in DVC's cache)" for damage in found.objects.values()]
    lines += [f"{damage.path}: {damage.found} (in DVC's run cache)" for damage in found.runs]
    lines += [f"{project.object_path(oid)}: no file (in DVC's cache)" for oid in sorted(found.missing)]
    lines += [f"{damage.path}: {damage.found} ({_origin(seen)})" for seen in found.damaged for damage in seen.damages()]
    lines += [f"{damage.path}: {damage.found} at an unchanged time; put it back yourself" for damage in found.sources]
    lines = [plain_line(line.replace(f"{project.root}/", "", 1)) for line in lines]
    what = f"verify: hashed {found.counted:,} files and objects of the cache; "
    said = [what + (f"{len(lines)} damaged:" if lines else "all are as they were written"), *lines]
    newer = sum(seen.newer for seen in found.damaged)
    note = f"newer than dvc.lock, {count(newer, 'output')}: DVC ended before it recorded this, or it was edited; "
    return "\n  ".join(said) + (f"\n{note}`dvc repro` computes it again" if newer else "")


def _origin(seen: Seen) -> str:
    return f"{seen.output.stage}, newer than dvc.lock" if seen.newer else seen.output.stage


def plain_line(text: str) -> str:
    """Escape what would reach the terminal, or begin another line."""
    return printable(text.replace("\n", "\\n"))


def how_to_repair(plan: Repair, locks: list[StaleLock]) -> str:
    """Say what `--repair` would do; nothing where only files are damaged that no stage makes."""
    steps = [*(["deletes the locks"] if locks else []), *plan.steps()]
    return plain_line(f"`whichlayer verify --repair` repairs this: it {', '.join(steps)}") if steps else ""
