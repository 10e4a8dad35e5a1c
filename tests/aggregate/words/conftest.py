from dataclasses import replace

import pytest

from tests.aggregate.networks import network, single_fold


@pytest.fixture
def summary():
    """Two scores of two networks, means over four folds, and NMI on each fold."""
    spread = {"accuracy_sd": 0.01, "seen_sd": 0.02, "unseen_sd": 0.03, "last_value_sd": 0.04}
    means = [network(model, **spread) for model in ("small", "small_scratch")]
    purity = [replace(row, metric="knn_purity", main=False) for row in means]
    folds = [single_fold(str(fold), unseen=0.3 + fold / 10) for fold in range(4)]
    return [*means, *purity, *(replace(row, model=mean.model) for mean in means for row in folds)]
