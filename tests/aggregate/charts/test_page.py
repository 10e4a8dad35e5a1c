import vl_convert

from stages.aggregate.charts.draw import page_charts
from stages.aggregate.charts.theme import model_looks

MODELS = [f"net{i}" for i in range(9)]


def scales(spec):
    return {
        channel: own["scale"]
        for layer in spec["layer"]
        for channel, own in layer["encoding"].items()
        if own.get("field") == "network"
    }


def test_a_network_looks_as_in_the_figures():
    found, looks = scales(page_charts(MODELS)["overview"]), model_looks(MODELS)
    assert {channel: scale["domain"] for channel, scale in found.items()} == dict.fromkeys(
        ("color", "shape", "strokeDash", "fill"), MODELS
    )
    assert found["color"]["range"] == found["fill"]["range"] == [look.color for look in looks.values()]
    assert found["shape"]["range"] == [look.shape for look in looks.values()]
    assert found["strokeDash"]["range"] == [list(look.dash) for look in looks.values()]


def test_every_chart_is_a_specification_that_vega_lite_takes():
    for spec in page_charts(MODELS).values():
        sets = {layer["data"]["name"]: [] for layer in spec["layer"]}
        assert vl_convert.vegalite_to_svg(spec | {"datasets": sets, "width": 300}).startswith("<svg")
