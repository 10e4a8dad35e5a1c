import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from wcwidth import wcswidth

from stages.aggregate.facts import Facts, read_facts, write_facts
from stages.aggregate.findings.facts import FineTuningFinding
from stages.aggregate.inference.contrasts import Estimate
from stages.aggregate.recommend.schema import Baseline, BestNetworkRecord, CandidateRecord, ScopeRecord, UseRecord
from stages.aggregate.render.verdict import rest_wordings, verdict
from tests.aggregate.networks import NO_INTERVALS, ONE_FOLD, STEPS, evidence, network
from tests.aggregate.recommended import RECOMMENDATION, layer

WIDE = "網絡模型" * 15
"""60 characters, 120 columns."""

RAISED = Estimate(0.2, 0.05, 6)
USES = {"probe_accuracy": "classifier", "knn_purity": "retrieval", "map_at_r": "retrieval", "nmi": "discovery"}


def recommended(row, uses=None, **fields):
    """What is recommended of a row: its best layer, with layers 4 and 6 tied where an interval is known.

    `uses`: score -> depth of its best layer, in the order of uses.
    """
    scope = "classes" if row.tied_classes else "images" if row.tied_images else None
    tied = {"shortlist_scope": scope, "shortlist": RECOMMENDATION.shortlist if scope else []}
    names = {name: getattr(row, name) for name in ("dataset", "model", "metric", "better", "n_folds", "n_seeds")}
    names |= {"last_depth": row.last_depth, "last_step": row.step, "pixels": row.baseline, "chance": row.chance}
    depths = {row.metric: row.best_depth} | (uses or {})
    of_use = [
        UseRecord(use=use, metric=metric, layer="x", depth=depths[metric], step=row.step)
        for metric, use in USES.items()
        if metric in depths
    ]
    found = {"best": candidate(row), "candidate_steps": [0, row.step], "uses": of_use}
    return RECOMMENDATION.model_copy(update=found | names | tied | fields)


def candidate(row, **fields):
    """The best candidate: that of the row."""
    scopes = {
        scope: ScopeRecord(low=ends[0], high=ends[1], lead_at_least=lead and lead.low, lead_at_most=lead and lead.high)
        for scope, ends, lead in (
            (scope, row.interval(scope), row.lead_bounds(scope)) for scope in ("classes", "images")
        )
        if ends
    }
    values = dict(layer(row.best_depth, row.best_layer, row.unseen, 0.4, step=row.step))
    values |= {"last_value": row.last_value, "accuracy": row.accuracy, "lead": row.lead}
    values |= {"classes": None, "images": None}
    return CandidateRecord(**values | scopes | fields)


def nothing(row, uses=None):
    unbeaten = Baseline(name="raw pixels", value=0.5)
    return recommended(row, uses, unbeaten=unbeaten, shortlist=[], shortlist_scope=None)


def behind(best, at_least, scope="classes"):
    return BestNetworkRecord(model=best, difference=0.1, at_least=at_least, scope=scope)


def write(folder, rows, found=None, **known):
    """Results of these rows, one for each network; of what is not given, what follows from them."""
    of_datasets = [[row for row in rows if row.dataset == name] for name in dict.fromkeys(row.dataset for row in rows)]
    findings = [evidence(*own, steps=STEPS, **known) for own in of_datasets]
    write_facts(folder, Facts(found or [recommended(row) for row in rows], findings))
    (folder / "summary.md").touch()


@pytest.fixture
def results(tmp_path, monkeypatch):
    """The folder as users name it."""
    monkeypatch.chdir(tmp_path)
    return Path("data/results")


def lines_of(folder, *, fits=True):
    """The verdict's lines, which must fit."""
    lines = verdict(read_facts(folder), rest=rest_wordings(folder)).splitlines()
    if fits:
        assert len(lines) <= 12
        assert max(map(wcswidth, lines)) <= 80
    assert min(map(wcswidth, lines)) > 0  # -1 of a control character
    return lines


def text_of(folder):
    return " ".join(" ".join(lines_of(folder)).split())


