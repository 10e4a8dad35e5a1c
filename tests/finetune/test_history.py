import math
from pathlib import Path

import pandas as pd
import pytest
import torch

from stages.finetune.history import History
from stages.shared.runtime.errors import UserError


def test_a_rows_loss_is_the_mean_since_the_row_before(tmp_path: Path):
    history = History()
    history.add_row(0, learning_rate=0.2, accuracy=0.25)
    for loss in (3.0, 2.0, 1.0):
        history.add_loss(torch.tensor(loss, requires_grad=True))
    history.add_row(3, learning_rate=0.1)
    history.add_loss(torch.tensor(0.5))
    history.add_row(4, learning_rate=0.0, accuracy=0.75)
    history.write(tmp_path / "new" / "training.csv", ("handwriting", "lite0", "0", 1))
    assert (tmp_path / "new" / "training.csv").read_text().splitlines() == [
        "dataset,model,fold,seed,step,loss,accuracy,learning_rate",
        "handwriting,lite0,0,1,0,,0.25,0.2",
        "handwriting,lite0,0,1,3,2.0,,0.1",
        "handwriting,lite0,0,1,4,0.5,0.75,0.0",
    ]
    assert pd.read_csv(tmp_path / "new" / "training.csv").step.dtype == "int64"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_the_first_step_that_diverged_is_named_with_remedies(bad: float):
    history = History()
    for loss in (1.0, 2.0, bad, math.nan):
        history.add_loss(torch.tensor(loss))
    with pytest.raises(UserError) as error:
        history.check_losses(14)
    assert f"the training loss at optimizer step 13 is {bad}" in str(error.value)
    assert "Lower finetune.learning_rate" in str(error.value)
    assert "WHICHLAYER_PRECISION=bf16" in str(error.value)


def test_finite_losses_pass():
    history = History()
    history.check_losses(0)
    history.add_loss(torch.tensor(1.0))
    history.check_losses(1)
    history.add_row(1, learning_rate=0.1)
    assert history.rows[0]["loss"] == 1.0
