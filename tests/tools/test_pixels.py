"""A stranger who opens README sees the first command and the verdict without scrolling far, and a short page."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from docs.tools import pixels
from tests.workflow import ROOT


@pytest.mark.slow
def test_the_first_command_and_the_verdict_stand_high_on_readme():
    if not any(map(shutil.which, pixels.BROWSERS)):
        (pytest.fail if os.environ.get("WHICHLAYER_NEEDS_BROWSER") else pytest.skip)("needs Chromium")
    command = [sys.executable, "-m", "docs.tools.pixels"]  # apart: another test's browser may be open in this process
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tops = {name: int(top.replace(",", "")) for top, name in re.findall(r"([\d,]+) px  (.+)", printed)}
    assert tops["first command"] <= 300
    assert tops["verdict"] <= 800
    assert tops["end"] <= 2300