def test_the_verdict_of_one_network(results):
    row = network("efficientnet_lite0")
    write(results, [row], [recommended(row, uses={"knn_purity": 3, "probe_accuracy": 2, "map_at_r": 3})])
    assert lines_of(results) == [
        "handwriting: 4 folds of 5 unseen classes, 2,000 images, 1 seed, step 100.",
        "NMI: chance 0.010, raw pixels 0.100. Brackets: other classes, retrained (95 %).",
        "network              acc.  best    NMI [other classes]    last  lead (at least)",
        "efficientnet_lite0  0.760  5 of 9  0.390 [0.310, 0.470]  0.240  +0.140 (+0.030)",
        "Take efficientnet_lite0: layer 5 of 9 (blocks.3) at step 100 (40 % of the",
        "  multiply-adds). Layers 4 and 6 tie (other classes); 4 is the shallowest",
        "  (25 %).",
        "Layer by use: classifier (probe) 3; retrieval (k-NN, MAP@R) 4; discovery (NMI) 5",
        "(i) Accuracy need not generalize: cannot be judged (one accurate network)",
        "(ii) Deeper is not always better: supported (other classes and other images)",
        "(iii) g after fine-tuning: cannot be judged (no step 0 beside a later step)",
        "Best scores are slightly optimistic. More: summary.md in data/results/",
    ]


def test_of_two_networks_that_are_distinguishable_the_better_one_is_recommended(results):
    rows = [network("small", unseen=0.3), network("large", accuracy=0.78)]
    write(results, rows, [recommended(rows[0], behind=behind("large", 0.02)), recommended(rows[1])])
    text = text_of(results)
    assert "Take large, the best network (other classes): layer 5 of 9 (blocks.3)" in text
    assert "Take small" not in text
    large, small = lines_of(results)[3:5]
    assert (large.split()[:2], small.split()[:2]) == (["large", "0.780"], ["small", "0.760"])


@pytest.mark.parametrize(
    ("compared", "why"),
    [
        (behind("large", -0.02), "not distinguishable (other classes)"),
        (behind("large", -0.02, "images"), "not distinguishable (other images)"),
        (None, "the best is not known"),
    ],
)
def test_networks_that_are_not_distinguishable_are_all_named(results, compared, why):
    rows = [network("small", unseen=0.3, best_depth=5), network("large")]
    write(results, rows, [recommended(rows[0], behind=compared), recommended(rows[1])])
    text = text_of(results)
    assert re.search(r"Take large, layer 5 of 9.* \(4 ties\); or small, layer 6 of 9.* \(4 ties\): ", text)
    assert f": {why}." in text
    assert "best network" not in text


def test_a_network_at_chance_is_never_named_in_a_recommendation(results):
    rows = [network("scratch"), network("a", unseen=0.3)]
    write(results, rows, [nothing(rows[0]), recommended(rows[1])])
    assert re.findall(r"Take (?:features from )?(\w+)", text_of(results)) == ["a"]
    assert lines_of(results)[3].startswith("a ")  # although the other one's score is higher
    write(results, rows[:1], [nothing(rows[0])])
    assert "No recommendation: no layer beats raw pixels (NMI 0.390 at best, raw pixels 0.500)." in text_of(results)
    write(results, rows, [nothing(row) for row in rows])
    text = text_of(results)
    assert "No recommendation: in none of 2 networks does a layer beat raw pixels and chance." in text
    assert "Take" not in text


def test_a_doubt_stays_beside_the_recommendation(results):
    write(results, [network("m" * 60)], [recommended(network("m" * 60), doubtful=True, pixels=0.38)])
    assert "But it is not shown that a layer beats raw pixels (0.380)." in text_of(results)
    rows = [network("a"), network("b")]
    both = [recommended(rows[0]), recommended(rows[1], behind=behind("a", -0.1), doubtful=True)]
    write(results, rows, both)
    assert "Not shown to beat raw pixels: b." in text_of(results)


def test_of_an_earlier_checkpoint_every_part_says_at_which_step_its_numbers_are(results):
    row = network()
    best = candidate(row, depth=5, layer="blocks.4", step=0, value=0.45, accuracy=None)
    uses = [
        UseRecord(use="classifier", metric="probe_accuracy", layer="bn2", depth=8, step=100),
        UseRecord(use="discovery", metric="nmi", layer="blocks.4", depth=5, step=0),
    ]
    found = recommended(row, best=best)
    write(results, [row], [found.model_copy(update={"uses": uses})])
    lines, text = lines_of(results), text_of(results)
    assert lines[0].endswith(", step 0.")
    assert lines[3].split() == ["a", "–", "6", "of", "9", "0.450", "[0.310,", "0.470]", "0.240", "+0.140", "(+0.030)"]
    assert "layer 6 of 9 (blocks.4) at step 0, before fine-tuning" in text
    assert re.search(r"classifier \((linear )?probe\) 9 at step 100; discovery \(NMI\) 6", text)
    assert "At step 100: (i) Accuracy" in text


