"""The page as people use it, in a browser without a network."""

import csv
import io
import re

import pytest

from stages.aggregate.facts import told_of
from stages.aggregate.words.page_texts import answer, card_texts
from stages.aggregate.words.scores import metric_name
from tests.aggregate.render.page.made import FORMULA, HOSTILE, LAYERS, METRICS, MODELS

pytestmark = pytest.mark.slow

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
DRAWN = "() => Promise.all([...document.querySelectorAll('.chart')].map((chart) => pending.get(chart)))"
"""Waits for the charts that were begun."""


class Visit:
    """The page, open in the browser, and what it said and asked for."""

    def __init__(self, browser, file, viewport=DESKTOP, **options):
        self.context = browser.new_context(viewport=viewport, offline=True, **options)
        self.requests, self.messages = [], []
        self.page = self.context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.messages.append(dialog.message), dialog.dismiss()))
        self.page.goto(file.as_uri())
        self.drawn()

    def drawn(self):
        self.page.evaluate(DRAWN)

    def open_all(self):
        self.page.evaluate("document.querySelectorAll('details').forEach((section) => { section.open = true; })")
        self.page.wait_for_function("[...document.querySelectorAll('.chart')].every((chart) => pending.has(chart))")
        self.drawn()

    def open_first(self):
        """Open the first network's section, whose table is filled and whose charts are drawn a moment later."""
        self.page.locator("details.network > summary").first.click()
        self.page.locator("#layers-0 tbody tr").first.wait_for()
        self.drawn()

    def select(self, name, label):
        self.page.locator("#controls details").evaluate("(section) => { section.open = true; }")
        self.page.get_by_role("combobox", name=name).select_option(label=label)
        self.drawn()


@pytest.fixture
def visit(browser, page_file):
    made = []

    def make(**options):
        made.append(Visit(browser, page_file, **options))
        return made[-1]

    yield make
    for each in made:
        each.context.close()


def svg(page, chart, nth=0):
    return page.locator(f"[data-chart={chart}] svg.marks").nth(nth)


def table_rows(page, table):
    return [row.inner_text().split("\t") for row in page.locator(f"#{table} tbody tr").all()]


def test_it_asks_for_nothing_says_nothing_and_every_chart_has_marks(visit, page_file):
    opened = visit()
    opened.open_all()
    assert opened.requests == [page_file.as_uri()]
    assert opened.messages == []
    charts = opened.page.locator(".chart").all()
    per_network = 1 + len(METRICS) + 3 + 2  # depth (chosen, each); steps, classes, folds; best and last on a plane
    assert len(charts) == 2 + len(MODELS) * per_network
    for chart in charts:
        marks = chart.locator("svg .mark-symbol path, svg .mark-rect path")
        assert marks.count() >= 5, chart.get_attribute("data-chart")


def test_the_browser_runs_no_other_script_and_loads_nothing(visit):
    opened = visit()
    refused = opened.page.evaluate(
        """async () => {
          const script = document.createElement("script");
          script.textContent = "window.harm = true";
          document.body.append(script);
          const loaded = await fetch("data:text/plain,x").then(() => true, () => false);
          return [window.harm ?? false, loaded];
        }"""
    )
    assert refused == [False, False]
    assert all("Content Security Policy" in message for message in opened.messages)


def test_a_hostile_name_is_text_everywhere(visit):
    opened = visit()
    opened.open_all()
    page = opened.page
    assert page.locator(".gallery figcaption", has_text=HOSTILE).count() >= 2
    assert page.locator("[data-chart=classes] svg text", has_text=HOSTILE[:13]).count() >= 2  # cut to the axis' width
    assert page.locator("[data-chart=projection] svg text", has_text=HOSTILE[:13]).count() >= 2
    assert page.locator("script:not([type])").count() == 2
    assert opened.messages == []


