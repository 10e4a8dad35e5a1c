import pandas as pd
import pytest

from stages.switches import CHOICES, METRICS, markdown


def rows(values, choice="default", seeds=(0,)):
    return pd.DataFrame(
        [
            {
                "choice": choice,
                "metric": metric,
                "split": split,
                "depth": depth,
                "seed": seed,
                "value": value + seed / 10,
            }
            for metric in METRICS
            for split in ("test", "unseen")
            for depth, value in enumerate(values)
            for seed in seeds
        ]
    )


def test_a_line_per_choice_with_the_best_layer():
    table = markdown(pd.concat([rows([0.1, 0.3, 0.2]), rows([0.5, 0.3, 0.2], "all")]))
    lines = table.splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("| whichlayer's defaults | 0.300 (1) |")
    assert lines[3] == f"| {CHOICES['all'][0]} |" + " 0.500 (0) |" * 6


def test_the_layer_is_chosen_by_the_mean_over_seeds():
    table = rows([0.1, 0.3], seeds=(0, 1))
    table.loc[(table["depth"] == 0) & (table["seed"] == 1), "value"] = 0.39  # mean 0.245, against 0.35
    assert "| 0.350 ± 0.071 (1) |" in markdown(table)


@pytest.mark.parametrize("choice", CHOICES)
def test_choices_change_parameters_that_exist(choice):
    from stages.embed.params import EmbedParams
    from stages.measure.params import MeasureParams

    _, embed, measure = CHOICES[choice]
    assert set(embed) <= set(EmbedParams.model_fields)
    assert set(measure) <= set(MeasureParams.model_fields)
