"""What holds of every choice of folds and splits, and of every manifest, whatever the data and parameters."""

import random
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.prepare.candidates import Candidate, Splits
from stages.prepare.folds import Fold
from stages.prepare.params import FolderParams
from stages.prepare.splits import FoldPlan, plan_folds
from stages.shared.images.image_store import FOLD_COLUMNS, MANIFEST_COLUMNS, open_images, write_fold, write_images
from stages.shared.runtime.errors import CONTROL, UserError
from stages.shared.workflow.params import ALL

PROPERTY = settings(max_examples=100, derandomize=True, deadline=None, database=None)
SPLIT_NAMES = ("train", "test", "unseen")


@st.composite
def data_sets(draw: st.DrawFn) -> list[Candidate]:
    """Classes of different sizes, with or without splits of their own, and with or without groups."""
    own_splits, groups = draw(st.booleans()), draw(st.sampled_from([0, 0, 40]))
    rng, smallest = random.Random(draw(st.integers(0, 2**32))), draw(st.sampled_from([1, 4, 8]))
    sizes: dict[Any, int] = {"train": 12, "test": 6} if own_splits else {None: 20}
    return [
        Candidate(name, label, split, name, bytes, f"{split}{rng.randrange(groups)}" if groups else "")
        for label in (f"c{n:02d}" for n in range(draw(st.integers(4, 12))))
        for split, most in sizes.items()
        for name in (f"{label}/{split}{i}" for i in range(rng.randint(min(smallest, most), most)))
    ]


@st.composite
def entries(draw: st.DrawFn, *, own_splits: bool) -> FolderParams:
    values: dict[str, Any] = {
        "test_fraction": None if own_splits else draw(st.sampled_from([0.1, 0.25, 0.5])),
        "unseen_count": draw(st.integers(2, 4)),
        "folds": draw(st.sampled_from([None, None, 1, 2])),
        "on_short_class": draw(st.sampled_from(["error", "keep", "keep"])),
        "train": draw(st.sampled_from([None, None, 1, 3])),
        "test": draw(st.sampled_from([None, None, 2, 3])),
        "unseen": draw(st.sampled_from([None, None, 2, 5])),
        "unseen_seed": draw(st.sampled_from([None, 0, 1])),
    }
    return FolderParams(source="folder", image_size=8, **values)


@st.composite
def asked(draw: st.DrawFn) -> tuple[list[Candidate], FolderParams, int]:
    """A data set, an entry and a root seed, which mostly go together."""
    candidates = draw(data_sets())
    return candidates, draw(entries(own_splits=candidates[0].split is not None)), draw(st.integers(0, 3))


def planned(candidates: list[Candidate], entry: FolderParams, seed: int) -> FoldPlan | None:
    try:
        return plan_folds(candidates, entry, seed)
    except UserError:
        return None


def ids(splits: Splits) -> dict[str, set[str]]:
    return {split: {c.sample_id for c in splits[split]} for split in SPLIT_NAMES}  # type: ignore[index]


def check_splits(fold: Fold, splits: Splits) -> None:
    assert all(not a & b for a, b in combinations(ids(splits).values(), 2))
    assert not set(fold.seen) & set(fold.unseen)
    for split, least in (("train", 1), ("test", 2), ("unseen", 2)):
        labels = [c.label for c in splits[split]]  # type: ignore[index]
        wanted = fold.unseen if split == "unseen" else fold.seen
        assert set(labels) == set(wanted)
        assert all(labels.count(label) >= least for label in wanted)
    train, test = ({c.group for c in splits[split] if c.group} for split in ("train", "test"))  # type: ignore[index]
    assert not train & test


def check_coverage(candidates: list[Candidate], splits: Splits) -> None:
    """Without limits every image is used but test images of unseen classes, as in the paper."""
    left_out = {c.sample_id for c in candidates} - set().union(*ids(splits).values())
    unseen = {c.label for c in splits["unseen"]}
    assert left_out <= {c.sample_id for c in candidates if c.split == "test" and c.label in unseen}


