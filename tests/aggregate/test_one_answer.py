"""Everything that a study says names the same network, layer and checkpoint, wherever the best layer is."""

import json
import re
from itertools import pairwise, product

import numpy as np
import pandas as pd
import pytest

from stages.aggregate.curves import average
from stages.aggregate.facts import Facts
from stages.aggregate.findings.collect import collect_findings
from stages.aggregate.inference.intervals import add_uncertainty
from stages.aggregate.inference.network_data import collect_network_data
from stages.aggregate.recommend.recommend import recommend_all
from stages.aggregate.render.json_files import recommendations_json
from stages.aggregate.render.page.cards import make_cards
from stages.aggregate.render.summary import markdown
from stages.aggregate.render.verdict import verdict
from stages.aggregate.tables.steps import steps_table
from stages.aggregate.tables.summary import summarize
from stages.aggregate.words.recommendation import describe
from stages.measure.metrics import SCORES
from stages.shared.settings.params import RunParams
from stages.shared.tables.metric_table import ALL_BUT_ONE_CLASS, HALF, HEAD

FOLDS, STEPS, LAYERS = ["0", "1", "2"], [0, 50, 100], "abcde"
PARTS = [(ALL_BUT_ONE_CLASS, f"class {i}") for i in range(4)] + [(HALF, str(i)) for i in range(6)]
BEST = 0.8


def tables(models, network, step, layer):
    """Scores of which one layer of one network at one step has the highest NMI, and the last layer other ones."""
    random, rows, refits = np.random.default_rng(0), [], []
    for model, fold, at in product(models, FOLDS, STEPS):
        cell = {"dataset": "d", "model": model, "fold": fold, "seed": 0, "step": at}
        for depth, name in enumerate(("pixels", *LAYERS), start=-1):
            place = cell | {"layer": name, "depth": depth, "pooling": "mean", "parameters": 10 * (depth + 1)}
            place |= {"operations": 10 * (depth + 1)}
            is_best = (model, at, name) == (network, step, layer)
            nmi = (BEST if is_best else 0.1 if depth < 0 else 0.5 + depth / 100) + random.normal(0, 0.005)
            rows.append(place | {"metric": "nmi", "split": "unseen", "value": nmi})
            rows.append(place | {"metric": "knn_purity", "split": "unseen", "value": 0.5 + depth / 100 + at / 1e4})
            if at in (0, 100):
                rows.append(place | {"metric": "probe_accuracy", "split": "unseen", "value": 0.9 - depth / 100})
            refits += [
                place | {"metric": "nmi", "split": "unseen", "kind": kind, "part": part}
                | {"value": nmi + random.normal(0, 0.005)}
                for kind, part in PARTS
            ]  # fmt: skip
        if at:
            head = {"layer": HEAD, "depth": None, "pooling": "", "parameters": None, "operations": None}
            rows.append(cell | head | {"metric": "accuracy", "split": "test", "value": 0.7 + at / 1000})
    constant = {"chance": 0.0, "ceiling": 1.0, "n_classes": 4, "n_images": 20, "better": "higher"}
    layers = pd.DataFrame(rows).assign(**constant)
    return layers.astype({"depth": "Int64", "parameters": "Int64", "operations": "Int64"}), pd.DataFrame(refits)


def study(models, network, step, layer):
    """What the aggregate stage computes of these scores: scores, summary, facts."""
    run = RunParams(datasets=["d"], models=list(models), folds=[0, 1, 2], seeds=[0])
    layers, refits = tables(models, network, step, layer)
    networks = collect_network_data(layers, refits, run, SCORES)
    scores = add_uncertainty(average(layers, run, SCORES), networks)
    summary = summarize(scores, "nmi")
    recommendations, _ = recommend_all(summary, scores, networks)
    findings = collect_findings(summary, scores, networks, steps_table(scores), 0.05)
    return scores, summary, Facts(recommendations, findings)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("n_networks", "best"), [(1, 0), (2, 0), (2, 1), (3, 1)])
def test_all_name_the_best_layer_of_the_best_network_at_its_step(step, n_networks, best):
    models = [f"net{i}" for i in range(n_networks)]
    network, layer = models[best], "b"
    scores, summary, facts = study(models, network, step, layer)
    text = " ".join(verdict(facts).split())
    mean = next(r for r in json.loads(recommendations_json(facts.recommendations)) if r["model"] == network)
    value = f"{mean['recommended']['value']:.3f}"
    assert abs(mean["recommended"]["value"] - BEST) < 0.02

    assert (mean["recommended"]["layer"], mean["recommended"]["step"]) == (layer, step)
    lines = [" ".join(line.split()) for line in verdict(facts).splitlines()]
    first = next(after for line, after in pairwise(lines) if line.startswith("network "))
    assert first.startswith(f"{network} ")
    assert f" 2 of 5 {value} " in first
    assert re.search(rf"Take (?:features from )?{network}\b.*?layer 2 of 5(?: \(b\))?.*? at step {step}\b", text)
    assert re.search(r"discovery \(NMI\) 2\b(?! at step)", text)
    assert re.search(rf"1 seed, step (?:\d+ or )*{step}\b", text)
    last = all(each.best.step == 100 for each in facts.recommendations)
    assert ("At step 100: (i) " in text) == (not last)

    said = markdown(summary, facts, [])
    assert f"- d, {network}: take features from layer 2 of 5 (`b`, NMI {value}) at step {step}" in said
    card = next(card for card in make_cards(facts.recommendations, summary, scores) if card.model == network)
    assert card.answer == f"Layer 2 of 5 (b), step {step}"
    numbers = {name: number for name, number, _ in card.numbers}
    assert numbers["NMI, unseen classes"] == value
    assert numbers["accuracy, seen classes"] == ("–" if step == 0 else f"{0.7 + step / 1000:.3f}")
    found = next(found for found in facts.recommendations if found.model == network)
    printed = " ".join(describe(found).split())
    assert f"d, {network}: take features from layer 2 of 5 (`b`, NMI {value}) at step {step}" in printed
    assert found.behind is None
    assert all(other.behind is None or other.behind.model == network for other in facts.recommendations)


def test_a_score_that_was_not_measured_at_the_recommended_step_says_of_which_it_is():
    _, _, facts = study(["net0"], "net0", 50, "b")
    uses = {use.metric: (use.layer, use.step) for use in facts.recommendations[0].uses}
    assert uses == {"probe_accuracy": ("a", 100), "knn_purity": ("e", 50), "nmi": ("b", 50)}
    text = " ".join(verdict(facts).split())
    assert re.search(
        r"classifier \((?:linear )?probe\) 1 at step 100; retrieval \(k-NN[^)]*\) 5; discovery \(NMI\) 2", text
    )
