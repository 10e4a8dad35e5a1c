"""Architecture tests: dvc.yaml and the imports of the stages agree. Reads text only: no stage is imported or run."""

import ast
import re
import subprocess
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.imports import ROOT, dotted_names, imports

STAGES = ROOT / "stages"
YAML_SAFE = YAML(typ="safe", pure=True)
PIPELINE = YAML_SAFE.load(ROOT / "dvc.yaml")["stages"]
PARAMS = YAML_SAFE.load(ROOT / "params.yaml")
STAGE_NAMES = ("prepare", "finetune", "embed", "measure", "aggregate")
SOURCES = sorted(STAGES.rglob("*.py"))
MAX_ENTRY_POINT, MAX_MODULE, MAX_FUNCTION = 80, 400, 40
RUNTIME = STAGES / "shared" / "runtime"


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def local_imports(path: Path) -> frozenset[Path]:
    """Files under stages/ that a file imports anywhere, also inside functions, with the packages they sit in."""
    return frozenset(file for name in dotted_names(path) for file in files_of(name))


def files_of(dotted: str) -> set[Path]:
    parts = dotted.split(".")
    if parts[0] != "stages":
        return set()
    files = {ROOT.joinpath(*parts[:i], "__init__.py") for i in range(1, len(parts) + 1)}
    files.add(ROOT.joinpath(*parts).with_suffix(".py"))
    return {f for f in files if f.is_file()}


def closure(path: Path) -> set[Path]:
    """Files that an entry point reaches; all of its own folder, since some are imported by name (`registry.load`)."""
    reached = set(path.parent.rglob("*.py"))
    todo = list(reached)
    while todo:
        for file in local_imports(todo.pop()):
            if file not in reached:
                reached.add(file)
                todo.append(file)
    return reached


def covered(file: Path, deps: list[str]) -> bool:
    return any(file == ROOT / d or (ROOT / d) in file.parents for d in deps)


def code_deps(stage: str) -> list[str]:
    return [d for d in PIPELINE[stage]["deps"] if d.startswith("stages/")]


def folder_of(path: Path) -> str:
    return path.relative_to(STAGES).parts[0]


def test_every_stage_is_a_folder_a_section_and_a_tests_folder():
    assert tuple(PIPELINE) == STAGE_NAMES
    for stage in STAGE_NAMES:
        assert (STAGES / stage / "__main__.py").is_file()
        assert isinstance(PARAMS[stage], dict)
        assert (ROOT / "tests" / stage).is_dir()


@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_deps_cover_the_import_closure_of_the_entry_point(stage):
    reached = closure(STAGES / stage / "__main__.py")
    missing = [f for f in reached if f.read_text() and not covered(f, code_deps(stage)) and RUNTIME not in f.parents]
    assert not missing, f"{stage}: dvc.yaml's deps lack {[str(f.relative_to(ROOT)) for f in missing]}"


@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_no_dep_is_superfluous(stage):
    reached = closure(STAGES / stage / "__main__.py")
    idle = [d for d in code_deps(stage) if not any(covered(f, [d]) for f in reached)]
    assert not idle, f"{stage}: reaches nothing in {idle}"


@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_deps_of_code_are_the_stages_own_folder_and_folders_of_shared(stage):
    own, *others = code_deps(stage)
    assert own == f"stages/{stage}"
    assert others == sorted(others)
    for folder in others:
        assert (ROOT / folder).is_dir(), f"{folder}: no single file, which makes dvc.lock large"
        assert folder.startswith(("stages/core", "stages/shared/"))
        assert (ROOT / folder) != RUNTIME, "it decides no result, so that its wording runs nothing again"


def test_what_no_stage_depends_on_knows_nothing_of_the_work():
    libraries = {"numpy", "torch", "pandas", "zarr", "sklearn", "scipy", "pyarrow"}
    for path in RUNTIME.glob("*.py"):
        names = {module for module, _ in imports(path)}
        assert not {name.split(".")[0] for name in names} & libraries, path
        assert all(name.startswith("stages.shared.runtime") for name in names if name.startswith("stages")), path


def test_empty_packages_stay_empty_where_no_stage_depends_on_them():
    assert (STAGES / "__init__.py").read_text() == ""
    assert (STAGES / "shared" / "__init__.py").read_text() == ""


def test_stages_import_only_themselves_and_shared():
    for path in SOURCES:
        stage = folder_of(path)
        if stage in ("commands", "library", "core", "__init__.py"):
            continue  # the first two may import stages; of the core see below
        allowed = {stage, "core", "shared", "__init__.py"}
        wrong = [str(f.relative_to(ROOT)) for f in local_imports(path) if folder_of(f) not in allowed]
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


CORE = STAGES / "core"
LENT = {STAGES / "shared" / "runtime" / "errors.py", STAGES / "shared" / "workflow" / "seeding.py"}


