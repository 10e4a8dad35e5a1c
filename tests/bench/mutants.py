"""Mutation testing: change the code in one place after another, and count the changes that no test notices.

    python -m tests.bench.mutants                                     # 4 changes of every module of MODULES
    python -m tests.bench.mutants stages/core/scores --sample 20   # of every module below a path
    python -m tests.bench.mutants stages/prepare/splits.py --all

Most changes are Cosmic Ray's: comparisons, arithmetic, numbers, conditions, loops. To these come the mistakes of
numeric code: an argument that is forgotten, a call that is left out, a transpose. A change to annotations or docstrings
alone is none.

Everything happens in a copy of the checkout. A module is tested by the test file that mirrors its path and by those
that import it, or, if there are none, by those of the modules that use it; what outlives these meets all tests of its
stage. A process is forked for each change, in which the
libraries are imported already. Changes that cannot alter a result are listed, with the reason, in
`equivalent_mutants.yaml`: not counted. At least 95 % of the others should be noticed; the exit status says so.
"""

import argparse
import ast
import contextlib
import importlib
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.yaml")
NOTICED = 0.95
"""Least share of changes that some test should notice."""

MODULES = (
    "stages/core/scores",
    "stages/core/scores/refits.py",
    "stages/core/inference",
    "stages/aggregate/facts.py",
    "stages/aggregate/recommend",
    "stages/aggregate/findings",
    "stages/prepare/folds.py",
    "stages/prepare/splits.py",
    "stages/embed",
    "stages/shared/embeddings",
    "stages/shared/images",
    "stages/shared/workflow",
)

COMPARISONS = "Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt Eq_NotEq NotEq_Eq Is_IsNot IsNot_Is"
ARITHMETIC = "Add_Sub Sub_Add Mul_Div Div_Mul FloorDiv_Mul Mod_FloorDiv Pow_Mul BitAnd_BitOr BitOr_BitAnd"
OTHERS = (
    "AddNot ReplaceTrueWithFalse ReplaceFalseWithTrue ReplaceAndWithOr ReplaceOrWithAnd NumberReplacer "
    "ReplaceBreakWithContinue ReplaceContinueWithBreak ZeroIterationForLoop ReplaceUnaryOperator_USub_UAdd "
    "ReplaceUnaryOperator_Delete_Invert"
)
OPERATORS = [
    *(f"ReplaceComparisonOperator_{pair}" for pair in COMPARISONS.split()),
    *(f"ReplaceBinaryOperator_{pair}" for pair in ARITHMETIC.split()),
    *OTHERS.split(),
]

LEFT_OUT = {"abs", "clip", "dropna", "max", "maximum", "min", "minimum", "round", "sorted", "sort_values", "sqrt"}
"""Calls that are left out, so that what they are given or are a method of stays as it is."""

GUARDS = {"strict", "frozen"}
"""Keyword arguments without which a program that is right gives the same result."""

LIBRARIES = ("numpy", "pandas", "scipy.stats", "sklearn.cluster", "pyarrow.parquet", "zarr", "pydantic", "torch")
LIBRARIES += ("PIL.Image", "hypothesis", "skdim.id", "timm", "transformers")
PYTEST = ("-x", "-q", "-p", "no:cacheprovider", "-m", "not slow and not fleet")
PYTEST += ("-W", "ignore::pytest.PytestAssertRewriteWarning")  # libraries are imported before pytest starts
MEMORY = 12 << 30
"""Bytes beyond which a changed program is taken for broken."""