def test_hovering_over_a_point_shows_its_image_and_class(visit):
    opened = visit()
    opened.open_first()
    page = opened.page
    point = page.locator("[data-chart=projection] svg .mark-symbol.role-mark path").first
    point.scroll_into_view_if_needed()
    point.hover()
    image = page.locator("#vg-tooltip-element.visible img")
    image.wait_for()
    assert image.evaluate("(image) => [image.naturalWidth, image.src.slice(0, 23)]") == [16, "data:image/webp;base64,"]
    assert page.locator("#vg-tooltip-element h2").inner_text() in {HOSTILE, *(f"class {i}" for i in range(1, 5))}


def test_arrow_keys_reach_every_picture_that_hovering_shows(visit):
    opened = visit()
    opened.open_first()
    page, box = opened.page, "[data-chart=projection] .plot"
    page.locator(box).first.focus()
    page.keyboard.press("ArrowRight")
    image = page.locator("#vg-tooltip-element.visible img")
    image.wait_for()
    assert image.get_attribute("src").startswith("data:image/webp;base64,")
    said = page.locator("#said").inner_text()
    assert said == page.locator("#vg-tooltip-element h2").inner_text()
    assert said in {HOSTILE, *(f"class {i}" for i in range(1, 5))}
    marks = page.locator(f"{box} svg .mark-symbol.role-mark path").count() // 2  # of the best and of the last layer
    for _ in range(marks + 3):
        page.keyboard.press("ArrowRight")
    assert page.evaluate("stops(document.activeElement).indexOf(reached)") == marks - 1  # it stays at the last
    page.keyboard.press("Escape")
    assert page.locator("#vg-tooltip-element.visible").count() == page.locator(".reached").count() == 0


def test_arrow_keys_say_every_layer_of_a_curve_from_left_to_right(visit):
    opened = visit()
    page = opened.page
    page.locator("[data-chart=overview] .plot").focus()
    step, said = page.evaluate("curve(0, selection()).step"), []
    stops = page.evaluate("stops(document.activeElement).length")
    assert stops >= len(LAYERS) * len(MODELS)
    for _ in range(stops):
        page.keyboard.press("ArrowRight")
        said.append(page.locator("#said").inner_text())
    assert len(set(said)) == len(said)
    of_small = [words for words in said if words.startswith("small, layer")]
    assert [words.split("(")[1].split(")")[0] for words in of_small if f"step {step}" in words] == list(LAYERS)


def test_a_gallery_is_read_by_keyboard_and_by_touch(visit):
    opened = visit(viewport=PHONE, has_touch=True)
    opened.open_all()
    page = opened.page
    images = page.locator(".gallery").first.locator(".lines img")
    page.locator(".gallery .lines").first.focus()
    for nth in range(2):
        page.keyboard.press("ArrowRight")
        assert page.locator(".at-picture").first.inner_text() == images.nth(nth).get_attribute("alt")
    images.nth(4).tap()
    assert page.locator(".at-picture").first.inner_text() == images.nth(4).get_attribute("alt")
    mark = page.locator("[data-chart=projection] svg .mark-symbol.role-mark path").first
    mark.scroll_into_view_if_needed()
    mark.dispatch_event("click")
    page.locator("#vg-tooltip-element.visible img").wait_for()


def test_sliders_go_through_the_layers_and_a_chosen_image_comes_first_at_both(visit):
    opened = visit()
    opened.open_first()
    page, plots = opened.page, opened.page.locator("[data-network='0'] .plot")
    left = page.locator("#left0")
    left.focus()
    left.press("Home")
    opened.drawn()
    left.press("ArrowRight")
    opened.drawn()
    assert page.locator("label[for=left0] output").inner_text() == f"2 of 5 ({FORMULA})"
    page.locator("[data-network='0'][data-side=right] .plot").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    image = page.evaluate("reached.__data__.datum.image")
    page.keyboard.press("Enter")
    first = page.locator("[data-network='0'] .lines li").first
    assert first.locator("figure").first.get_attribute("data-image") == str(image)
    assert first.locator(".at").all_inner_texts() == ["left", "right"]
    row = page.evaluate(
        "gallery(0, 'left', selection()).rows.find((row) => String(row.image) === controls.elements.image0.value)"
    )
    nearest = first.locator("div").first.locator("figure")
    assert [int(each.get_attribute("data-image")) for each in nearest.all()] == row["neighbours"]
    assert plots.locator("path.chosen").count() == 2


