from dataclasses import replace

from stages.aggregate.report.folds import HEADER, fold_cells, single_folds
from tests.aggregate.report.networks import network, single_fold


def test_single_folds_are_those_of_main_curves_over_several():
    rows = [
        network(),
        single_fold("0"),
        single_fold("1"),
        single_fold("0", metric="ami"),
        single_fold("0", pooling="max"),
    ]
    assert single_folds(rows) == rows[1:3]
    assert single_folds([replace(rows[0], n_folds=1), *rows[1:2]]) == []


def test_a_folds_cells_are_its_own():
    cells = dict(zip(HEADER, fold_cells(single_fold("1", unseen_sd=0.02, lead=None), "`{}`"), strict=True))
    assert cells["Fold"] == "1"
    assert cells["Unseen"] == "0.390 ± 0.020"
    assert (cells["Best layer"], cells["Last layer"], cells["Lead"]) == ("5 of 9 (`blocks.3`)", "0.240", "–")
