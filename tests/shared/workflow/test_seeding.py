import pytest

from stages.shared.workflow.seeding import cell_seed, child_seed


def test_a_seed_is_the_same_on_every_machine_and_version():
    assert child_seed(0) == 3502022929  # head -c 8 of `printf "[0]" | sha256sum`, in decimal
    assert child_seed(42, "finetune", "shuffle", 3) == 3117124596


def test_names_and_their_order_and_their_type_make_different_seeds():
    seeds = [
        child_seed(0, "a"),
        child_seed(1, "a"),
        child_seed(0, "b"),
        child_seed(0, "a", "b"),
        child_seed(0, "b", "a"),
    ]
    seeds += [child_seed(0, "ab"), child_seed(0, 1), child_seed(0, "1")]
    assert len(set(seeds)) == len(seeds)


def test_every_fold_draws_anew_and_fold_0_as_before_there_were_folds():
    assert cell_seed(3, "0") == 3
    assert len({cell_seed(seed, fold) for seed in (0, 1) for fold in ("0", "1", "2", "all")}) == 8


@pytest.mark.parametrize("root", [0, 7, 2**40])
def test_a_seed_is_in_the_range_that_every_library_takes(root: int):
    seeds = [child_seed(root, "name", i) for i in range(200)]
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert len(set(seeds)) == 200
