"""The command line: its commands, and what it says of a mistake."""

import os
import subprocess
import sys
from importlib import import_module
from io import BytesIO, TextIOWrapper

import click
import pytest
from click.testing import CliRunner

from stages.commands import cli
from stages.commands.cli import COMMANDS, whichlayer
from stages.commands.project import ROOT, ProjectCommand, ProjectPath
from stages.shared.runtime.errors import UserError


@pytest.mark.parametrize(("name", "module"), [(n, m) for n, (m, _, _) in COMMANDS.items()])
def test_every_command_is_a_function_of_its_name_and_explains_itself(name: str, module: str):
    command = getattr(import_module(module, "stages.commands"), name)
    assert command.name == name
    for each in (command, *command.commands.values()) if isinstance(command, click.Group) else (command,):
        assert isinstance(each, click.Command)
        assert len((each.help or "").splitlines()[0]) > 20


def test_help_lists_all_and_imports_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cli, "import_module", lambda name, package: pytest.fail(f"imports {name}"))
    printed = CliRunner().invoke(whichlayer, ["-h"]).output
    for name in COMMANDS:
        assert f"\n  {name} " in printed


def test_help_and_completion_wait_for_no_library():
    modules = dict.fromkeys(f"stages.commands{module}" for module, _, _ in COMMANDS.values())
    heavy = {"dvc", "pandas", "scipy", "sklearn", "torch", "zarr"}
    code = f"import sys, {', '.join(modules)}; print({heavy} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout == "set()\n"


def test_names_are_completed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cli, "import_module", lambda name, package: pytest.fail(f"imports {name}"))
    asked = {"_WHICHLAYER_COMPLETE": "bash_complete", "COMP_WORDS": "whichlayer ve", "COMP_CWORD": "1"}
    printed = CliRunner().invoke(whichlayer, prog_name="whichlayer", env=asked).output
    assert printed == "plain,verdict\nplain,verify\n"


def test_the_version_is_the_checkouts():
    printed = CliRunner().invoke(whichlayer, ["--version"], prog_name="whichlayer").output
    assert f'version = "{printed.removeprefix("whichlayer ").strip()}"' in (ROOT / "pyproject.toml").read_text()


def test_a_locale_without_utf8_is_no_error():
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    words = [sys.executable, "-c", "from stages.commands.cli import main; main()", "--version"]
    subprocess.run(words, cwd=ROOT, env=os.environ | locale, check=True)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["chek"], "unknown command 'chek': did you mean 'check'?"),
        (["study", "check"], "unknown command 'study': choose from check, cut,"),
        (["check", "--param", "x"], "No such option"),
    ],
)
def test_a_mistake_names_the_nearest(args: list[str], said: str):
    done = CliRunner().invoke(whichlayer, args)
    assert done.exit_code == 2
    assert said in done.output


def test_a_dash_is_printed_where_the_output_has_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(whichlayer, "get_command", lambda ctx, name: click.Command("say", callback=lambda: print("–")))
    monkeypatch.setattr(sys, "argv", ["whichlayer", "say"])
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(BytesIO(), encoding="ascii"))
    with pytest.raises(SystemExit):
        cli.main()
    sys.stdout.seek(0)
    assert sys.stdout.read() == "\\u2013\n"


@pytest.mark.parametrize("arguments", [["new", "."], ["verdict"], ["cut", "--out", "cut"]])
def test_outside_of_a_project_the_installed_copy_is_not_changed(monkeypatch, arguments):
    monkeypatch.setattr("stages.commands.project.NO_PROJECT", True)
    with pytest.raises(UserError, match=f"^{arguments[0]} must be called in a project, found none in"):
        whichlayer(arguments, standalone_mode=False)


def test_commands_work_in_the_project_and_take_paths_from_where_the_user_is(monkeypatch: pytest.MonkeyPatch, tmp_path):
    @click.command(cls=ProjectCommand)
    @click.argument("path", type=ProjectPath())
    def show(path) -> None:
        print(path, path.exists())

    monkeypatch.chdir(ROOT / "docs")
    assert CliRunner().invoke(show, ["paper.md"]).output == "docs/paper.md True\n"
    assert CliRunner().invoke(show, ["../params.yaml"]).output == "params.yaml True\n"
    assert CliRunner().invoke(show, [str(tmp_path)]).output == f"{tmp_path} True\n"
