from dataclasses import replace

from stages.measure.analyses.result import AnalysisResult
from stages.measure.outputs import notes, notes_of_sets
from stages.measure.params import MeasureParams
from stages.measure.run import Measured, Result, plan_jobs
from stages.shared.embeddings.embedding_store import open_embeddings
from stages.shared.workflow.params import parse
from tests.measure.synthetic import DEFAULT, write_store


def opened(tmp_path, sizes):
    write_store(tmp_path / "store", steps=(0,), sizes=sizes)
    return open_embeddings(tmp_path / "store"), parse(DEFAULT, MeasureParams, where="measure")


def test_classes_of_one_image_are_counted(tmp_path):
    store, params = opened(tmp_path, {"test": (6, 5), "unseen": (7, 1)})
    assert notes(store, params, []) == [
        "split 'unseen' has 1 classes of one image, which no neighbour can match (column `ceiling`)"
    ]


def test_what_several_layers_repeat_is_said_once(tmp_path):
    store, params = opened(tmp_path, {"test": (6, 5), "unseen": (7, 4)})
    result = Result(job=plan_jobs(store, params)[0], analysed={"ood": AnalysisResult(notes=["a", "b"])})
    other = replace(result, analysed={"ood": AnalysisResult(notes=["b", "c"])})
    assert notes(store, params, [result, other]) == ["a", "b", "c"]


def test_a_class_without_which_all_images_are_of_one_group_is_named(tmp_path):
    store, params = opened(tmp_path, {"unseen": (4, 4, 4, 4)})
    store = replace(store, samples=store.samples.assign(group=["a"] * 12 + ["b"] * 4))
    refits = params.refits.model_copy(update={"metrics": ["nmi"]})
    params = params.model_copy(update={"neighbours": "other_groups", "refits": refits})
    (note,) = (note for note in notes(store, params, []) if "no interval over classes" in note)
    assert "without unseen3 all images are of one group" in note
    assert not any(
        "no interval over classes" in note for note in notes(store, params.model_copy(update={"neighbours": "all"}), [])
    )


def test_a_note_names_the_sets_of_classes_that_it_is_of(tmp_path):
    (alone, params), (other, _) = (
        opened(tmp_path / str(count), {"test": (6, 5), "unseen": (7, count)}) for count in (1, 4)
    )
    sets, nothing = [replace(alone, fold="0"), replace(other, fold="1")], Measured([], {}, {})
    (note,) = notes(alone, params, [])
    assert notes_of_sets(sets, params, [nothing] * 2) == [f"set 0: {note}"]
    assert notes_of_sets([sets[0], replace(alone, fold="1")], params, [nothing] * 2) == [note]
