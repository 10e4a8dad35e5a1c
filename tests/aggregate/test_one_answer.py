"""For every use, all that a study says names the same network, layer and checkpoint, wherever the best one is."""

import json
import re
import subprocess
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from stages.aggregate.charts.draw import make_figures
from stages.aggregate.compute import compute
from stages.aggregate.facts import best_network
from stages.aggregate.params import AggregateParams, Asked, AskedMeasures
from stages.aggregate.read import Tables
from stages.aggregate.render.page.data import answers as page_answers_of
from stages.aggregate.render.write import headline_numbers
from stages.aggregate.words import recommendation as words
from stages.aggregate.words.documents import describe, finding_records, markdown, recommendation_records
from stages.aggregate.words.formatting import decimals, interval
from stages.aggregate.words.page_texts import answer as page_answer
from stages.aggregate.words.page_texts import card_texts
from stages.aggregate.words.scores import directed_name
from stages.aggregate.words.verdict import verdict
from stages.core.inference.gain import Gain
from stages.core.scores.catalogue import SCORES
from stages.core.scores.description import USES
from stages.shared.tables.metric_table import ALL_BUT_ONE_CLASS, ANALYSIS_TABLES, HALF, HEAD
from stages.shared.workflow.csv_table import CELL_COLUMNS
from stages.shared.workflow.params import RunParams

FOLDS, STEPS, LAYERS = ["0", "1", "2"], [0, 50, 100], "abcde"
PARTS = [(ALL_BUT_ONE_CLASS, f"class {i}") for i in range(4)] + [(HALF, str(i)) for i in range(6)]
LEADING = {"classifier": "probe_accuracy", "retrieval": "map_at_r", "discovery": "nmi", "detection": "ood_auroc_knn"}
NAMES = {"classifier": "probe", "retrieval": "MAP@R", "discovery": "NMI", "detection": "AUROC"}
BEST_LAYERS = {"classifier": "d", "retrieval": "a", "discovery": "b", "detection": "e"}
AT = r"(?: at step (\d+)| \((pre-trained)\))?"
WORDS = {use: USES[use].words or use for use in LEADING}
USE = f"(?:{'|'.join(WORDS.values())})"
ROOT = Path(__file__).parents[2]
PRINTED = {
    "docs/getting-started.md": "docs/default-study/frozen.json",
}
"""Pages that show a verdict, and the metrics of the run that printed it."""


def tables(models, answers):
    """Scores of which, for each use, one layer of one network at one step has the highest; NMI and MAP@R with refits.

    Args:
        models: the networks.
        answers: use -> its network, step and layer.
    """
    random, rows, refits = np.random.default_rng(0), [], []
    for model, fold, at in product(models, FOLDS, STEPS):
        cell = {"dataset": "d", "model": model, "fold": fold, "seed": 0, "step": at}
        for (depth, name), (use, metric) in product(enumerate(("pixels", *LAYERS), start=-1), LEADING.items()):
            if metric == "probe_accuracy" and at == 50:
                continue
            place = cell | {"layer": name, "depth": depth, "pooling": "mean", "metric": metric, "split": "unseen"}
            place |= {"parameters": 10 * (depth + 1), "operations": 10 * (depth + 1)}
            value = (0.8 if (model, at, name) == answers[use] else 0.1 if depth < 0 else 0.5) + random.normal(0, 0.005)
            rows.append(place | {"value": value})
            if metric in ("nmi", "map_at_r"):
                again = [{"kind": kind, "part": part, "value": value + random.normal(0, 0.005)} for kind, part in PARTS]
                refits += [place | each for each in again]
        if at:
            head = {"layer": HEAD, "depth": None, "pooling": "", "parameters": None, "operations": None}
            rows.append(cell | head | {"metric": "accuracy", "split": "test", "value": 0.7 + at / 1000})
    constant = {"chance": 0.0, "ceiling": 1.0, "n_classes": 4, "n_images": 20, "better": "higher"}
    layers = pd.DataFrame(rows).assign(**constant)
    return layers.astype({"depth": "Int64", "parameters": "Int64", "operations": "Int64"}), pd.DataFrame(refits)


