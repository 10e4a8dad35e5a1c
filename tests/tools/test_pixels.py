"""A stranger who opens README sees the first command and the verdict without scrolling far."""

import os
import shutil

import pytest

from docs.tools import pixels


@pytest.mark.slow
def test_the_first_command_and_the_verdict_stand_high_on_readme():
    if not any(map(shutil.which, pixels.BROWSERS)):
        (pytest.fail if os.environ.get("WHICHLAYER_NEEDS_BROWSER") else pytest.skip)("needs Chromium")
    tops = pixels.measure()
    assert tops["first command"] <= 700
    assert tops["verdict"] <= 1000
