"""Where a network comes from, as it is written on the command line."""

import pytest

from stages.commands.features.sources import parse_cell
from stages.shared.runtime.errors import UserError


@pytest.mark.parametrize("prefix", ["", "data/embeddings/", "/somewhere/else/"])
def test_a_cell_is_the_end_of_its_folder_s_path(prefix: str):
    assert parse_cell(f"{prefix}handwriting/efficientnet_lite0/all/12/") == (
        "handwriting",
        "efficientnet_lite0",
        "all",
        12,
    )


@pytest.mark.parametrize("origin", ["handwriting/efficientnet_lite0/0", "a/b/c/d", "cuts/mine"])
def test_what_is_no_cell_is_refused(origin: str):
    with pytest.raises(UserError, match=r"must be a cell, dataset/model/fold/seed, .* or the folder of a cut"):
        parse_cell(origin)