def images_of(layers):
    """A reader of images' contributions: each class has ten images, whose contribution is the score."""

    def read(cell, steps, columns):
        of_cell = (layers[["dataset", "model", "fold", "seed"]] == list(cell)).all(axis=1)
        own = layers[of_cell & layers["step"].isin(steps)]
        places = ["step", "split", "layer", "depth", "pooling"]
        wide = own[own["metric"].isin(columns)].pivot(index=places, columns="metric", values="value").reset_index()
        return pd.concat(
            [wide.assign(sample_id=f"{label}{i}", label=label, group="") for label in "xy" for i in range(10)]
        )

    return read


def study(models, answers):
    """What the aggregate stage computes of these scores: summary, facts, scores of classes."""
    run = RunParams(datasets=["d"], models=list(models), folds=[0, 1, 2], seeds=[0])
    asked = Asked(run, AskedMeasures(analyses=[]), AggregateParams(main_metric="nmi", accuracy_margin=0.05))
    layers, refits = tables(models, answers)
    columns = {name: [*CELL_COLUMNS, *ANALYSIS_TABLES[name]] for name in ("representations", "layer_pairs")}
    analyses = {name: pd.DataFrame(columns=own) for name, own in columns.items()}
    return compute(Tables(run, pd.DataFrame(), layers, refits, analyses, SCORES, images_of(layers)), asked)


def panels_of(figure):
    """What the heads of a figure's panels say, by the name of the score: its line, and the splits that are drawn."""
    found = {}
    for panel in figure["concat"]:
        texts = [layer["mark"]["text"] for layer in panel["layer"] if "text" in layer["mark"]]
        splits = {row["split"] for layer in panel["layer"] for row in layer["data"]["values"] if "split" in row}
        found[re.sub(r"^\([a-z]\) ", "", texts[0])] = texts[1], splits
    return found


def headline_of(text):
    """What the first sentence of a verdict names: use -> network, step, layer."""
    sentence = re.split(r"\.\nuse ", text.replace("\n  ", " "))[0]
    network, step, pre_trained, rest = re.fullmatch(rf"d(?:, (\w+?))?{AT}: (.*)", sentence).groups()
    layer = r"(?:take |try |and |, |the last layer, )(\w)(?: of (\w+))?(?: at step (\d+))?( \([^)]*\))?,? for"
    named = {}
    for name, own_network, own_step, notes, uses in re.findall(rf"{layer} ({USE}(?:(?:, | and ){USE})*)", rest):
        at = 0 if pre_trained or "pre-trained" in notes else int(own_step or step or STEPS[-1])
        for use in re.findall(USE, uses):
            named[next(key for key, words in WORDS.items() if words == use)] = (own_network or network, at, name)
    return named


def rows_of(text):
    """The first rows by use of a table in a terminal: use -> its cells."""
    rows = [re.split(r" {2,}", line) for line in text.splitlines() if re.match(rf"{USE}(  | \()", line)]
    return {next(use for use, words in WORDS.items() if cells[0].startswith(words)): cells for cells in reversed(rows)}


BEST = [("0000", step) for step in STEPS] + [("1111", 50), ("0110", 0), ("0110", 100), ("2102", 0), ("2102", 50)]
"""The best network for each use, and its step."""


