"""Count the commits that would have trained every network again for a change to shared files alone.

    python -m tests.bench.replay [FROM..TO]

Of each commit it asks which files of finetune's dependencies changed, and whether all lie in stages/shared: once by the
dependencies that dvc.yaml had then, and once by those of today. For the latter it finds out which definitions of a
file changed and where they, or their lines, lie now; where both are gone, where a file of that name lies.
"""

import ast
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML, YAMLError

ROOT = Path(__file__).parents[2]
SHARED = "stages/shared/"
MOVED = ("transforms.py",)
"""Files of today's `networks` that lay beside it."""


def main() -> None:
    """Print both counts, and the commits that still count."""
    commits = git("rev-list", "--no-merges", sys.argv[1] if len(sys.argv) > 1 else "HEAD").split()
    homes, today = homes_of_definitions(), code_deps((ROOT / "dvc.yaml").read_text())
    then, now = [], []
    for commit in commits:
        files = [name for name in git("diff-tree", "--no-commit-id", "--name-only", "-r", commit).split("\n") if name]
        code = [name for name in files if name.startswith("stages/") and name.endswith(".py")]
        if any(name.startswith("stages/finetune/") for name in code):
            continue
        if any(covered(name, code_deps(git("show", f"{commit}:dvc.yaml", check=False))) for name in code):
            then.append(commit)
        shared = [name for name in code if name.startswith(SHARED)]
        if any(covered(place, today) for name in shared for place in places(commit, name, homes)):
            now.append(commit)
    print(f"{len(commits)} commits; shared files alone train again: {len(then)} then, {len(now)} by today's folders")
    for commit in now:
        print(git("show", "-s", "--format=  %h %s", commit).rstrip())


def places(commit: str, name: str, homes: dict[str, set[str]]) -> set[str]:
    """Return where what a commit changed of a file lies today."""
    before, after = (definitions(git("show", f"{revision}:{name}", check=False)) for revision in (f"{commit}~", commit))
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    of_networks = "/networks/" in name

    def lie(key: str) -> set[str]:
        known = homes.get(key) or homes.get(key.removeprefix("_"), set())
        files = {file for file in known if ("/networks/" in file) == of_networks or file.endswith(MOVED)}
        same = {file for file in files if Path(file).name == Path(name).name}
        return same or (files if len({Path(file).parent for file in files}) == 1 else hold_lines(after.get(key, "")))

    return {file for key in changed for file in lie(key)} or lie(Path(name).name)


def hold_lines(source: str) -> set[str]:
    """Find the files of stages/shared that hold most long lines of a definition whose name is gone."""
    lines = {line.strip() for line in source.splitlines() if len(line.strip()) > 40}
    files = {str(path.relative_to(ROOT)): path.read_text() for path in (ROOT / SHARED).rglob("*.py")}
    return {file for file, text in files.items() if lines and sum(line in text for line in lines) > len(lines) / 2}


def definitions(source: str) -> dict[str, str]:
    """Map the names that a module defines to their source."""
    found: dict[str, str] = {}
    for node in ast.parse(source).body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        names = [node.name] if hasattr(node, "name") else [t.id for t in targets if isinstance(t, ast.Name)]
        found |= dict.fromkeys(names, ast.get_source_segment(source, node) or "")
    return found


def homes_of_definitions() -> dict[str, set[str]]:
    """Map each definition, and each file's name, of stages/shared to where it lies."""
    homes: dict[str, set[str]] = {}
    for path in sorted((ROOT / SHARED).rglob("*.py")):
        for name in [path.name, *definitions(path.read_text())]:
            homes.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    return homes


def code_deps(dvc_yaml: str) -> list[str]:
    """List the code that finetune depends on."""
    try:
        deps: list[str] = YAML(typ="safe").load(dvc_yaml)["stages"]["finetune"]["deps"]
    except (YAMLError, KeyError, TypeError):
        return []
    return [dep for dep in deps if dep.startswith("stages/")]


def covered(name: str, deps: list[str]) -> bool:
    """Tell whether a file is one of the dependencies, or below one."""
    return any(name == dep or name.startswith(f"{dep}/") for dep in deps)


def git(*words: str, check: bool = True) -> str:
    """Return what git prints."""
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=check).stdout


if __name__ == "__main__":
    main()
