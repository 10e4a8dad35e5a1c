from stages.aggregate.findings.outcomes import Power
from stages.aggregate.words.scopes import explain_scopes, scope_words
from stages.aggregate.words.study import power_sentence

POWER = Power("d", "m", 0.204, 0.171, {3: 0.3, 4: 0.204, 10: 0.1}, {1: 0.204, 2: 0.15}, {5: 0.204, 20: 0.1})


def test_only_a_proven_level_is_named():
    assert scope_words("nmi", "classes") == "other classes"
    assert scope_words("nmi", "images") == "other images, no proven level"
    assert explain_scopes("nmi", 100) == (
        "[ ] of other classes: for other unseen classes and retraining (95%); of other images: for other images of "
        "these classes (no proven level)."
    )
    assert explain_scopes("knn_purity", 0).count("95%") == 2


def test_a_study_is_said_to_show_a_lead_and_half_of_it_to_take_more():
    assert power_sentence(POWER) == (
        "d, m: over classes, 80% of studies like this one show a lead of 0.21 over the last layer, and that a "
        "layer 0.18 below the best is worse. A lead of 0.11 needs 10 folds, or more than 2 seeds in each "
        "fold, or 20 unseen classes in each fold."
    )


def test_a_wanted_lead_takes_the_first_number_that_shows_it():
    assert "needs 10 folds, or 2 seeds in each fold, or 20 unseen classes in each" in power_sentence(POWER, 0.2)
    assert "needs 3 folds, or 1 seed in each fold, or 5 unseen classes in each" in power_sentence(POWER, 0.3)


def test_a_lead_that_is_said_to_be_shown_takes_no_more_folds():
    power = Power("d", "m", 0.0827, 0.1, {4: 0.0827, 5: 0.07}, {}, {})
    said = power_sentence(power, 0.08)
    assert "show a lead of 0.09 over the last layer, and that a layer 0.10 below the best is worse." in said
    assert said.endswith("A lead of 0.08 needs 5 folds.")
    assert power_sentence(power, 0.09).endswith("A lead of 0.09 needs 4 folds.")
    assert power_sentence(power, 0.083).endswith("A lead of 0.083 needs 4 folds.")
