"""What a title may say, from rows whose intervals are made up."""

from dataclasses import replace
from itertools import product

import pandas as pd
import pytest

from stages.aggregate.words.figure_titles import layers_title, pairs_title, training_title
from stages.aggregate.words.scores import NAMES
from stages.core.inference.contrasts import Estimate
from tests.aggregate.networks import NETWORK, STEPS, evidence, network

ROW = replace(NETWORK, model="small", best_depth=4, last_depth=8, baseline=0.1, chance=0.0, unseen=0.6)


def of(tied, *, scope="classes", **changed):
    return replace(ROW, **({"tied_classes": None, "tied_images": None} | {f"tied_{scope}": tied} | changed))


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (of("4"), "NMI is best at layer 5 of 9"),
        (of("3;4;5;7"), "NMI is best at one of 4 earlier layers"),
        (of("4", scope="images", metric="knn_purity"), "K-NN purity seems best at layer 5 of 9"),
        (of("4;8", metric="silhouette"), "The last layer seems among the best by silhouette"),
        (of("4;8", best_depth=8), "The last layer is among the best by NMI"),
        (of("8", best_depth=8), "NMI is best at layer 9 of 9"),
        (of(None), "NMI seems best at layer 5 of 9"),
        (of("4", baseline=0.7), "No layer beats raw pixels by NMI"),
        (of("0", best_depth=0, last_depth=0), "NMI is 0.60 at the only layer"),
        (of("4", unseen=0.62, chance=0.5, ceiling=1.0), "NMI stays nearer to chance than to perfect"),
        (of("4", unseen=0.8, chance=0.5, ceiling=1.0), "NMI is best at layer 5 of 9"),
    ],
)
def test_one_network_by_one_score(known, message):
    assert layers_title([known]) == message


@pytest.mark.parametrize(
    ("tied", "message"),
    [
        (["4", "3;4"], "An earlier layer is best by all 2 scores"),
        (["4", "4;8", "5"], "An earlier layer is best by 2 of 3 scores"),
        (["4;8", "8", "7;8"], "The last layer is among the best by 2 of 3 scores"),
        (["8", "8", "5"], "The last layer is best by 2 of 3 scores"),
        (["4", None], "An earlier layer seems best by all 2 scores"),
        ([], "Undefined best layer: neither high nor low is better"),
    ],
)
def test_one_network_by_several_scores(tied, message):
    assert layers_title([of(each) for each in tied]) == message


def test_scores_of_which_all_are_near_chance():
    near, far = of("4", unseen=0.62, chance=0.5, ceiling=1.0), of("4", unseen=0.8, chance=0.5, ceiling=1.0)
    lower = of("4", unseen=0.86, chance=0.95, ceiling=0.0, baseline=None, better="lower")
    assert layers_title([near, lower]) == "Every score stays nearer to chance than to perfect"
    assert "chance" not in layers_title([near, far])


def changed(name, value):
    return {name: {"classes": Estimate(value, 0.01, 5), "images": Estimate(0.0, 0.1, 5)}}


def test_what_fine_tuning_did():
    raised, none = changed("a", 0.2), changed("b", 0.0)
    assert training_title(evidence(network(), changes=raised)) == "Fine-tuning raised the best score"
    both = evidence(network(), network("b"), changes=raised | none | changed("c", 0.3))
    assert training_title(both) == "Fine-tuning raised the best score in 1 of 2 networks"
    alone = evidence(network("b"), changes=none)
    assert training_title(alone) == "Fine-tuning made no sure difference"
    falls = STEPS.assign(model="b", unseen=[0.35, 0.4, 0.3])
    unknown = evidence(network(), network("b"), steps=pd.concat([STEPS, falls]))
    assert training_title(unknown) == "Fine-tuning seems to raise the best score in 1 of 2 networks"
    assert "lower" in training_title(evidence(network(better="lower"), steps=STEPS))
    assert "not known" in training_title(evidence(network()))


TIES = [None, "0", "23", "0;23", ";".join(map(str, range(1, 24))), "3;7;9;11"]


@pytest.mark.parametrize(("metric", "last_depth"), [*product(NAMES, [0, 8, 23])])
def test_no_title_has_more_than_twelve_words(metric, last_depth):
    row = of(None, metric=metric, last_depth=last_depth, best_depth=min(4, last_depth))
    ties = [None if tied is None else {"tied_classes": tied} for tied in TIES]
    rows = [replace(row, **fields) for known in ties for fields in (known or {}, {"baseline": 0.9}, {"ceiling": 9.0})]
    titles = [layers_title([each]) for each in rows]
    titles += [layers_title(rows[i:j], noun) for i in range(18) for j in (i + 2, 18) for noun in ("scores", "networks")]
    for names in (["a"], ["a", "b", "c", "d", "e"]):
        for better, value in (("higher", 0.2), ("lower", -0.2), ("higher", 0.0)):
            networks = [network(name, better=better, metric=metric) for name in names]
            steps = pd.concat([STEPS.assign(model=name) for name in names])
            known = {name: changed(name, value)[name] for name in names}
            titles += [training_title(evidence(*networks, steps=steps, changes=own)) for own in (known, None)]
    titles += [pairs_title([0.9] * last_depth, "unseen classes")]
    assert [title for title in titles if not 3 < len(title.split()) <= 12] == []
