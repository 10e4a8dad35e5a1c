"""All campaigns, by the name that `--only` takes; the short ones first."""

from tests.faults import (
    changed_params,
    changed_raw_data,
    damaged_inputs,
    damaged_outputs,
    embed_calls,
    killed_runs,
    quick_folders,
    scarcity,
    scored_arrays,
)
from tests.faults.campaign import Campaign

CAMPAIGNS: dict[str, Campaign] = {
    "images": changed_raw_data.IMAGES,
    "archives": changed_raw_data.ARCHIVES,
    "tables": changed_raw_data.TABLES,
    "labels": changed_raw_data.LABELS,
    "folders": quick_folders.CAMPAIGN,
    "calls": embed_calls.CAMPAIGN,
    "arrays": scored_arrays.CAMPAIGN,
    "weights": changed_raw_data.WEIGHTS_FILES,
    "params": changed_params.CAMPAIGN,
    "inputs": damaged_inputs.CAMPAIGN,
    "outputs": damaged_outputs.CAMPAIGN,
    "scarcity": scarcity.CAMPAIGN,
    "kills": killed_runs.CAMPAIGN,
    "commands": killed_runs.OF_COMMANDS,
}
