"""From which layer to take features, in words, for one network.

An earlier layer is advised where its lead over the last is shown: for other classes if three folds or more tell, else
for these classes. A maximum over layers is no evidence of a lead.
"""

from stages.aggregate.formatting import layers, number, place
from stages.aggregate.metric_info import Scope, metric_name
from stages.aggregate.report.baselines import beaten_by
from stages.aggregate.report.scopes import NO_INTERVAL, SCOPES, SHORT, lead_bounds, level
from stages.aggregate.tables.summary import SummaryRow
from stages.aggregate.uncertainty.layer_comparison import Lead


def advice(row: SummaryRow) -> str:
    """Say from which layer to take features, for one main row of summary.csv, how sure that is, and what it saves."""
    beaten = beaten_by(row)
    parts = [_choice(row), _cost(row), f"But no layer beats {beaten}." if beaten else ""]
    return f"{row.dataset}, {row.model}: {' '.join(part for part in parts if part)}"


def _choice(row: SummaryRow) -> str:
    best = f"layer {place(row.best_depth, row.last_depth)} (`{row.best_layer}`, {_score(row)})"
    last = f"the last layer (`{row.last_layer}`, {number(row.last_value)})"
    if row.last_depth == 0:
        return f"its only layer is `{row.best_layer}`, {_score(row)}."
    leads = {scope: lead for scope in SCOPES if (lead := lead_bounds(row, scope)) is not None}
    shown = next((scope for scope, lead in leads.items() if lead.status == "supported"), None)
    first = next(iter(leads), None)
    if first is None:
        tested = f"it was not tested against the others ({NO_INTERVAL})"
        return f"{best} scores best, {'the last; ' if row.best_is_last else f'above {last}; '}{tested}."
    if leads[first].status == "contradicted":
        return f"take features from the last layer, {_named(row)}: {_told(row, leads)}."
    if shown is not None:
        return f"take features from {best} rather than from {last}: {_told(row, leads)}."
    if row.best_is_last:
        return f"the last layer, {_named(row)}, scores best: {_told(row, leads)}."
    return f"{best} scores best, but no lead over {last} is shown: {_told(row, leads)}."


def _told(row: SummaryRow, leads: dict[Scope, Lead]) -> str:
    """What is known of the lead: what is shown comes first, and of these classes nothing that other classes imply."""
    wider = next(iter(leads))
    if leads[wider].status != "inconclusive":
        leads = {wider: leads[wider]}
    shown = sorted(leads.items(), key=lambda item: item[1].status == "inconclusive")
    return "; ".join(f"{SCOPES[scope]}, {_lead(lead)}{level(row.metric, scope)}" for scope, lead in shown)


def _lead(lead: Lead) -> str:
    if lead.status == "supported":
        return f"some earlier layer is better by at least {lead.low:.3f}"
    if lead.status == "contradicted":
        return "no earlier layer is better"
    return f"it is open whether an earlier layer is better, by {lead.high:.3f} at most"


def _cost(row: SummaryRow) -> str:
    """Name the layers that tie with the best, and what the shallowest costs; else what the best layer costs."""
    others = [depth for depth in row.tied_depths if depth != row.best_depth]
    shallowest, parameters = row.shallowest_depth, row.shallowest_parameters
    known = row.total_parameters > 0  # of embeddings from files it is not
    cost = f"It takes {_percent(row.best_parameters, row.total_parameters)} of the parameters up to the last layer."
    own = cost if known and not row.best_is_last else ""
    if not others or row.last_depth == 0:
        return own
    scope = SHORT["classes" if row.tied_classes else "images"]
    tied = f"Not distinguishable from it ({scope}): {layers(others)}"
    if shallowest is None or parameters is None or shallowest >= row.best_depth:
        return f"{tied}. {own}".rstrip()
    first, share = f"layer {shallowest + 1} (`{row.shallowest_layer}`)", _percent(parameters, row.total_parameters)
    takes = f", takes {share} of the parameters up to the last layer" if known else ""
    return f"{tied}; the shallowest{':' if not known else ','} {first}{takes}."


def _named(row: SummaryRow) -> str:
    return f"layer {place(row.last_depth, row.last_depth)} (`{row.last_layer}`, {_last_score(row)})"


def _score(row: SummaryRow) -> str:
    return f"{metric_name(row.metric)} {number(row.unseen)}"


def _last_score(row: SummaryRow) -> str:
    return f"{metric_name(row.metric)} {number(row.last_value)}"


def _percent(part: int, whole: int) -> str:
    share = 100 * part / whole if whole else 100.0
    return f"{share:.0f} %" if share >= 1 or share == 0 else "under 1 %"
