from stages.aggregate.figures import style
from stages.aggregate.page.charts import COLORS, DASHES, TEXT, charts

MODELS = [f"net{i}" for i in range(9)]


def scales(spec):
    found = {}
    for layer in spec["layer"]:
        for channel, encoding in layer["encoding"].items():
            if encoding.get("field") == "network":
                found[channel] = encoding["scale"]
    return found


def test_a_network_looks_as_in_the_figures():
    found = scales(charts(MODELS)["overview"])
    assert {channel: scale["domain"] for channel, scale in found.items()} == dict.fromkeys(
        ("color", "shape", "strokeDash"), MODELS
    )
    drawn = [style.model_style(i) for i in range(len(MODELS))]
    assert found["color"]["range"] == [TEXT if look["color"] == style.BLACK else look["color"] for look in drawn]
    lines = [DASHES.index(dashes) for dashes in found["strokeDash"]["range"]]
    assert lines == [style.DASHES.index(look["linestyle"]) for look in drawn]
    markers = {look["marker"] for look in drawn}
    assert len(set(found["shape"]["range"])) == len(markers)


def test_no_two_of_three_palettes_look_alike():
    models = [f"net{i}" for i in range(3 * len(COLORS))]
    found = scales(charts(models)["overview"])
    looks = list(zip(found["color"]["range"], map(tuple, found["strokeDash"]["range"]), strict=True))
    assert len(set(looks)) == len(models)
