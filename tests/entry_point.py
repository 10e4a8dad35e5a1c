"""Run a stage's entry point in this process: `python -m` imports the libraries anew, which takes seconds."""

import gc
import importlib
import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest

from stages.shared.runtime.console import run_main


def run_stage(stage: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Return what `python -m stages.STAGE` would print, and its exit status."""
    command, out, err = [stage, *map(str, arguments)], io.StringIO(), io.StringIO()
    main = importlib.import_module(f"stages.{stage}.__main__").main
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", command)
        patch.setattr(gc, "freeze", lambda: None)  # which is for a process that ends with the stage
        with pytest.raises(SystemExit) as ended:
            run_main(main)
    return subprocess.CompletedProcess(command, ended.value.code, out.getvalue(), err.getvalue())