def test_the_core_imports_no_stage_and_its_scores_neither_inference_nor_the_rule_of_choosing():
    for path in CORE.rglob("*.py"):
        lent = {f for f in local_imports(path) if f.read_text() and CORE not in f.parents}
        assert lent <= LENT, f"{path.relative_to(ROOT)} imports {lent - LENT}"
    for path in [*(CORE / "scores").rglob("*.py"), *(CORE / "representations").rglob("*.py")]:
        above = {f for f in local_imports(path) if f == CORE / "choose.py" or CORE / "inference" in f.parents}
        assert not above, f"{path.relative_to(ROOT)} imports {above}"


def test_no_module_imports_itself_by_way_of_others():
    graph = {path: local_imports(path) - {path} for path in SOURCES if path.name != "__init__.py"}
    TopologicalSorter(graph).prepare()


def test_stages_holds_what_dvc_yaml_lists_what_they_share_and_commands():
    folders = {p.name for p in STAGES.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert folders == {*STAGE_NAMES, "core", "shared", "commands", "library"}
    assert [p.name for p in STAGES.glob("*.py")] == ["__init__.py"]


def test_nothing_else_imports_commands_and_no_deps_name_them():
    commands = [path for path in SOURCES if folder_of(path) == "commands"]
    assert commands
    for path in SOURCES:
        if folder_of(path) != "commands":
            assert not local_imports(path) & set(commands), f"{path.relative_to(ROOT)} imports a command"
    for stage in STAGE_NAMES:
        assert not [c for c in commands if covered(c, code_deps(stage))]


def test_one_folder_imports_dvc_and_names_its_files():
    """So what DVC does not call public is met in one place."""
    own = STAGES / "commands" / "dvc_project"
    for path in (path for path in SOURCES if own not in path.parents):
        assert not {module.split(".")[0] for module, _ in imports(path)} & {"dvc", "dvc_data"}, path
        values = [n.value for n in ast.walk(tree(path)) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        assert not {"dvc.lock", "rwlock", "config.local", "-m dvc"} & set(values), path


@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_stages_run_as_modules_with_paths_from_dvc_yaml(stage):
    command = PIPELINE[stage]["cmd"]
    assert command.startswith(f"python -m stages.{stage} ")
    assert not re.search(r"[|;&]", command), "no pipes or lists: a failure must not be swallowed"
    assert set(re.findall(r"\$\{.*?\}", command)) <= {"${item}"}, "DVC quotes nothing else for the shell"
    for item in PIPELINE[stage].get("matrix", {}):
        assert any(f"${{item.{item}}}" in out for out in PIPELINE[stage]["outs"]), "DVC refuses mappings there alone"


@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_a_stage_guards_the_parameters_inputs_and_outputs_of_dvc_yaml(stage):
    source = tree(STAGES / stage / "__main__.py")
    first = next(n for n in source.body if isinstance(n, ast.ImportFrom) and n.module.startswith("stages."))
    assert first.module == "stages.shared.workflow.stage_run", "it must see the code before the rest is imported"
    values = {ast.unparse(name): value for name, value in assignments(source)}
    (call,) = [n for n in ast.walk(source) if isinstance(n, ast.Call) and ast.unparse(n.func) == "StageRun"]
    guarded = {k.arg: values.get(ast.unparse(k.value), k.value) for k in call.keywords}
    keys = [ast.literal_eval(k) if isinstance(k, ast.Constant) else ast.unparse(k)[2:-1] for k in guarded["keys"].elts]
    assert [k.replace("{args.", "${item.") for k in keys] == PIPELINE[stage]["params"]
    command = re.sub(r"{(\w+)}", r"${item.\1}", PIPELINE[stage]["cmd"].replace("${item} ", ""))
    flags = dict(re.findall(r"--(\w+) (data/\S+)", command)) | {"fold": "${item.fold}"}
    reads, writes = ([ast.unparse(path) for path in guarded[name].elts] for name in ("reads", "writes"))
    folders = {name: re.sub(r"args\.(\w+)", lambda m: flags[m[1]], name) for name in (*reads, *writes)}
    paths = {name: path.removesuffix("/training.csv.parent") for name, path in folders.items()}
    assert [depended_on(paths[name]) for name in reads] == [d for d in PIPELINE[stage]["deps"] if d.startswith("data/")]
    outs = [*PIPELINE[stage]["outs"], *PIPELINE[stage].get("metrics", [])]
    assert {paths[name] for name in writes} == ({"data/results"} if stage == "aggregate" else set(outs))


def depended_on(path: str) -> str:
    """The dependency of one of `reads`: of all that `fold_files` gives, the digests that name the rest."""
    call = re.fullmatch(r"\*fold_files\((\S+), (\S+)\)", path)
    return f"{call[1]}/folds/{call[2]}.digests.json" if call else path


def assignments(source):
    """Yield (name, value) of every assignment, pairs of tuples one by one."""
    for node in ast.walk(source):
        if isinstance(node, ast.Assign):
            (target,) = node.targets
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                yield from zip(target.elts, node.value.elts, strict=True)
            else:
                yield target, node.value


def test_no_artifact_path_is_spelled_in_code():
    spelled = re.compile(r"\bdata/(prepared|checkpoints|training|embeddings|measures|results)\b")
    for path in SOURCES:
        docs = docstrings(path)
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in docs:
                assert not spelled.search(node.value), f"{path.relative_to(ROOT)}:{node.lineno} spells {node.value!r}"


def docstrings(path: Path) -> set[str]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {ast.get_docstring(n, clean=False) or "" for n in ast.walk(tree(path)) if isinstance(n, documented)}


def test_text_files_have_an_encoding_whatever_the_locale():
    """What ruff's rule overlooks: paths that come from another module."""
    for path in SOURCES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("read_text", "write_text"):
                assert "encoding" in [each.arg for each in node.keywords], f"{path.relative_to(ROOT)}:{node.lineno}"


UPSTREAM_PARAMS = {"aggregate": {"prepare", "finetune", "embed", "measure"}}
"""What a stage reads of another's section: aggregate shows all of them on its page."""


@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_params_keys_exist_and_are_the_stages_own(stage):
    assert stage in PIPELINE[stage]["params"]
    rows = {"dataset": PARAMS["run"]["datasets"], "model": PARAMS["run"]["models"]}
    for key in PIPELINE[stage]["params"]:
        owner = key.split(".")[0]
        own = owner in {stage, "datasets", "models"} | ({"run"} if stage == "aggregate" else set())
        assert own or key in UPSTREAM_PARAMS.get(stage, set()), f"{stage}: {key} belongs to another stage"
        for cell in [dict(zip(rows, pair, strict=True)) for pair in zip(*rows.values(), strict=False)]:
            node = PARAMS
            for part in re.sub(r"\$\{item\.(\w+)\}", lambda m, c=cell: c[m[1]], key).split("."):
                assert part in node, f"{stage}: params.yaml has no {key}"
                node = node[part]


def test_each_stage_reads_only_the_part_of_a_model_it_needs():
    parts = {
        s: sorted(k.rsplit(".", 1)[1] for k in PIPELINE[s]["params"] if k.startswith("models.")) for s in STAGE_NAMES
    }
    assert parts == {
        "prepare": [],
        "finetune": ["network"],
        "embed": ["taps"],
        "measure": [],
        "aggregate": [],
    }


@pytest.mark.parametrize("stage", ["finetune", "embed"])
def test_a_checkpoint_and_an_embedding_stay_valid_whichever_images_have_a_thumbnail(stage):
    read = [d.split("/")[1] for d in PIPELINE[stage]["deps"] if d.startswith("data/")]
    assert set(read) <= {"prepared", "checkpoints"}
    assert "thumbnails" in "".join(PIPELINE["measure"]["deps"])


def test_outputs_use_the_run_cache():
    for stage in STAGE_NAMES:
        for out in PIPELINE[stage]["outs"]:
            options = {} if isinstance(out, str) else next(iter(out.values()))
            assert not options.get("persist")
            assert options.get("cache", True)
    metrics = [metric for stage in STAGE_NAMES for metric in PIPELINE[stage].get("metrics", [])]
    assert metrics == [{"data/results/metrics.json": {"cache": False}}]  # of metrics, this keeps the run cache (tried)


def test_ids_fit_dvc_keys():
    for table in ("datasets", "models"):
        for key in PARAMS[table]:
            assert re.fullmatch(r"[A-Za-z0-9_]+", key)


def test_sizes():
    for path in SOURCES:
        lines = len(path.read_text().splitlines())
        limit = MAX_ENTRY_POINT if path.name == "__main__.py" else MAX_MODULE
        assert lines <= limit, f"{path.relative_to(ROOT)}: {lines} lines, at most {limit}"
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or 0) - node.body[0].lineno + 1 - docstring_lines(node)
                assert length <= MAX_FUNCTION, f"{path.relative_to(ROOT)}: {node.name} has {length} lines"


def docstring_lines(node: ast.FunctionDef) -> int:
    first = node.body[0]
    is_text = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return (first.end_lineno or 0) - first.lineno + 1 if is_text else 0


@pytest.mark.parametrize("stage", ["prepare", "aggregate"])
def test_prepare_and_aggregate_reach_torch_only_inside_the_torchvision_source(stage):
    heavy = {"torch", "torchvision", "timm", "transformers", "open_clip"}
    for path in closure(STAGES / stage / "__main__.py"):
        lazy_source = path == STAGES / "prepare" / "sources" / "torchvision.py"
        names = [module for module, _ in imports(path, iter(tree(path).body) if lazy_source else None)]
        assert not [n for n in names if n.split(".")[0] in heavy], f"{path.relative_to(ROOT)} imports {names}"


def test_top_level_holds_nothing_else():
    allowed = {
        "CHANGELOG.md", "CITATION.cff", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md",
        "SECURITY.md", "constraints.txt", "data", "docs", "dvc.lock", "dvc.yaml", "params.yaml", "pyproject.toml",
        "stages", "tests",
    }  # fmt: skip
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    visible = {name.split("/")[0] for name in tracked.splitlines() if not name.startswith(".")}
    assert visible <= allowed, f"unexpected: {sorted(visible - allowed)}"
