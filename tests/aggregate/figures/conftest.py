import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def one_score(scores):
    """NMI of one network, with intervals of ± 0.05 and a best set of the depths 1 and 2 at the last step."""
    curve = scores.curves[(scores.curves["model"] == "small") & (scores.curves["metric"] == "nmi")]
    last = curve["step"] == 100
    return curve.assign(
        ci_images_low=np.where(last, curve["value"] - 0.05, np.nan),
        ci_images_high=np.where(last, curve["value"] + 0.05, np.nan),
        in_best_set=pd.array(
            np.where(last & (curve["split"] == "unseen"), curve["depth"].isin([1, 2]), None), "boolean"
        ),
    )
