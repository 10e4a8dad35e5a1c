from stages.aggregate.metric_info import metric_name, metric_rank, short_names, shorten


def test_scores_are_spelled_out_and_unlisted_ones_keep_their_name():
    assert metric_name("nn1_accuracy") == "1-NN accuracy"
    assert metric_name("ood_fpr95_knn") == "OOD FPR95 (k-NN)"
    assert metric_name("seen_matched") == "seen matched"


def test_listed_scores_come_first_in_their_order():
    assert sorted(["probe_accuracy", "another", "nmi", "knn_purity"], key=metric_rank) == [
        "nmi",
        "knn_purity",
        "probe_accuracy",
        "another",
    ]


def test_short_names_drop_the_shared_prefix_and_the_pooling():
    assert short_names(["vit.embeddings", "vit.encoder.layer.0@mean"]) == ["embeddings", "encoder.layer.0"]
    assert short_names(["stem", "stages.0"]) == ["stem", "stages.0"]
    assert short_names(["blocks.0", "blocks.1"]) == ["0", "1"]


def test_short_names_never_drop_a_whole_name():
    assert short_names(["encoder"]) == ["encoder"]
    assert short_names(["a.b", "a.b.c"]) == ["b", "b.c"]


def test_shorten_cuts_the_middle_to_the_limit():
    assert shorten("efficientnet_lite0", 18) == "efficientnet_lite0"
    assert shorten("abcdefghij", 6) == "abc…ij"