def check_folds(plan: FoldPlan) -> None:
    """Folds leave out disjoint classes, and agree about the role of each image."""
    numbered = [fold for fold, _ in plan.folds if fold.name != ALL]
    assert [fold.name for fold in numbered] == [str(n) for n in range(len(numbered))]
    assert all(not set(a.unseen) & set(b.unseen) for a, b in combinations(numbered, 2))
    assert all(not fold.unseen for fold, _ in plan.folds if fold.name == ALL)
    roles: dict[str, set[str]] = {}
    for splits in plan.splits.values():
        for split in ("train", "test"):
            for sample_id in ids(splits)[split]:
                roles.setdefault(sample_id, set()).add(split)
    assert all(len(role) == 1 for role in roles.values())
    packed = {c.sample_id for c in plan.packed}
    assert all(chosen <= packed for splits in plan.splits.values() for chosen in ids(splits).values())


@PROPERTY
@given(asked())
def test_every_plan_keeps_images_classes_and_groups_apart(of: tuple[list[Candidate], FolderParams, int]):
    candidates, entry, seed = of
    plan = planned(*of)
    if plan is None:
        return
    check_folds(plan)
    for fold, splits in plan.folds:
        check_splits(fold, splits)
    whole = planned(candidates, entry.model_copy(update=dict.fromkeys(SPLIT_NAMES)), seed)
    for splits in whole.splits.values() if whole else []:
        check_coverage(candidates, splits)


@PROPERTY
@given(asked(), st.integers(0, 100))
def test_the_order_of_files_does_not_matter(of: tuple[list[Candidate], FolderParams, int], shuffle: int):
    candidates, entry, seed = of
    shuffled = random.Random(shuffle).sample(candidates, len(candidates))
    assert planned(shuffled, entry, seed) == planned(*of)


@PROPERTY
@given(asked(), st.integers(2, 6))
def test_more_folds_and_smaller_limits_change_nothing_else(of: tuple[list[Candidate], FolderParams, int], limit: int):
    candidates, entry, seed = of
    one, more = (planned(candidates, entry.model_copy(update={"folds": n}), seed) for n in (1, 2))
    if one and more:
        assert more.splits["0"] == one.splits["0"]
    kept = entry.model_copy(update={"on_short_class": "keep", "folds": 1})
    split = SPLIT_NAMES[limit % 3]
    small, large = (planned(candidates, kept.model_copy(update={split: n}), seed) for n in (limit, limit + 3))
    if small and large:
        assert ids(small.splits["0"])[split] <= ids(large.splits["0"])[split]


NAMES = st.text(min_size=1, max_size=30).filter(lambda name: not CONTROL.search(name))


@settings(max_examples=20, derandomize=True, deadline=None, database=None)
@given(names=st.lists(NAMES, min_size=2, max_size=6, unique=True), labels=st.lists(NAMES, min_size=6, max_size=6))
def test_any_name_comes_out_of_the_manifest_as_it_went_in(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], labels: list[str]
):
    folder = tmp_path_factory.mktemp("names") / "prepared"
    rows = [(name, label, label, f"raw/{name}", "0" * 64) for name, label in zip(names, labels, strict=False)]
    rows.sort(key=lambda row: (row[1], row[0]))
    pixels = (np.full((8, 8, 3), n, np.uint8) for n in range(len(names)))
    write_images(folder, pixels, pd.DataFrame(rows, columns=list(MANIFEST_COLUMNS)), dataset="d", size=8, fill=0)
    roles = [SPLIT_NAMES[n % 3] for n in range(len(names))]
    write_fold(
        folder,
        "0",
        pd.DataFrame([(row[0], role) for row, role in zip(rows, roles, strict=True)], columns=list(FOLD_COLUMNS)),
    )
    manifest = open_images(folder, "0").manifest
    assert manifest[list(MANIFEST_COLUMNS)].to_numpy().tolist() == [list(row) for row in rows]
    assert manifest["split"].tolist() == roles


def test_many_of_them_are_plans_and_not_errors():
    found: list[FoldPlan | None] = []

    @PROPERTY
    @given(asked())
    def plan(of: tuple[list[Candidate], FolderParams, int]) -> None:
        found.append(planned(*of))

    plan()
    made = [plan for plan in found if plan]
    assert len(made) > len(found) / 3
    assert sum(len(plan.folds) > 2 for plan in made) > len(found) / 6
    assert sum(any(c.group for c in plan.packed) for plan in made) > len(found) / 30