@dataclass(frozen=True)
class Mutant:
    """One change: the lines that it takes away and those that it puts in their place."""

    path: str
    before: str
    after: str
    code: str

    def __str__(self) -> str:
        return f"{self.path}\n    - {self.before}\n    + {self.after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", default=MODULES, help="modules, or folders of modules")
    parser.add_argument("--sample", type=int, default=4, help="changes of each module")
    parser.add_argument("--all", action="store_true", help="every change")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    args = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", PYTHONDONTWRITEBYTECODE="1")
    sys.dont_write_bytecode = True
    for name in LIBRARIES:
        importlib.import_module(name)
    equivalent = {(entry["path"], entry["before"], entry["after"]) for entry in YAML(typ="safe").load(EQUIVALENT) or ()}
    with copied_checkout() as copy, contextlib.chdir(copy):
        modules = [module for path in args.paths for module in modules_below(Path(path))]
        totals = Counter[str]()
        for module in modules:
            mutants = list(mutants_of(module))
            random.Random(f"{args.seed} {module}").shuffle(mutants)
            known = [m for m in mutants if (m.path, m.before, m.after) not in equivalent]
            for path, before, after in equivalent - {(m.path, m.before, m.after) for m in mutants}:
                if path == str(module):
                    print(f"no longer a change, leave it out of {EQUIVALENT.name}: {path}: {before} -> {after}")
            outcomes = count_noticed(module, known if args.all else known[: args.sample])
            totals += outcomes
            print(
                f"{module}: {outcomes['noticed']} of {outcomes.total()} noticed, of {len(mutants)} changes", flush=True
            )
    share = totals["noticed"] / max(1, totals.total())
    print(f"\n{totals['noticed']} of {totals.total()} changes noticed: {share:.1%}")
    sys.exit(share < NOTICED)


@contextlib.contextmanager
def copied_checkout() -> Iterator[Path]:
    """Copy what git knows or would add, to be changed."""
    with tempfile.TemporaryDirectory(prefix="mutants") as folder:
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0"):
            if name and (ROOT / name).is_file():
                (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, Path(folder) / name)
        yield Path(folder)


def modules_below(path: Path) -> list[Path]:
    """List the modules of a path that hold functions."""
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return [file for file in files if "def " in file.read_text(encoding="utf-8")]


def mutants_of(module: Path) -> Iterator[Mutant]:
    """Yield every change to a module, each once."""
    source = module.read_text(encoding="utf-8")
    seen, lines = {meaning(source)}, source.splitlines()
    for code in (*changes_of_cosmic_ray(source), *mistakes(source)):
        try:
            changed = meaning(code)
        except SyntaxError:
            continue
        if changed not in seen:
            seen.add(changed)
            changed_lines = code.splitlines()
            first = next(i for i, line in enumerate(lines) if i >= len(changed_lines) or line != changed_lines[i])
            tail = 1
            while tail < min(len(lines), len(changed_lines)) - first and lines[-tail] == changed_lines[-tail]:
                tail += 1
            before, after = (" ".join(x[first : len(x) - tail + 1]).split() for x in (lines, changed_lines))
            yield Mutant(str(module), " ".join(before), " ".join(after), code)


def changes_of_cosmic_ray(source: str) -> Iterator[str]:
    """Yield the source after every single change by Cosmic Ray's operators."""
    nodes = list(ast_nodes(get_ast(source)))
    for name in OPERATORS:
        operator = get_operator(f"core/{name}")()
        for occurrence in range(sum(len(list(operator.mutation_positions(node))) for node in nodes)):
            code = mutate_code(source, operator, occurrence)
            if code is not None:
                yield code


def mistakes(source: str) -> Iterator[str]:
    """Yield the source without one keyword argument, call of `LEFT_OUT`, transpose, or statement of one expression."""
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    text = source.encode()

    def place(node: ast.expr | ast.keyword | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset

    def replaced(old: ast.expr | ast.stmt, new: bytes) -> str:
        start, end = place(old)
        return (text[:start] + new + text[end:]).decode()

    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            method = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") not in ("np", "math")
            kept = node.func.value if method and isinstance(node.func, ast.Attribute) else next(iter(node.args), None)
            if function in LEFT_OUT and kept is not None:
                yield replaced(node, text[slice(*place(kept))])
            for keyword in node.keywords:
                fewer = ast.Call(node.func, node.args, [k for k in node.keywords if k is not keyword])
                yield replaced(node, ast.unparse(fewer).encode())
        elif isinstance(node, ast.Attribute) and node.attr == "T":
            yield replaced(node, text[slice(*place(node.value))])
        elif isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant | ast.Yield | ast.YieldFrom):
            yield replaced(node, b"pass")


