"""Write data/results (docs/results.md describes each file)."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stages.aggregate.charts.draw import draw_figures
from stages.aggregate.facts import PAGE, finish_results, write_facts
from stages.aggregate.render import documents
from stages.aggregate.render.page.page import render_page, vega_bundle
from stages.aggregate.render.page.provenance import Study
from stages.aggregate.words.scores import closing_note
from stages.shared.tables.metric_table import write_layer_scores


def write_results(out: Path, study: Study, inputs: Mapping[str, str] | None = None) -> str:
    """Write every file of data/results.

    Args:
        out: the folder; made if missing.
        study: what to write.
        inputs: the artifacts that they were made of, with hashes.

    Returns:
        What was written, for the closing line.
    """
    results, facts = study.results, study.results.facts
    notice = {"notice": facts.notice} if facts.notice else {}
    write_layer_scores(out / "layers.csv", results.layers.assign(**notice))
    for name, table in results.tables.items():
        table.assign(**notice).to_csv(out / name, index=False)
    write_facts(out, facts)
    contents = {
        "findings.json": documents.finding_records(facts),
        "metrics.json": documents.headline_numbers(results.summary, facts.recommendations),
        "recommendation.json": documents.recommendation_records(facts.recommendations),
    }
    for name, content in contents.items():
        (out / name).write_text(f"{documents.strict_json(content, facts.notice)}\n", encoding="utf-8")
    (out / "summary.md").write_text(documents.markdown(results.summary, facts), encoding="utf-8")
    (out / "summary.tex").write_text(documents.latex(results.summary, facts), encoding="utf-8")
    with ThreadPoolExecutor(1) as thread:
        thread.submit(vega_bundle)  # for the page: it takes a second, in which figures are drawn
        n_figures = draw_figures(out, results, study.run.models)
    size = (out / PAGE).write_bytes(render_page(study).encode("utf-8"))
    finish_results(out, inputs)
    scores = f"wrote {len(results.layers)} scores of {results.n_cells} cells"
    note = closing_note(results.scores, results.networks)
    return f"{scores}, {n_figures} figures, a page of {size / 1e6:.1f} MB{note}"
