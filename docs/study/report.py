"""Write the study as one page that loads nothing: the table by kind first, all further tables folded away.

python -m docs.study.report   # writes report.html
"""

from pathlib import Path

from markdown_it import MarkdownIt

from docs.study import few_labels, few_references, fine_tuned, habits, kinds
from docs.tools import steps

PAGE = Path(__file__).with_name("report.html")
TERMS = (
    "MAP@R (0 to 1) measures how high images of an unseen class rank. Cells are ranges over frozen "
    "EfficientNet-Lite0 and MobileNetV2. Gains are over the step before. A *representation*, chosen on other classes, "
    "is one layer or several with a recipe: L2-normalized (*plain*), centred, whitened, or whitened within classes "
    "(*within*)."
)
STYLE = """
:root { color-scheme: light dark }
body { max-width: 1240px; margin: 24px auto; padding: 0 16px; font: 16px/1.5 sans-serif }
table { border-collapse: collapse; display: block; overflow-x: auto; font-size: 14px; margin: 12px 0 }
p, svg { max-width: 1000px }
td, th { padding: 4px 6px; border: 1px solid gray }
th { min-width: 5em }
td { white-space: nowrap }
h2, summary { break-after: avoid }
summary { font-weight: bold; cursor: pointer; margin: 8px 0 }
.steps, .steps-dark-narrow, .steps-narrow, .steps-dark { display: none }
@media (min-width: 601px) and (prefers-color-scheme: light) { .steps { display: block } }
@media (min-width: 601px) and (prefers-color-scheme: dark) { .steps-dark { display: block } }
@media (max-width: 600px) and (prefers-color-scheme: light) { .steps-narrow { display: block } }
@media (max-width: 600px) and (prefers-color-scheme: dark) { .steps-dark-narrow { display: block } }
@media print { table { display: table; font-size: 9px } td { white-space: normal } th { min-width: 0 } }
"""


def page() -> str:
    """Write the page."""
    found = dict(kinds.regions())
    head = (f"# {kinds.TITLE}", found["headline"], TERMS, found["kinds by MAP@R"], found["failures"])
    few = f"A chosen representation beats the best layer {few_references.enough('Lite0')}."
    rest = ("## Without choosing", found["rules"], "## Few labels", few)
    rest += ("## Beside fine-tuning", fine_tuned.tuned_answer(), "## All tables")
    folded = {
        "By kind, in probe accuracy": [found["kinds by probe"]],
        "By dataset": [found["datasets"]],
        "Small inputs and random weights: last layer → chosen layer → chosen representation": [
            found["small inputs"],
            found["random weights"],
        ],
        "A vision transformer (ViT-S), fine-tuned for saliency, on fewer images": [found["ViT-S"]],
        "Habits": [habits.habits_answer(), habits.habits_table(), habits.vit_table()],
        "Few labels, a single layer: loss of the choice / of the last layer": [few_labels.cells_table()],
        "Few labels, a representation": [few_references.references_answer(), few_references.references_table()],
        "Fine-tuning": [fine_tuned.tuned_table()],
    }
    body = [html(*head), *pictures(), html(*rest)]
    body += [f"<details><summary>{name}</summary>\n{html(*own)}</details>" for name, own in folded.items()]
    start = f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{kinds.TITLE}</title>'
    start += f'\n<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{STYLE}</style>\n</head>'
    return "\n".join([start, "<body>", *body, "</body>\n</html>\n"])


def html(*parts: str) -> str:
    """Turn Markdown into HTML."""
    return str(MarkdownIt("commonmark").enable("table").render("\n\n".join(parts)))


def pictures() -> list[str]:
    """Draw the steps for light and dark pages, wide and narrow ones; the style shows one of them."""
    sizes = {"": steps.WIDE, "-narrow": steps.NARROW}
    return [
        f'<div class="{name}{ending}">\n{steps.draw(colors, width)}</div>'
        for name, colors in steps.COLORS.items()
        for ending, width in sizes.items()
    ]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
