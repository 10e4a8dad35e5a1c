import numpy as np
import pandas as pd
import pytest

from tests.aggregate.charts.made import made_scores


@pytest.fixture
def scores():
    """Means over two seeds on one fold, of which nothing more is known."""
    return made_scores()


@pytest.fixture
def folded():
    """Means over three folds."""
    return made_scores(("0", "1", "2"))


def known(curve: pd.DataFrame) -> pd.DataFrame:
    """Unseen points with intervals over images of ± 0.05 and ties at the depths 1 and 2 at the last step."""
    last = (curve["step"] == 100) & (curve["split"] == "unseen")
    return curve.assign(
        ci_images_low=np.where(last, curve["value"] - 0.05, np.nan),
        ci_images_high=np.where(last, curve["value"] + 0.05, np.nan),
        tied_images=pd.array(np.where(last, curve["depth"].isin([1, 2]), None), "boolean"),
    )


@pytest.fixture
def one_score(scores):
    """NMI of one network over folds, of which intervals and ties over images are known."""
    curves = scores.curves
    return known(curves[(curves["fold"] == "mean") & (curves["model"] == "small") & (curves["metric"] == "nmi")])


@pytest.fixture
def wider(one_score):
    """The same, and of other classes: intervals of ± 0.1 and ties at the depths 1, 2 and 3."""
    unseen = one_score["ci_images_low"].notna()
    return one_score.assign(
        ci_classes_low=one_score["ci_images_low"] - 0.05,
        ci_classes_high=one_score["ci_images_high"] + 0.05,
        tied_classes=pd.array(np.where(unseen, one_score["depth"] > 0, None), "boolean"),
    )