def test_the_address_gives_the_same_view_again(visit):
    opened = visit()
    assert "#" not in opened.page.url
    opened.select("Score", "NMI")
    opened.select("Step", "50")
    opened.open_first()
    opened.page.locator("#right0").press("Home")
    opened.page.locator(".gallery .lines").first.focus()
    opened.page.keyboard.press("ArrowRight")
    opened.page.keyboard.press("Enter")
    again = visit().page
    again.goto(opened.page.url)
    again.locator("details#network0[open] .lines li").first.wait_for()
    again.evaluate(DRAWN)
    assert again.locator("[data-network='0'] path.chosen").count() == 2
    for name in ("metric", "step", "right0", "image0"):
        value = f"controls.elements.{name}.value"
        assert again.evaluate(value) == opened.page.evaluate(value)
    assert "NMI, step 50" in again.locator("[data-chart=overview] .soft").inner_text()
    again.goto(opened.page.url.split("#")[0] + "#metric=99&step=%3Cb%3E&left0=x&image0=zzz&open=nothing")
    values = "['metric', 'step', 'left0', 'fold'].map((name) => controls.elements[name].value)"
    assert again.evaluate(values) == opened.page.evaluate("['metric', 'step', 'left0', 'fold'].map((n) => initial[n])")


def test_the_address_names_what_is_chosen_and_a_link_to_a_section_keeps_it(visit):
    opened = visit()
    page, link = opened.page, "() => { location.hash = 'findings'; }"
    page.evaluate(link)
    for name, label in (("Score", "NMI"), ("Split", "seen classes"), ("Step", "50"), ("Fold", "2")):
        opened.select(name, label)
    chosen = "#metric=nmi&split=seen&step=50&fold=2"
    assert page.url.endswith(chosen)
    page.evaluate(link)
    page.wait_for_url(f"**{chosen}")
    assert page.locator("#findings").evaluate("(heading) => Math.abs(heading.getBoundingClientRect().top)") < 100


def test_no_two_controls_have_one_name(visit):
    page = visit().page
    names = page.evaluate(
        """[...document.querySelectorAll("button, summary, select, input:not([type=hidden])")].map((each) =>
             each.getAttribute("aria-label") ?? (each.labels?.[0] ?? each).textContent.trim())"""
    )
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(
    ("name", "label"),
    [("Score", "NMI"), ("Split", "seen classes"), ("Step", "pre-trained"), ("Fold", "1")],
)
def test_the_selector_drives_charts_tables_and_their_titles(visit, study, name, label):
    opened = visit()
    opened.open_all()
    page = opened.page
    before = svg(page, "overview").evaluate("(svg) => svg.outerHTML"), table_rows(page, "networks")
    opened.select(name, label)
    assert svg(page, "overview").evaluate("(svg) => svg.outerHTML") != before[0]
    words = {"Fold": "fold 1", "Split": "seen classes"}.get(name, label)
    assert words in page.locator("[data-chart=overview] .soft").inner_text()
    assert words in page.locator("[data-chart=overview] [role=graphics-document]").get_attribute("aria-label")
    assert (table_rows(page, "networks") != before[1]) == (
        name in ("Score", "Fold")
    )  # it is of unseen, at the last step


def test_what_was_not_measured_is_said_in_the_charts_place(visit):
    opened = visit()
    opened.page.evaluate(
        """() => {
          for (const table of [data.classes, data.training, data.gallery, data.best]) {
            for (const name of Object.keys(table)) table[name] = [];
          }
          for (const metric of Object.values(data.metrics)) metric.classes = false;
          for (const curve of curves.keys()) if (curve.startsWith("0,ami,")) curves.delete(curve);
          select();
        }"""
    )
    opened.open_all()
    of_first = {
        name: opened.page.locator(f"[data-network='0'][data-chart={name}] .plot").first.inner_text()
        for name in ("classes", "steps", "folds", "projection")
    }
    assert of_first == {
        "classes": "A single class has no 1-NN accuracy.",
        "steps": "This score chooses no layer, so it has no g.",
        "folds": "Not measured.",
        "projection": "This network has no stored images.",
    }
    assert opened.page.locator("[data-network='0'][data-metric=ami] .plot").inner_text() == "Not measured like this."
    assert "This score chooses no layer" in opened.page.locator("#networks caption").inner_text()
    assert opened.messages == []


