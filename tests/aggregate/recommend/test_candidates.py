import pandas as pd

from tests.aggregate.recommend import made


def test_other_datasets_are_all_but_a_networks_own():
    first, second = made.candidates(*made.tables(0))
    depths = [each.row.best_depth / each.row.last_depth for each in (first, second)]
    assert depths[0] != depths[1]
    for network, elsewhere in ((first, depths[1]), (second, depths[0])):
        assert [known.other_datasets for known in network.known] == [(elsewhere,)] * len(made.FOLDS)


def test_a_further_pooling_of_another_dataset_is_not_another_dataset():
    layers, refits = made.tables(0)
    tapped = layers[layers["layer"].isin(list(made.LAYERS))]
    further = tapped.assign(layer=tapped["layer"] + "@max", pooling="max", value=tapped["value"].to_numpy()[::-1])
    plain, several = (
        [each.known[0].other_datasets for each in made.candidates(table, refits)]
        for table in (layers, pd.concat([layers, further]))
    )
    assert several == plain
    assert [len(depths) for depths in plain] == [1, 1]