def test_ties_are_said_as_far_as_they_are_known(results):
    row = network(**NO_INTERVALS)
    write(results, [row])
    text = text_of(results)
    assert "Which layers tie is not known." in text
    assert "No interval is known." in text
    assert "[" not in text
    assert "One fold tells nothing of other classes." in text
    assert re.search(r"lead a 0.760 5 of 9 0.390 0.240 – ", text)
    assert "(ii) Deeper is not always better: cannot be judged (no interval)" in text
    write(results, [network()], [recommended(network(), shortlist=[layer(4, "blocks.3", 0.39)])])
    assert "No other layer ties (other classes)." in text_of(results)
    only = network(last_depth=0, best_depth=0, best_layer="pool", lead=None)
    write(results, [only])
    assert "Take a: its only layer (pool) at step 100." in text_of(results)


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize(
    ("folds", "told"),
    [
        (1, "1 fold of 5 unseen classes, 2,000 images, {}. One fold tells nothing of other classes."),
        (2, "2 folds of 5 unseen classes, 2,000 images, {}. Two folds tell too little of other classes."),
        (4, "4 folds of 5 unseen classes, 2,000 images, {}."),
    ],
)
@pytest.mark.parametrize("networks", [1, 2])
def test_few_folds_speak_of_their_own_classes_alone(results, folds, told, seeds, networks):
    few = {**ONE_FOLD, "n_folds": folds} if folds < 3 else {}
    rows = [network(name, **few, n_seeds=seeds) for name in "ab"[:networks]]
    write(results, rows, scopes=("images",) if folds < 3 else ("classes", "images"))
    text, counted = text_of(results), f"{seeds} seed{'s' if seeds > 1 else ''}, step 100"
    data, _, few_words = told.format(counted).partition(". ")
    assert f"handwriting: {data.rstrip('.')}." in text
    if folds < 3:
        assert "Brackets: these classes alone (no proven level)." in text or few_words in text
    else:
        assert "Brackets: other classes" in text
    assert ("(other classes" in text) == (folds > 2)
    assert ("NMI [other images]" in text, "0.390 [0.370, 0.410]" in text) == (folds < 3, folds < 3)
    assert ("+0.140 (+0.100)" if folds < 3 else "+0.140 (+0.030)") in text


def test_a_score_of_no_proven_level_claims_none(results):
    write(results, [network(metric="ari")])
    text = text_of(results)
    assert re.search(r"Brackets: other classes[^(]* \(no proven level\)\.", text)
    assert "95" not in text


def test_a_probe_as_the_main_score(results):
    rows = [network(name, metric="probe_accuracy", **ONE_FOLD) for name in ("a", "efficientnet_lite0_scratch")]
    write(results, rows, [recommended(rows[0], uses={"nmi": 7}), recommended(rows[1])])
    text = text_of(results)
    assert "linear probe accuracy: chance 0.010, raw pixels 0.100. Brackets: these classes alone (no proven " in text
    assert re.search(r"classifier \((?:linear )?probe\) 5; discovery \(NMI\) 8", text)


def test_a_score_for_which_less_is_better(results):
    less = {"metric": "ood_fpr95_knn", "better": "lower"}
    rows = [network("worse", unseen=0.9, **less), network("better", unseen=0.6, **less)]
    write(results, rows, [recommended(rows[0], behind=behind("better", 0.1)), recommended(rows[1])])
    assert "OOD FPR95 (k-NN), lower is better: chance" in text_of(results)
    assert re.findall(r"Take (\w+)", text_of(results)) == ["better"]
    assert [line.split()[0] for line in lines_of(results) if "0.760" in line] == ["better", "worse"]


def test_seven_networks_keep_the_best_rows_and_counts(results):
    rows = [network(f"net{i}", unseen=0.3 + i / 100, accuracy=None) for i in range(7)]
    unsure = {"lead_classes_at_least": -0.1, "lead_images_at_least": -0.1}
    rows = [replace(row, **unsure) if i < 4 else row for i, row in enumerate(rows)]
    found = [recommended(row, behind=behind("net6", 0.1)) for row in rows[:6]] + [recommended(rows[6])]
    tuned = [FineTuningFinding(row.model, RAISED if i else RAISED.reversed(), None) for i, row in enumerate(rows)]
    write(results, rows, found, fine_tuning=tuned)
    lines, text = lines_of(results), text_of(results)
    assert lines[3].startswith("net6 ")
    shown = sum(line.startswith("net") and "[" in line for line in lines[3:])
    assert shown >= 1
    assert f"{7 - shown} more networks: 0.300 to {0.3 + (6 - shown) / 100:.3f}" in text
    assert "(ii) Deeper is not always better: 3 supported, 4 inconclusive (other classes)" in text
    assert "(iii) What fine-tuning did to g: 6 raised, 1 lowered (other classes)" in text