def test_charts_show_the_tables_numbers(visit, study):
    """The curve of one score and fold, read off the drawn points, is depth.csv's."""
    opened = visit()
    opened.select("Score", "k-NN purity")
    opened.select("Fold", "2")
    depth = study.results.tables["depth.csv"].query("model == 'small' and metric == 'knn_purity' and fold == '2'")
    depth = depth[depth["split"] == "unseen"]
    opened.open_first()
    rows = table_rows(opened.page, "layers-0")
    assert [(row[0], row[2]) for row in rows] == [
        (layer, f"{value:.3f}") for layer, value in zip(depth["layer"], depth["value"], strict=True)
    ]
    points = opened.page.evaluate("document.querySelector('[data-chart=overview]').view.data('points')")
    shown = [point["value"] for point in points if point["network"] == "small" and not point.get("aside")]
    assert shown == pytest.approx(list(depth["value"]), abs=5e-4)


def test_a_table_of_layers_shows_intervals_and_no_standard_deviation_as_one(visit):
    opened = visit()
    opened.open_first()
    caption = opened.page.locator("#layers-0 caption")
    assert all(row[3].startswith("[") for row in table_rows(opened.page, "layers-0"))
    assert caption.text_content().startswith("[ ] of other classes")
    opened.select("Step", "pre-trained")
    assert {row[3] for row in table_rows(opened.page, "layers-0")} == {""}
    assert caption.text_content() == ""


def test_tables_sort_by_their_headers_also_by_keyboard(visit):
    opened = visit()
    opened.open_first()
    page = opened.page
    header = page.locator("#layers-0 th", has_text="unseen")
    assert header.get_attribute("aria-sort") is None
    header.get_by_role("button").click()
    values = [float(row[2]) for row in table_rows(page, "layers-0")]
    assert (header.get_attribute("aria-sort"), values) == ("ascending", sorted(values))
    header.get_by_role("button").press("Enter")
    descending = [float(row[2]) for row in table_rows(page, "layers-0")]
    assert (header.get_attribute("aria-sort"), descending) == ("descending", values[::-1])
    page.locator("#layers-0 th", has_text="name").get_by_role("button").press("Space")
    assert [row[0] for row in table_rows(page, "layers-0")] == sorted(LAYERS)
    assert page.locator("#layers-0 th[aria-sort]").count() == 1


def test_a_table_is_saved_as_csv_in_which_no_formula_runs(visit):
    opened = visit()
    opened.open_first()
    page = opened.page
    with page.expect_download() as download:
        page.locator("button[data-save=layers-0]").click()
    assert download.value.suggested_filename == "handwriting-small-layers.csv"
    rows = list(csv.reader(io.StringIO(download.value.path().read_text(encoding="utf-8"))))
    assert rows[0] == ["name", "layer", "unseen", "interval", "ties", "seen", "parameters", "multiply-adds"]
    assert [row[0] for row in rows[1:]] == [f"'{name}" if name == FORMULA else name for name in LAYERS]
    assert [float(row[2]) for row in rows[1:]] == [float(row[2]) for row in table_rows(page, "layers-0")]


@pytest.mark.parametrize(
    ("text", "saved"),
    [
        ("=1+1", "'=1+1"), ("+1+1", "'+1+1"), ("-cmd", "'-cmd"), ("@sum", "'@sum"), ("\tx", "'\tx"), ("\rx", '"\'\rx"'),
        ("-0.028", "-0.028"), ("0.5", "0.5"), ("", ""), ('a "b", c', '"a ""b"", c"'),
    ],
)  # fmt: skip
def test_a_field_of_a_csv_file(visit, text, saved):
    assert visit().page.evaluate("(text) => field(text)", text) == saved


