import re
from dataclasses import replace

import pytest
from wcwidth import wcswidth

from stages.aggregate.facts import BestNetworkRecord, Facts
from stages.aggregate.words.verdict import verdict
from stages.shared.runtime.errors import UserError
from tests.aggregate.networks import NO_INTERVALS, ONE_FOLD, evidence, network
from tests.aggregate.recommended import (
    FOLDS_ALONE,
    LEADS,
    NONE,
    RECOMMENDATION,
    every_use,
    recommendation,
    useless,
)

WIDE = "網絡模型" * 15
"""60 characters, 120 columns."""

NO_GAINS = {"gain_over_last": NONE, "gain_over_before": NONE}
OF_IMAGES = replace(FOLDS_ALONE, scope="images")
SINGLE_FOLD = {"n_folds": 1, "classes": None, "shortlist_scope": "images", "gain_over_last": OF_IMAGES}


def behind(best, at_least):
    return BestNetworkRecord(model=best, difference=0.1, at_least=at_least, scope="classes")


def facts(found, rows=None, **known):
    """Facts of these recommendations; the findings are of these rows, by default one for each network."""
    names = dict.fromkeys((each.dataset, each.model) for each in found)
    rows = [network(model, dataset=dataset) for dataset, model in names] if rows is None else rows
    by_dataset = {name: [row for row in rows if row.dataset == name] for name in dict.fromkeys(r.dataset for r in rows)}
    return Facts(found, [evidence(*own, **known) for own in by_dataset.values()])


def lines_of(known, *, lines=12, **how):
    """The verdict's lines, which must fit; that of the network before fine-tuning comes beside them."""
    text = verdict(known, **how)
    told = text.splitlines()
    assert len(re.sub(r"^Pre-trained network,.*?\.\n", "", text, flags=re.DOTALL | re.MULTILINE).splitlines()) <= lines
    assert max(map(wcswidth, told)) <= 80
    assert min(map(wcswidth, told)) > 0  # -1 of a control character
    return told


def test_the_verdict_of_one_network():
    assert lines_of(facts(every_use(model="efficientnet_lite0")), lines=14) == [
        "handwriting, efficientnet_lite0 at step 100: take blocks.3 for classifier,",
        "  retrieval, discovery and OOD detection: choosing pays.",
        "use                 layer  score                 last   gain over last",
        "classifier (probe)  5/9    0.388 [0.310, 0.470]  0.240  +0.140 [+0.030, +0.250]",
        "retrieval (MAP@R)   5/9    0.388 [0.310, 0.470]  0.240  +0.140 [+0.030, +0.250]",
        "discovery (NMI)     5/9    0.388 [0.310, 0.470]  0.240  +0.140 [+0.030, +0.250]",
        "OOD detection       5/9    0.388 [0.310, 0.470]  0.240  +0.140 [+0.030, +0.250]",
        "Pre-trained network, over its own last layer: classifier 3/9 +0.210, retrieval",
        "  3/9 +0.210, discovery 3/9 +0.210, OOD detection 3/9 +0.210.",
        "[ ]: 95% for other unseen classes and retraining (unproven: OOD detection).",
        "Ties by layer number (loss at most): classifier 4 (-0.05), 6; retrieval 4",
        "  (-0.05), 6; discovery 4 (-0.05), 6; OOD detection 4 (-0.05), 6.",
        "Next: whichlayer features photos/ --use classifier --out photos.parquet",
    ]


def test_fine_tuning_is_told_by_what_it_did():
    found = every_use()
    changes = {"change": -0.002, "status": "not_distinguishable"}, {"change": -0.1, "status": "lowered"}
    for i, change in enumerate(changes):
        made = found[i].fine_tuning.model_copy(update=change)
        found[i] = found[i].model_copy(update={"fine_tuning": made})
    assert "Fine-tuning: classifier ties, retrieval -0.10" in lines_of(facts(found[:2]))


def test_findings_that_say_something_are_told_where_there_is_room():
    told = lines_of(facts([recommendation()]))  # of NMI, whose level is proven of other classes alone
    assert "(ii) Deeper is not always better: supported (other classes) at step 100" in told
    assert "Fine-tuning: discovery +0.09" in told
    assert not any(line.startswith("(i) ") for line in told)  # of one network it cannot be judged
    assert "(ii)" not in verdict(facts([recommendation()], [network(**NO_INTERVALS)]))
    rows = [network("a"), network("b", accuracy=0.78, unseen=0.3)]
    assert re.search(r"\(i\) [^:]*: shown \(other classes\): b against a\n", verdict(facts([recommendation()], rows)))


def test_of_one_use_there_is_one_row():
    found = [*every_use(), *every_use(dataset="flowers", model="b")]
    text = verdict(facts(found), use="retrieval")
    assert re.findall(rf"^({'|'.join(LEADS)}) ", text, re.MULTILINE) == ["retrieval"] * 2
    assert text == verdict(replace(facts(found), use="retrieval"))
    assert text.count("Next: whichlayer features photos/ --use retrieval --out photos.parquet") == 2
    only = [each for each in found if (each.dataset, each.use) != ("flowers", "retrieval")]
    one = verdict(facts(only), use="retrieval")
    assert "flowers: no score measures this use." in one.splitlines()
    assert "--from" not in one
    with pytest.raises(UserError, match="found 'clustering'"):
        verdict(facts(found), use="clustering")


