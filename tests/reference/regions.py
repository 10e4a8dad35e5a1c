"""Which table stands on which page of docs/, and how they are written there."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from ruamel.yaml import YAML

from docs.study import few_labels, few_references, fine_tuned, habits, kinds, label_tables, paper, sentences, tables
from stages.aggregate import curves, facts, read
from stages.aggregate.params import AggregateParams
from stages.aggregate.recommend import regret
from stages.aggregate.tables import score_tables, summary, uncertainty
from stages.core.inference.gain import Gain
from stages.embed.params import EmbedParams, TapsParams
from stages.finetune.params import FinetuneParams
from stages.measure.params import MeasureParams
from stages.prepare.params import DATASET_PARAMS, DatasetParams, PrepareParams
from stages.shared.networks import training_table
from stages.shared.networks.params import NetworkParams
from stages.shared.tables import gallery, metric_table
from stages.shared.workflow.csv_table import CELL_COLUMNS
from stages.shared.workflow.params import RunParams
from tests.reference.columns import check_described, column_table, record_table
from tests.reference.default_study import runs_table, spread_table
from tests.reference.descriptions import of_class, of_constant
from tests.reference.pages import fill
from tests.reference.parameters import entry_table, section_table, variants_table

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RUNS = DOCS / "default-study" / "runs.json"

SECTIONS = {
    "run": RunParams,
    "prepare": PrepareParams,
    "finetune": FinetuneParams,
    "embed": EmbedParams,
    "measure": MeasureParams,
    "aggregate": AggregateParams,
}

KEYS = of_constant(metric_table, "KEYS")
METRIC = of_constant(metric_table, "COLUMNS")
ANALYSES = of_constant(metric_table, "ANALYSIS_TABLES")
CURVES = of_constant(curves, "POINT")
UNCERTAINTY = of_constant(uncertainty, "UNCERTAINTY")
TRAINING = of_constant(training_table, "COLUMNS")

ANALYSIS_COLUMNS = {name: CELL_COLUMNS | columns for name, columns in metric_table.ANALYSIS_TABLES.items()}

TABLES: dict[str, Callable[[], str]] = {
    "summary.csv": lambda: column_table(
        summary.SUMMARY_COLUMNS, of_class(summary.SummaryRow), CURVES, UNCERTAINTY, METRIC
    ),
    "depth.csv": lambda: column_table(
        score_tables.DEPTH_COLUMNS, of_constant(score_tables, "DEPTH_COLUMNS"), CURVES, UNCERTAINTY, METRIC
    ),
    "steps.csv": lambda: column_table(
        score_tables.STEPS_COLUMNS, of_constant(score_tables, "STEPS_COLUMNS"), CURVES, of_class(summary.SummaryRow)
    ),
    "layers.csv": lambda: column_table(metric_table.COLUMNS, METRIC, common=KEYS),
    "regret.csv": lambda: column_table(regret.REGRET_COLUMNS, of_constant(regret, "REGRET_COLUMNS")),
    "classes.csv": lambda: column_table(
        score_tables.CLASS_COLUMNS, of_constant(score_tables, "CLASS_COLUMNS"), common=KEYS
    ),
    "training.csv": lambda: column_table(read.CURVE_COLUMNS, of_constant(read, "CURVE_COLUMNS"), TRAINING, common=KEYS),
    "gallery.parquet": lambda: column_table(
        {field.name: str(field.type) for field in gallery.arrow_schema(gallery.GALLERY)},
        of_constant(gallery, "GALLERY"),
        common=KEYS,
    ),
    "refits.parquet": lambda: column_table(
        metric_table.REFIT_COLUMNS, of_constant(metric_table, "REFIT_COLUMNS"), METRIC, common=KEYS
    ),
}
RECORDS = {
    "recommendation.json": facts.Recommendation,
    "layers of recommendation.json": facts.LayerRecord,
    "best of recommendation.json": facts.CandidateRecord,
    "scopes of recommendation.json": facts.ScopeRecord,
    "gains of recommendation.json": Gain,
    "untrained of recommendation.json": facts.UntrainedRecord,
    "regret of recommendation.json": facts.RegretRecord,
    "fine_tuning of recommendation.json": facts.FineTuningRecord,
    "behind of recommendation.json": facts.BestNetworkRecord,
}


Region = tuple[str, str, str]
"""Its page, its name and what stands there."""


@cache
def regions() -> list[Region]:
    """Return every region.

    Raises:
        LookupError: a parameter or a column has no description, or one is described that does not exist.
    """
    check_described(ANALYSES, {name for columns in ANALYSIS_COLUMNS.values() for name in columns})
    return [*parameters(), *others()]


def parameters() -> Iterator[Region]:
    """Yield a table of each section of params.yaml."""
    params = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")
    for section, model in SECTIONS.items():
        yield "parameters.md", section, section_table(model, section, params[section])


def others() -> Iterator[Region]:
    """Yield the regions of all other pages."""
    yield "datasets.md", "every source", entry_table(DatasetParams)
    yield "datasets.md", "single sources", variants_table(DatasetParams, DATASET_PARAMS)
    yield "models.md", "network", entry_table(NetworkParams, "network")
    yield "models.md", "taps", entry_table(TapsParams, "taps")
    yield "columns.md", "common columns", common_columns()
    for name, columns in TABLES.items():
        yield "columns.md", name, columns()
    for name, own in ANALYSIS_COLUMNS.items():
        yield "columns.md", f"{name}.csv", column_table(own, {}, ANALYSES, METRIC, common=KEYS)
    for name, content in paper.tables():
        yield "paper.md" if name in ("the last layer", "replication") else "paper-tables.md", name, content
    yield "five-datasets.md", "few labels", label_tables.labels_table()
    yield "five-datasets.md", "few labels by kind", label_tables.kinds_table()
    yield "default-study.md", "runs", runs_table(RUNS)
    yield "default-study.md", "spread", spread_table(RUNS)
    yield from study()
    for name, record in RECORDS.items():
        yield "columns.md", name, record_table(record)


def common_columns() -> str:
    """Tabulate the columns by which most tables name a cell and a layer."""
    names = {name for group in KEYS for name in group.split(", ")}
    return column_table({name: kind for name, kind in metric_table.COLUMNS.items() if name in names}, {}, KEYS)


def study() -> Iterator[Region]:
    """Yield the regions that show what choosing gains."""
    for heading, table in tables.tables():
        yield "five-datasets.md", heading, table
    yield "study/README.md", "few labels on six kinds", few_labels.cells_table()
    answers = (few_references.references_answer(), few_references.references_table(), few_references.margins_answer())
    references = "\n\n".join(answers)
    yield "study/README.md", "few references", references
    own = (habits.habits_answer(), habits.habits_table(), habits.vit_table())
    yield "study/README.md", "habits", "\n\n".join(own)
    yield "study/README.md", "fine-tuning", f"{fine_tuned.tuned_answer()}\n\n{fine_tuned.tuned_table()}"
    for heading, content in kinds.regions():
        yield "../README.md" if heading == "steps" else "study/README.md", heading, content
    for heading, words in sentences.paragraphs():
        yield "five-datasets.md", heading, words


def write_pages(docs: Path) -> list[Path]:
    """Write all regions, and return the pages that this changed."""
    texts = {page: (docs / page).read_text() for page, _, _ in regions()}
    before = dict(texts)
    for page, name, content in regions():
        texts[page] = fill(texts[page], name, content)
    changed = [page for page in texts if texts[page] != before[page]]
    for page in changed:
        (docs / page).write_text(texts[page])
    return [docs / page for page in changed]