def test_a_phone_shows_it_without_scrolling_sideways(visit):
    opened = visit(viewport=PHONE, has_touch=True)
    opened.open_all()
    assert opened.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    boxes = [caption.bounding_box() for caption in opened.page.locator("table[data-table] caption").all()]
    assert len(boxes) == 1 + len(MODELS)
    assert all(box["x"] + box["width"] <= PHONE["width"] for box in boxes)  # the table beside it scrolls
    assert opened.messages == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_serious_keeps_anyone_from_using_it(visit, scheme, viewport):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install '.[dev]'").Axe()
    opened = visit(viewport=viewport, color_scheme=scheme)
    opened.open_all()
    found = axe.run(opened.page).response["violations"]
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    assert not serious, [(each["id"], each["nodes"][0]["html"], each["nodes"][0]["failureSummary"]) for each in serious]


def test_without_javascript_no_empty_chart_table_or_heading_is_shown(browser, page_file):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(page_file.as_uri())
    assert "charts and tables need JavaScript" in page.locator("noscript").inner_text()
    assert page.locator("details.network > summary").first.is_visible()
    hidden = "#controls, .chart, table[data-table], .save, .selected, .split"
    assert not any(each.is_visible() for each in page.locator(hidden).all())
    page.context.close()


def test_sections_open_by_keyboard_and_draw_what_is_in_them(visit):
    opened = visit()
    summary = opened.page.locator("details.network > summary").first
    assert opened.page.locator("details.network").first.locator("svg.marks").count() == 0
    summary.press("Enter")
    opened.page.locator("details.network[open] [data-chart=depth] svg.marks").first.wait_for()
    assert opened.page.locator("details.network").first.locator("svg.marks").count() > 0


def test_each_use_has_its_sentence_its_cards_its_score_and_its_findings(visit, study):
    opened = visit()
    page = opened.page
    for use in ("discovery", "retrieval"):
        found = study.results.facts.of_use(use)
        button = page.get_by_role("button", name=use.capitalize(), exact=True)
        button.press("Enter")
        opened.drawn()
        assert button.get_attribute("aria-pressed") == "true"
        assert page.locator("h1").inner_text() == answer(found)
        assert page.evaluate("selection().metric") == found[0].metric
        assert page.locator(".card:visible .answer").all_inner_texts() == [card_texts(each)["answer"] for each in found]
        assert page.locator("#findings ~ [data-use] .finding:visible").count() == len(found)
        assert metric_name(found[0].metric) in page.locator("[data-chart=overview] h3").inner_text()
        assert page.evaluate("curve(0, selection()).step") == found[0].best.step
        told = [(each.best, f"step {each.best.step}" if each.best.step else "pre-trained") for each in found]
        shown = [f"best at layer {best.depth + 1} of 5 ({best.layer}), {step}," for best, step in told]
        lines = page.locator(".network .best").all_inner_texts()
        assert all(words in line for words, line in zip(shown, lines, strict=True))
        best = found.index(told_of(found))
        if use == "retrieval":
            classes = page.locator("[data-chart=classes] figcaption").first.inner_text()
            assert f"{found[best].model}, {told[best][1]}," in classes
        else:
            assert page.locator("[data-chart=classes] .plot").first.inner_text() == "A single class has no NMI."
    assert opened.messages == []


def test_the_answer_is_in_the_first_screen_of_a_phone(visit):
    page = visit(viewport=PHONE, has_touch=True).page
    for shown in (page.locator("h1 span:visible"), page.locator(".answer:visible").first):
        box = shown.bounding_box()
        assert box["y"] + box["height"] < PHONE["height"]


def test_print_has_what_is_open_on_three_pages_and_no_controls(visit):
    page = visit().page
    assert len(re.findall(rb"/Type\s*/Page[^s]", page.pdf(format="A4"))) <= 3
    page.emulate_media(media="print")
    assert not any(each.is_visible() for each in page.locator("#controls, button, details:not([open])").all())
    assert page.locator(".chart svg.marks").count() == 2
    page.locator("details.network").first.evaluate("(section) => { section.open = true; }")
    assert page.locator("details.network > summary").first.is_visible()
