import json

import numpy as np
import pytest

from stages.aggregate.render.page.data import numbers, script_json, table

HOSTILE = "</script><script>alert(1)</script><!-- & \u2028 \u2029"


def test_text_comes_back_and_nothing_of_it_can_end_a_script():
    text = script_json({HOSTILE: [HOSTILE]})
    assert json.loads(text) == {HOSTILE: [HOSTILE]}
    assert not set(text) & set("<>&\u2028\u2029")


def test_a_number_that_json_lacks_is_an_error():
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_json([float("nan")])


def test_numbers_are_rounded_whole_ones_are_short_and_what_is_missing_is_null():
    values = [0.123449, np.float32(0.5), 2.0, -0.00001, np.nan, np.inf, None]
    assert script_json(numbers(values)) == "[0.123,0.5,2,0,null,null,null]"


def test_rows_become_columns_and_networks_places():
    row = {"dataset": "d", "model": "a", "split": "test", "x": 0.12345, "left": "out"}
    rows = [row, row | {"split": "unseen", "model": "b", "x": [1, 2]}]
    columns = table(rows, ["x", "split"], [("d", "b"), ("d", "a")])
    assert columns == {"network": [1, 0], "x": [0.123, [1, 2]], "split": ["seen", "unseen"]}