def test_the_best_network_is_taken_and_every_other_has_a_line():
    def scoring(value):
        return RECOMMENDATION.best.classes.model_copy(update={"value": value})

    worse = every_use(model="small", value=0.3, classes=scoring(0.29), behind=behind("large", 0.02))
    unclear = every_use(model="middle", value=0.38, classes=scoring(0.37), depth=5, behind=behind("large", -0.02))
    found = [*worse, *every_use(model="large"), *unclear, *(useless(use=use, model="scratch") for use in LEADS)]
    told = lines_of(facts(found), lines=18)
    text = " ".join(" ".join(told).split())
    assert told[0].startswith("handwriting, large at step 100: take blocks.3 for classifier, ")
    assert "small: classifier 5, 0.290; retrieval 5, 0.290; discovery 5, 0.290; OOD detection 5, 0.290 middle" in text
    assert "middle: classifier 6, 0.370 (ties); retrieval 6, 0.370 (ties); discovery 6, 0.370 (ties)" in text
    assert "scratch: no useful layer" in told


def test_the_next_command_names_a_use_that_it_takes():
    geometry = recommendation(use="geometry", metric="collapse", better="lower")
    assert "Next" not in verdict(facts([geometry]))
    assert "features photos/ --use retrieval " in verdict(facts([geometry, every_use()[1]]))


def test_where_lower_scores_are_better_the_lowest_is_best():
    less = {"use": "detection", "metric": "ood_fpr95_knn", "better": "lower"}
    found = [recommendation(model="worse", value=0.9, **less), recommendation(model="better", value=0.6, **less)]
    assert ", better at step 100: take" in verdict(facts(found))


def test_a_network_of_no_use_is_never_recommended():
    scratch = useless(model="scratch", value=0.45)
    told = lines_of(facts([scratch, recommendation()]), lines=13)
    assert told[0].startswith("handwriting, a at step 100: take ")
    assert [line for line in told if "scratch" in line] == ["scratch: no useful layer"]
    told = lines_of(facts([scratch]))
    assert told[0].startswith("handwriting: nothing for discovery: no layer beats raw pixels (")
    assert not any("whichlayer features" in line or line.startswith("use ") for line in told)


def test_a_doubt_stays_beside_the_recommendation():
    found = every_use(model="m" * 24, layer="l" * 24)
    found[1] = found[1].model_copy(update={"doubtful": ["raw_pixels"]})
    assert "No layer clearly beats raw pixels (0.100) for retrieval." in lines_of(facts(found))
    found[2] = found[2].model_copy(update={"doubtful": None, "pixels": None})
    assert not any("untested" in line for line in lines_of(facts(found)))  # there is no room for it
    assert f"It is untested if a layer beats chance (0.010) for {found[2].use}." in lines_of(facts(found[2:3]))


def test_a_single_fold_says_nothing_of_other_classes():
    known = facts([recommendation(**SINGLE_FOLD)], [network(**ONE_FOLD)], scopes=("images",))
    text = "\n".join(lines_of(known))
    assert "discovery (NMI)  5/9    0.389 [0.370, 0.410]" in text
    assert "[ ]: for other images of these classes (unproven, so undecided: discovery)." in text
    assert "1 fold of 5 classes, 2,000 images" in text
    assert "other classes" not in text.replace("discovery raised (other classes)", "")
    assert "95%" not in text


def test_several_datasets_have_a_block_each():
    found = [*every_use(dataset="flowers"), *every_use(dataset="dtd")]
    blocks = verdict(facts(found)).split("\n\n")
    assert [block.split(",")[0] for block in blocks] == ["flowers", "dtd"]
    assert [len(block.splitlines()) <= 14 for block in blocks] == [True, True]
    assert [block.splitlines()[-2:] for block in blocks] == [  # which of them is meant is not left open
        ["Next: whichlayer features photos/ --use classifier --out photos.parquet \\", f"  --from {name}/a/0/0"]
        for name in ("flowers", "dtd")
    ]


@pytest.mark.parametrize("length", [1, 8, 16])
@pytest.mark.parametrize("networks", [1, 2, 4])
def test_it_fits_whatever_is_best_for_each_use(length, networks):
    """Every use has another layer at another step, and as far as there are, another network."""
    found = []
    for i, (use, metric) in enumerate(LEADS.items()):
        model, step = f"{i % networks}" * length, 100 * (i % 2)
        found.append(recommendation(use=use, metric=metric, model=model, layer=f"{i}" * length, depth=i, step=step))
    found[0] = found[0].model_copy(update={"doubtful": ["chance", "raw_pixels"]})
    told = lines_of(facts(found))
    assert told[-1].startswith("Next: ")
    assert all(any(line.startswith(each.use_name) for line in told) for each in found)


@pytest.mark.parametrize("name", ["m" * 60, WIDE, "e\u0301" * 60, "x\x1b[2J\x07\n\u202e" * 5], ids=ascii)
@pytest.mark.parametrize("networks", [1, 2, 7])
def test_any_name_does_no_harm_and_is_not_cut(name, networks):
    names = [name, *(f"{name}{i}" for i in range(1, networks))]
    found = [each for model in names for each in every_use(model=model, dataset=name, layer=name)]
    rows = [replace(network(each, best_layer=name), dataset=name) for each in names]
    told = verdict(facts(found, rows)).splitlines()
    assert all(line.isprintable() for line in told)
    if name == "m" * 60:
        assert max(map(len, told)) <= 80
        assert {name, f"{name},"} & set(" ".join(told).split()), "it can be typed"
    assert any(r"\x1b[2J" in line for line in told) == ("\x1b" in name)


@pytest.mark.parametrize("length", range(1, 60, 3))
def test_no_line_breaks_within_an_interval_or_before_a_percent_sign(length):
    told = verdict(facts([recommendation(model="m" * length)])).splitlines()
    assert not any(re.search(r"\[[^\]]*$|^ *%", line) for line in told)
