"""What a network must beat for its best layer to mean much."""

from stages.aggregate.formatting import number
from stages.aggregate.tables.summary import SummaryRow


def beaten_by(row: SummaryRow) -> str | None:
    """Name what no layer of a summary row beats: `raw pixels`, else `chance`, with its score; None if it beats both."""
    sign = -1 if row.lower_is_better else 1
    for level, name in ((row.baseline, "raw pixels"), (row.chance, "chance")):
        if level is not None and sign * row.unseen <= sign * level:
            return f"{name} ({number(level)})"
    return None
