from stages.prepare.candidates import Listing
from stages.prepare.duplicates import DuplicateCounts
from stages.prepare.folds import Fold
from stages.prepare.report import make_report
from stages.prepare.splits import FoldPlan


def test_small_scored_classes_are_listed(make_candidates):
    data = make_candidates({"a": {"train": 1, "test": 9}, "b": {"train": 1, "test": 10}})
    splits = {
        "train": [c for c in data if c.split == "train"],
        "test": [c for c in data if c.split == "test"],
        "unseen": [],
    }
    plan = FoldPlan([(Fold("0", ("a", "b"), ()), splits)], [], {}, "", {})
    report = make_report("folder", plan, [], DuplicateCounts(0, 0, {}, 0), Listing([]), {})
    assert report.small_classes == {"test": {"a": 9}}