@pytest.mark.parametrize(("best", "step"), BEST)
def test_all_name_the_best_layer_of_the_best_network_at_its_step(step, best):
    models = [f"net{i}" for i in range(int(max(best)) + 1)]
    networks = dict(zip(LEADING, (f"net{i}" for i in best), strict=True))
    answers = {use: (networks[use], step, BEST_LAYERS[use]) for use in LEADING}
    answers["classifier"] = (networks["classifier"], step if step != 50 else 100, "d")  # not measured between
    results = study(models, answers)
    summary, facts, classes, figures = results.summary, results.facts, results.classes, make_figures(results, models)
    told = {(each.model, each.best.step) for each in facts.recommendations}
    assert set(zip(classes["model"], classes["step"], strict=True)) == told | {(model, STEPS[-1]) for model in models}
    assert told >= {(network, at) for network, at, _ in answers.values()}
    columns = page_answers_of(facts, [("d", model) for model in models])
    page_answers = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    records = recommendation_records(facts.recommendations)
    assert [(each["model"], each["use"], each["metric"]) for each in records] == [
        (model, use, metric) for model in models for use, metric in LEADING.items()
    ]

    of_metrics = headline_numbers(summary, facts.recommendations)["d"]
    assert not any("best" in name for each in of_metrics.values() for name in each)
    discovery = [each for each in facts.recommendations if each.use == "discovery"]
    (depth,) = (each for each in finding_records(facts) if each["claim"].startswith("(ii)"))
    judged = {each["network"]: each for each in reversed(depth["outcomes"])}  # the recommended step before the last
    assert {(each.model, each.best.step) for each in discovery} == {(name, own["step"]) for name, own in judged.items()}
    assert judged[networks["discovery"]]["status"] == "supported"  # whose layer b is better than the last by 0.3

    told, said = verdict(facts), markdown(summary, facts)
    assert [f"- {each.dataset}, {each.model}: " in said for each in facts.power] == [True] * len(models)
    on_depth = re.findall(r"\(ii\) [^:]*: (.*)", told)  # there is not always room for it
    assert len(models) > 1 or on_depth in ([], [f"supported (other classes) at step {step}"])
    assert headline_of(told) == answers
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in said.splitlines() if line.startswith("|")]
    for use, (network, at, layer) in answers.items():
        of_use = [each for each in facts.recommendations if each.use == use]
        found = best_network(of_use)
        assert (found.model, found.best.step, found.best.layer) == (network, at, layer)
        assert found.behind is None
        assert found.best.scope == "classes"  # also of detection, whose scores have folds alone
        assert {each.behind.model for each in of_use if each.behind} <= {network}
        (record,) = (each for each in records if (each["model"], each["use"]) == (network, use))
        assert (record["recommended"]["layer"], record["recommended"]["step"]) == (layer, at)
        place, known = LAYERS.index(layer) + 1, record["recommended"]["classes"] or record["recommended"]
        value = f"{known['value']:.3f}"  # where its interval is known, without the bias of choosing it
        assert float(value) == pytest.approx(0.8, abs=0.02)

        numbers = of_metrics[network]["uses"][use]
        assert (numbers["layer"], numbers["step"]) == (layer, at)

        for name, record in (("gain_over_last", found.gain_over_last), ("gain_over_before", found.gain_over_before)):
            known = vars(record).items()
            assert numbers[name] == {key: round(each, 6) if type(each) is float else each for key, each in known}
        assert numbers["gain_over_last"]["status"] == ("pays" if use in ("retrieval", "discovery") else "undecided")
        gained, before = words.gain_words(found.gain_over_last) or "–", found.gain_over_before.estimate
        before, last = "–" if before is None else f"{before:+.3f}", f"{found.last_score:.3f}"
        untrained = found.untrained.gain_over_last.estimate
        untrained = f"{WORDS[use]} {found.untrained.layer.depth + 1}/5" + (
            "" if untrained is None else f" {untrained:+.3f}"
        )
        assert numbers["untrained"]["layer"] == found.untrained.layer.layer
        assert untrained in " ".join(told.split())

        cells = rows_of(told)[use]
        assert cells[-2:] == [last, gained]
        assert cells[0] in (f"{WORDS[use]} ({NAMES[use]})", "OOD detection")
        assert f"{place}/5" in cells
        assert any(cell.startswith(value) for cell in cells)
        assert (network in cells) == (len(set(networks.values())) > 1)

        (row,) = (row for row in table if row[:2] == [f"`{network}`", f"{WORDS[use]} ({NAMES[use]})"])
        assert row[2:4] == [f"{place} of 5 (`{layer}`)", str(at or "pre-trained")]
        assert row[4].startswith(value)
        assert row[5:8] == [last, gained, before]
        checkpoint = f" at step {at}" if at else " of the pre-trained network"
        name = rf"{WORDS[use]} \({NAMES[use]}\): layer {place} of 5 \(`{layer}`, [^`]* {value}[^)]*\)"
        sentence = rf"{name}{re.escape(checkpoint)}, "
        assert re.search(rf"^- {network}, {sentence}", said, re.MULTILINE)

        card = card_texts(found)
        assert card["use"] == f"{WORDS[use]} ({NAMES[use]})"
        assert card["answer"] == f"Layer {place} of 5 ({layer}){checkpoint}"
        assert card["numbers"][0][1] == value
        assert card["numbers"][1][1] == last
        assert " ".join(card["numbers"][2][1:]).strip() == gained
        whose = f" of {network}" * (len(models) > 1) + checkpoint
        if numbers["gain_over_last"]["status"] == "pays":
            assert page_answer(of_use).startswith(f"For {WORDS[use]} take layer {place} of 5{whose}: ")
        else:
            assert f"layer {place} of 5{whose}" in page_answer(of_use) or f"last layer{whose}" in page_answer(of_use)
        (at_page,) = (each for each in page_answers if (each["network"], each["use"]) == (models.index(network), use))
        assert (at_page["metric"], at_page["step"], at_page["layer"]) == (LEADING[use], at, place - 1)
        assert at_page["best"]

        figure = figures[f"depth-d-{network}"]
        line, splits = panels_of(figure)[directed_name(LEADING[use], "higher")]
        (of,) = re.findall(r"pre-trained|step \d+", figure["description"])
        named = f"step {at}" if at else "pre-trained"
        assert line.startswith(f"best at layer {place} of 5 ({layer}): {found.best.value:.2f}")
        assert named in (re.findall(r", (pre-trained|step \d+)$", line) or [of])
        assert splits >= {"unseen", "other"}

        printed = describe([each for each in facts.recommendations if each.model == network])
        assert rows_of(printed)[use][1] == f"{place}/5"
        assert rows_of(printed)[use][-2:] == [last, gained]
        assert words.payoff(found) in said
        assert words.payoff(found) in " ".join(printed.split())
        assert re.search(sentence, " ".join(printed.split()))


