"""report.html: everything that aggregate found, as one file that asks nobody for anything.

What a reader sees first is HTML made here; charts and the tables that follow the selector are drawn from one block of
data by its scripts (`js/`), with Vega-Lite. The file has a policy that forbids the browser to load anything, and to run
any script but those three that stand in it.
"""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache, partial
from itertools import groupby
from pathlib import Path

import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ....core.scores.description import ON_PAGE, USES
from ...facts import Facts, Recommendation, told_of
from ...findings.outcomes import Reason
from ...words import page_texts
from ...words import recommendation as words
from ...words.findings import Finding, finding_texts
from ...words.formatting import of_parts
from ...words.statuses import status_words
from .data import page_data, script_json
from .provenance import Study

HERE = Path(__file__).parent
SCRIPTS = ("data", "charts", "draw", "images", "tables", "reach", "page")
"""Files in `js/`, in the order in which they stand in the page; the last begins."""
NOT_TRAINED = {Reason.NO_HEAD, Reason.NO_STEPS}
"""Why claims say nothing where all networks are frozen."""


def render_page(study: Study) -> str:
    """Render the page: the same text for the same study and the same versions of jinja2 and vl-convert."""
    own_script = "\n".join((HERE / "js" / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    blob, scripts = page_data(study), [vega_bundle(), own_script]
    scores, facts = study.results.scores, study.results.facts
    networks = [each for own in facts.findings for each in own.networks]
    asked = facts.of_use()
    by_use = {use: _shown(own) for use in ON_PAGE if (own := [each for each in asked if each.use == use])}
    datasets = list(dict.fromkeys(each.row.dataset for each in networks))
    templates = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return templates.get_template("page.html.j2").render(
        facts=facts,
        words=words,
        of_parts=partial(of_parts, parts=facts.parts),
        by_use=by_use,
        asked=asked,
        answers={use: _answers(facts.of_use(use), facts.representations) for use in by_use},
        texts=page_texts,
        notes=dict.fromkeys(note for each in asked for note in words.notes(each)),
        claims=_claims(facts),
        datasets=datasets,
        uses={
            USES[use].title: own
            for use in ON_PAGE
            if (own := [metric for metric in blob["metrics"] if scores.catalogue[metric].use == use])
        },
        main_metric=networks[0].row.metric,
        first_metric=next(iter(by_use.values()))[0][0].metric,
        networks=[each.row for each in networks],
        has_images=blob["gallery"]["network"],
        has_steps={(each.row.dataset, each.row.model) for each in networks if each.training},
        run=study.run,
        **{name: blob[name] for name in ("mean", "metrics", "folds", "steps")},
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        data=script_json(blob),
        vega=scripts[0],
        script=scripts[1],
        script_hashes=" ".join(map(script_hash, scripts)),
    )


def _claims(facts: Facts) -> list[tuple[str, Finding]]:
    """List the findings that some network can judge: their status in words, and their texts."""
    if not facts.claims:
        return []
    texts = finding_texts(facts.findings, facts.unit_rows, facts.parts).items()
    reasons = {claim: {each.reason for own in facts.findings for each in own.outcomes(claim)} for claim, _ in texts}
    return [(status_words(facts.findings, claim), text) for claim, text in texts if reasons[claim] - NOT_TRAINED]


def _shown(networks: list[Recommendation]) -> tuple[list[Recommendation], list[Recommendation]]:
    """Take apart, for one use, the networks that are shown at once, best ones first, and those one click away."""
    best = [told_of(list(own)) for _, own in groupby(networks, lambda each: each.dataset)]
    several = len(networks) > page_texts.SHOWN_CARDS and len(best) > 1
    ordered, n = best + [each for each in networks if each not in best], page_texts.SHOWN_CARDS
    return ordered[: len(best) if several else n], ordered[len(best) if several else n :]


def _answers(networks: Sequence[Recommendation], joins: page_texts.Joins) -> dict[str, str]:
    """Answer for each dataset, of one use."""
    of_datasets = groupby(networks, lambda each: each.dataset)
    return {dataset: page_texts.answer(list(own), joins) for dataset, own in of_datasets}


@cache
def vega_bundle() -> str:
    """Vega, Vega-Lite and vega-embed as one script, which may stand in HTML."""
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def script_hash(script: str) -> str:
    """Name a script in a content security policy, by what stands in it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