def test_a_counter_example_and_its_scope(results):
    rows = [network("a"), network("b", accuracy=0.78, unseen=0.3)]
    write(results, rows)
    assert re.search(r"\(i\) [^:]*: shown \(other classes\): b against a ", text_of(results))
    rows = [replace(row, **ONE_FOLD) for row in rows]
    write(results, rows, scopes=("images",))
    assert re.search(r"\(i\) [^:]*: shown for these classes and trained networks: b against a ", text_of(results))
    write(results, [network("a"), network("b", accuracy=0.74, unseen=0.385)])
    assert re.search(
        r"no counter-example, 2 networks; (?:0\.\d\d would be seen|no pair comparable) \(other classes\) ",
        text_of(results),
    )


def test_several_datasets_have_a_row_of_their_best_network_each_as_far_as_there_is_room(results):
    rows, found = [], []
    for dataset in ("calligraphy", "cifar100", "dtd", "eurosat", "flowers", "handwriting"):
        own = [network(f"net{i}", dataset=dataset, unseen=0.3 + i / 100, n_seeds=3) for i in range(7)]
        certain = 0.1 if dataset == "dtd" else -0.1
        uses = {"knn_purity": 3 if dataset == "dtd" else 4}
        found += [recommended(row, uses, behind=behind("net6", certain)) for row in own[:6]]
        found += [recommended(own[6], uses)]
        rows += own
    found[0] = nothing(rows[0], {"knn_purity": 4})
    write(results, rows, found)
    lines, text = lines_of(results), text_of(results)
    assert lines[0] == "6 datasets, 7 networks: 4 folds of unseen classes, 3 seeds, step 100."
    assert lines[3].split()[:5] == ["calligraphy", "net6", "5", "of", "9"]
    shown = sum(" net6 " in line for line in lines)
    assert f"{6 - shown} more datasets: 0.360" in text
    assert "layers tie in 41 of 41 cases" in text.lower()
    assert "one network is best in 1 of 6" in text.lower()
    assert re.search(r"Another layer by use: retrieval \(k-NN(?: purity)?\) 7 of 42", text)
    assert "(ii) Deeper is not always better: supported in 42 of 42 cases (other classes)" in text
    assert re.search(r"\(i\) .*no counter-example in 6 of 6 datasets \(other classes\)", text)


@pytest.mark.parametrize("name", ["m" * 60, WIDE, "e\u0301" * 60, "x\x1b[2J\x07\n\u202e" * 5], ids=ascii)
@pytest.mark.parametrize("networks", [1, 2, 7])
def test_any_name_fits_and_does_no_harm(results, name, networks):
    names = [name, *(f"{name}{i}" for i in range(1, networks))]
    rows = [replace(network(each, best_layer=name), dataset=name) for each in names]
    uses = {"knn_purity": 3, "map_at_r": 5, "probe_accuracy": 11}
    if "\n" in name:
        rows = [replace(row, dataset="d") for row in rows]
    tuned = [FineTuningFinding(each, RAISED, RAISED) for each in names]
    write(results, rows, [recommended(row, uses) for row in rows], fine_tuning=tuned)
    lines = lines_of(results, fits=name.isascii() and name.isprintable())  # as every id of params.yaml is
    assert all(line.isprintable() for line in lines)
    if name == "m" * 60:
        assert name in " ".join(lines).split(), "it can be typed"
    if "\x1b" in name:
        assert r"\x1b[2J" in "".join(lines)
    write(results, rows, [recommended(row, uses, behind=behind(name, -0.1)) for row in rows])
    assert all(line.isprintable() for line in lines_of(results, fits=False))


@pytest.mark.parametrize("length", range(1, 60, 3))
def test_no_line_breaks_within_an_interval_or_before_a_percent_sign(results, length):
    write(results, [network("m" * length)])
    assert not any(re.search(r"\[[^\]]*$|^ *%", line) for line in lines_of(results))


def test_the_rest_is_where_it_is_said_to_be(results):
    write(results, [network()])
    assert lines_of(results)[-1].endswith("More: summary.md in data/results/")
    (results / "report.html").touch()
    assert lines_of(results)[-1].endswith("More: summary.md and report.html in data/results/")


def test_the_command_prints_the_verdict_or_one_error(tmp_path):
    command = [sys.executable, "-c", "from stages.commands.cli import main; main()", "verdict", str(tmp_path)]
    failed = subprocess.run(command, capture_output=True, text=True)
    assert (failed.returncode, failed.stderr.count("\n")) == (2, 1)
    assert failed.stderr.startswith("error: ")
    write(tmp_path, [network()])
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == verdict(read_facts(tmp_path), rest=rest_wordings(tmp_path)) + "\n"