@pytest.mark.parametrize(("page", "metrics"), PRINTED.items())
def test_a_verdict_on_a_page_has_the_numbers_of_its_run(page, metrics):
    """Of the metrics as git has them: in the folder those of another processor may lie."""
    (block,) = re.findall(r"^```\n(handwriting, .*?)^```$", (ROOT / page).read_text(), flags=re.M | re.S)
    assert max(map(len, block.splitlines())) <= 80
    show = ["git", "show", f":{metrics}"]
    printed = subprocess.run(show, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    ((_, network),) = json.loads(printed)["handwriting"].items()
    for use, known in network["uses"].items():
        last = TypeAdapter(Gain).validate_python(known["gain_over_last"])
        assert rows_of(block)[use] == [
            f"{WORDS[use]} ({NAMES[use]})" if use != "detection" else WORDS[use],
            f"{known['depth'] + 1}/9",
            f"{decimals(known['score'])} {interval(known['low'], known['high'])}",
            decimals(known["last_score"]),
            words.gain_words(last) or "–",
        ]
        assert known["layer"] in block.partition("\nuse ")[0]
        if untrained := known["untrained"]:
            estimate = decimals(untrained["gain_over_last"]["estimate"], sign=True)
            assert f"{WORDS[use]} {untrained['depth'] + 1}/9 {estimate}" in " ".join(block.split())
