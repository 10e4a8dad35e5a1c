from dataclasses import replace

import pytest

from stages.aggregate.tables.summary import summarize

SURE = {"ci_images_low": 0.3712, "ci_images_high": 0.41, "lead": -0.01, "lead_low": -0.05, "lead_high": 0.03}


@pytest.fixture
def summary(scores):
    """Four scores of two networks, all with the same intervals."""
    return [replace(row, **SURE) for row in summarize(scores, "nmi")]
