from tests.aggregate.recommend import made


def test_other_datasets_are_all_but_a_networks_own():
    first, second = made.candidates(*made.tables(0))
    depths = [each.row.best_depth / each.row.last_depth for each in (first, second)]
    assert depths[0] != depths[1]
    for network, elsewhere in ((first, depths[1]), (second, depths[0])):
        assert [known.other_datasets for known in network.known] == [(elsewhere,)] * len(made.FOLDS)