def meaning(source: str) -> str:
    """Return what decides a result: the tree without annotations of functions, docstrings, and `GUARDS`."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
        if isinstance(node, ast.Call):
            node.keywords = [keyword for keyword in node.keywords if keyword.arg not in GUARDS]
        if isinstance(node, ast.arguments):  # `*` and `/` in a signature only say how it may be called
            node.args, node.posonlyargs, node.kwonlyargs = [*node.posonlyargs, *node.args, *node.kwonlyargs], [], []
            node.defaults, node.kw_defaults = [*node.defaults, *(d for d in node.kw_defaults if d)], []
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [statement for statement in body if not is_for_readers(statement)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def is_for_readers(statement: ast.stmt) -> bool:
    """Whether a statement is a docstring, or an import for the sake of types."""
    if isinstance(statement, ast.If):
        return "TYPE_CHECKING" in ast.unparse(statement.test)
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def count_noticed(module: Path, mutants: Sequence[Mutant]) -> Counter[str]:
    """Test changes to one module; print those that no test notices."""
    original, outcomes = module.read_text(encoding="utf-8"), Counter[str]()

    def noticed(mutant: Mutant, tests: tuple[str, ...]) -> bool:
        seconds = allowed_seconds(tests)
        module.write_text(mutant.code, encoding="utf-8")
        status, _ = run(tests, seconds)
        module.write_text(original, encoding="utf-8")
        return status != 0

    for mutant in mutants:
        if any(noticed(mutant, tests) for tests in files_that_test(module) if tests):
            outcomes["noticed"] += 1
        else:
            outcomes["survived"] += 1
            print(mutant, flush=True)
    return outcomes


@cache
def allowed_seconds(tests: tuple[str, ...]) -> int:
    """Run tests on the code as it is; return the processor's seconds that they may take on changed code."""
    status, seconds = run(tests, 10_000)
    if status != 0:
        sys.exit(f"{' '.join(tests)} must pass before anything is changed; run them")
    return int(3 * seconds + 20)


@cache
def files_that_test(module: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the test files of a module, its own first and then those that import it, and all of its stage.

    A module that no test file imports is tested through those that use it.
    """
    mirror = Path("tests", *module.parts[1:-1], f"test_{module.name}")
    name = ".".join(module.with_suffix("").parts)
    folder = Path("tests", *module.parts[1:3]) if module.parts[1] == "shared" else Path("tests", module.parts[1])
    below = sorted(folder.rglob("test_*.py"))
    importing = [path for path in below if f"from {name} import" in path.read_text(encoding="utf-8")]
    narrow = [str(path) for path in dict.fromkeys(([mirror] if mirror.is_file() else []) + importing)]
    if not narrow:
        users = [file for file in Path(*module.parts[:2]).rglob("*.py") if imports(file, module)]
        narrow = list(dict.fromkeys(path for user in sorted(users) for path in files_that_test(user)[0]))
    return tuple(narrow), tuple(map(str, below))


def imports(file: Path, module: Path) -> bool:
    """Whether one module imports another, or something of it."""
    package, name = ".".join(module.parts[:-1]), module.stem
    source = file.read_text(encoding="utf-8")
    return re.search(rf"from {package}(\.{name} import|( import .*\b{name}\b))", source) is not None


def run(tests: Sequence[str], seconds: int) -> tuple[int, float]:
    """Run tests in a process of their own; return its status and the processor's seconds that it took.

    Beyond `seconds` of the processor it is stopped, and beyond ten times as many by the clock.
    """
    child = os.fork()
    if child == 0:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        status = 1
        try:
            status = int(pytest.main([*PYTEST, *tests]))
        finally:
            os._exit(status)
    until = time.monotonic() + 10 * seconds + 60
    while True:
        done, status, used = os.wait4(child, os.WNOHANG)
        if done:
            return status, used.ru_utime + used.ru_stime
        if time.monotonic() > until:
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.05)


if __name__ == "__main__":
    main()
