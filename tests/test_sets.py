"""A frozen network that is embedded once and scored set by set has the scores of one that is embedded fold by fold."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image
from ruamel.yaml import YAML

from stages.aggregate.compute import Results, compute
from stages.aggregate.facts import Facts
from stages.aggregate.facts_file import read_facts, write_facts
from stages.aggregate.params import read_asked
from stages.aggregate.read import read_tables, with_sets
from stages.aggregate.words.documents import markdown
from stages.aggregate.words.representations import NO_JOINS, brief_for_use
from stages.aggregate.words.verdict import verdict
from stages.commands.cut.command import cut
from stages.commands.cut.export import load_run
from stages.commands.cut.folder import CARD, PROGRAM, README
from stages.commands.cut.represented import record_of
from stages.commands.cut.source import CellPaths, Wanted, recommended_cell
from stages.commands.features.command import features
from stages.core.inference.representations import gain_of
from stages.core.representations.choice import choose_representation
from stages.core.representations.representation import Representation
from stages.measure.analyses.representations import representations
from stages.measure.cell import Cell
from stages.measure.params import MeasureParams, RepresentationsParams
from stages.shared.embeddings.embedding_store import open_embeddings
from stages.shared.images.image_store import open_images
from stages.shared.runtime.errors import UserError
from stages.shared.workflow.params import read_section
from tests.shared.runtime.tiny_cell import ROOT, run_stage

CLASSES = "abcdefghi"  # two sets of four, and one class in none
TABLES = ("k_sensitivity", "layer_pairs", "scalings")


def write_raw(folder: Path) -> Path:
    random = np.random.default_rng(0)
    for number, label in enumerate(CLASSES):
        (folder / label).mkdir(parents=True)
        for image in range(10):
            pixels = random.normal(30 + 20 * number, 60, (24, 24, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{image}.png")
    return folder


def write_params(path: Path, folds: list[int], **entry: Any) -> Path:
    yaml = YAML(typ="safe", pure=True)
    params = yaml.load(ROOT / "params.yaml")
    network = params["models"]["efficientnet_lite0_frozen"]["network"] | {"image_size": 32}
    params["models"] = {"net": {"network": network, "taps": {"layers": ["blocks.1", "blocks.4"]}}}
    params["datasets"] = {"mine": {"source": "folder", "image_size": 32, "test_fraction": 0.5, "unseen_count": 4}}
    params["datasets"]["mine"] |= entry
    params["run"] = {"datasets": ["mine"], "models": ["net"], "folds": folds, "seeds": [0]}
    params["embed"] |= {"batch_size": 16, "train_per_class": 3, "baseline_size": 2}
    params["measure"] |= {"analyses": [*TABLES, "ood", "representations"]}
    params["measure"]["kmeans"] |= {"starts": 3, "polished": 1}
    params["measure"]["refits"] |= {"halves": 2, "starts": 2, "polished": 1}
    yaml.dump(params, path)
    return path


def run(folder: Path, raw: Path, folds: list[int], **entry: Any) -> Results:
    folder.mkdir()
    params, prepared, thumbnails = (
        write_params(folder / "params.yaml", folds, **entry),
        folder / "prepared",
        folder / "t",
    )
    run_stage("prepare", {"dataset": "mine"}, params=params, raw=raw, out=prepared, thumbnails=thumbnails)
    for fold in map(str, folds):
        cell = {"dataset": "mine", "model": "net", "fold": fold, "seed": "0"}
        weights, embeddings = folder / "weights" / fold, folder / "embeddings" / fold
        place = Path("mine", "net", fold, "0")
        history, out = folder / "training" / place / "training.csv", folder / "measures" / place
        run_stage("finetune", cell, params=params, prepared=prepared, weights=weights, history=history)
        run_stage("embed", cell, params=params, prepared=prepared, weights=weights, out=embeddings)
        one = {**cell, "workers": "1"}
        run_stage("measure", one, params=params, embeddings=embeddings, thumbnails=thumbnails, out=out)
    asked = read_asked(params)
    return compute(read_tables(folder / "measures", folder / "training", asked.grid, asked.measured.analyses), asked)


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results, Results]:
    folder = tmp_path_factory.mktemp("sets")
    raw = write_raw(folder / "raw")
    return folder, run(folder / "folds", raw, [0, 1]), run(folder / "sets", raw, [0], unseen_classes="all")


def unseen(path: Path) -> pd.DataFrame:
    table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    table = table.astype(dict.fromkeys(table.select_dtypes("category"), object))
    return table[table["split"] == "unseen"].dropna(axis=1, how="all").reset_index(drop=True)


@pytest.mark.parametrize("number", ["0", "1"])
def test_a_set_has_the_scores_of_a_fold_to_the_last_digit(studies: tuple[Path, Results, Results], number: str):
    """Also of detection, whose seen images are those of the other classes, of two sets and of none."""
    of_fold = studies[0] / "folds" / "measures" / "mine" / "net" / number / "0"
    of_set = studies[0] / "sets" / "measures" / "mine" / "net" / "0" / "0" / "sets" / number
    for file in ("refits.parquet", "gallery.parquet", "scores.json"):
        assert (of_set / file).read_bytes() == (of_fold / file).read_bytes(), file
    for file in ("layers.csv", "clusterings.csv", "images.parquet", *(f"{name}.csv" for name in TABLES)):
        pd.testing.assert_frame_equal(unseen(of_set / file), unseen(of_fold / file), check_exact=True, obj=file)
    layers = pd.read_csv(of_set / "layers.csv")
    assert set(layers["split"]) == {"unseen"}
    assert {"ood_auroc_knn", "probe_accuracy", "nmi"} <= set(layers["metric"])


def test_sets_are_summed_up_as_folds_are(studies: tuple[Path, Results, Results]):
    folds, sets = studies[1:]
    ours, theirs = (
        results.scores.curves.query("split == 'unseen'").reset_index(drop=True) for results in (sets, folds)
    )
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    assert (ours["ci_images_low"].notna() & (ours["fold"] == "mean")).any()
    kept = ["dataset", "model", "fold", "metric", "unseen", "best_layer", "last_value"]
    pd.testing.assert_frame_equal(sets.tables["summary.csv"][kept], folds.tables["summary.csv"][kept])
    assert sets.facts.cell == "0/0"
    assert (sets.facts.parts, folds.facts.parts) == ("sets", "folds")


def test_sets_have_the_representation_that_arrays_have(studies: tuple[Path, Results, Results]):
    folder, folds, sets = studies
    store = open_embeddings(folder / "sets" / "embeddings" / "0")
    layers = {layer.name: layer for layer in store.layers if layer.depth >= 0}
    arrays = {
        name: np.concatenate([own.features(layer, 0, "unseen") for own in store.sets]) for name, layer in layers.items()
    }
    labels = [own.labels("unseen") for own in store.sets]
    folds_of = {name: number for number, own in enumerate(labels) for name in own.tolist()}
    choice = choose_representation(arrays, np.concatenate(labels), folds=folds_of)
    (found,) = sets.facts.representations
    best, gain = choice.candidates[choice.chosen], gain_of(choice, range(len(choice.candidates)))
    assert (tuple(found.layers), found.join, found.recipe) == (best.arrays, best.join, best.recipe)
    assert (found.value, found.last_value) == pytest.approx((choice.score, choice.values[choice.control]))
    assert found.gain_over_last == gain
    assert brief_for_use(found) in " ".join(verdict(sets.facts).split())
    assert not folds.facts.representations
    assert (sets.facts.no_joins, folds.facts.no_joins) == (False, True)


def test_that_no_joins_were_compared_is_in_the_summary_and_in_the_facts(
    studies: tuple[Path, Results, Results], tmp_path: Path
):
    """As of classes that form one set: the log of measure was the only place."""
    folds = studies[1]
    assert NO_JOINS in markdown(folds.summary, folds.facts)
    write_facts(tmp_path, folds.facts)
    assert read_facts(tmp_path).no_joins


@pytest.fixture(scope="module")
def represented(studies: tuple[Path, Results, Results]) -> tuple[Path, CellPaths, Any]:
    """The study's own choice is of few classes, so that it is replaced by a join whose recipe has all steps."""
    folder, found = studies[0] / "sets", studies[2].facts
    joined = {"layers": ["blocks.1", "blocks.4"], "join": "all", "recipe": "whitened_within"}
    [record] = found.representations
    facts = replace(found, representations=[record.model_copy(update=joined)])
    write_facts(folder / "results", facts)
    return (
        folder,
        CellPaths(*(folder / name for name in ("prepared", "weights/0", "embeddings/0", "results"))),
        facts.representations[0],
    )


def fit_by_hand(folder: Path, dimensions: int | None = None) -> tuple[Representation, dict[str, Any], Any]:
    store = open_embeddings(folder / "embeddings" / "0")
    arrays = {
        layer.name: np.concatenate([own.features(layer, 0, "unseen") for own in store.sets])
        for layer in store.layers
        if layer.depth >= 0
    }
    labels = np.concatenate([own.labels("unseen") for own in store.sets])
    return Representation((*arrays,), "whitened_within", dimensions).fit(arrays, labels), arrays, labels


def test_a_study_s_representation_is_cut(represented: tuple[Path, CellPaths, Any], tmp_path: Path, monkeypatch: Any):
    """Fitted to all classes of all sets, in files that load without the project; the card has all that is known."""
    folder, paths, record = represented
    monkeypatch.setattr(CellPaths, "of", lambda cell: paths)
    monkeypatch.setattr("stages.commands.cut.source.stage_path", lambda *_: paths.results)
    words = ["--layer", "representation", "--params", str(folder / "params.yaml"), "--out", str(tmp_path / "cut")]
    said = CliRunner().invoke(cut, [*words, "--no-onnx", "--dimensions", "12"], catch_exceptions=False).stdout
    assert said.startswith("cut mine-net-0-0 at layer 1 and 2 of 2 (`blocks.1+blocks.4`), whitened_within, 12 dimens")
    made, arrays, labels = fit_by_hand(folder, 12)
    images = open_images(paths.prepared, "0", dataset="mine")
    store = open_embeddings(paths.embeddings)
    ids = np.concatenate([own.samples.loc[own.samples["split"] == "unseen", "sample_id"] for own in store.sets])
    rows = images.manifest.reset_index().set_index("sample_id").loc[ids, "index"]
    found = load_run(tmp_path / "cut" / PROGRAM)(images.read(rows.to_numpy()).transpose(0, 3, 1, 2).copy())
    np.testing.assert_allclose(found, made.transform(arrays), rtol=0, atol=1e-5)
    card = json.loads((tmp_path / "cut" / CARD).read_text())
    known = card["representation"]
    assert known["reference_classes"] == sorted({*labels})
    assert len(known["reference_classes"]) == 8
    assert (known["recipe"], known["dimensions"], known["layers"]) == ("whitened_within", 12, record.layers)
    assert known["scores"]["representation"] == record.value
    text = (tmp_path / "cut" / README).read_text()
    assert f"fitted to the classes | {', '.join(known['reference_classes'])} |" in text
    assert f"| MAP@R on other classes, representation | {record.value:.3f} |" in text
    assert "| dimensions | 12, principal axes of all |" in text


def test_a_study_s_representation_embeds_new_images(
    represented: tuple[Path, CellPaths, Any], tmp_path: Path, monkeypatch: Any
):
    folder, paths, _ = represented
    monkeypatch.setattr(CellPaths, "of", lambda cell: paths)
    new, words = folder.parent / "raw" / "a", ["--params", str(folder / "params.yaml")]
    out = ["--from", "mine/net/0/0", "--layer", "representation", "--out", str(tmp_path / "new.npz")]
    CliRunner().invoke(features, [str(new), *words, *out], catch_exceptions=False)
    with np.load(tmp_path / "new.npz") as file:
        vectors, about = file["features"], json.loads(str(file["about"]))
    made = fit_by_hand(folder)[0]
    assert vectors.shape == (10, made.n_features_out_)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (about["layer"], about["scale"]) == ("blocks.1+blocks.4", "whitened_within")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"layers": ["blocks.1"], "dimensions": 5}, "--dimensions: only a representation has fewer"),
        ({"layers": ["representation", "blocks.1"]}, "--layer: --layer representation is for retrieval"),
        ({"layers": ["representation"], "scale": "l2"}, "--scale: --layer representation is for retrieval"),
        ({"layers": ["representation"], "use": "classifier"}, "--use: --layer representation is for retrieval"),
    ],
)
def test_what_a_representation_settles_itself_is_refused(wanted: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        Wanted(**wanted)


def test_a_study_without_a_representation_is_named(represented: tuple[Path, CellPaths, Any], tmp_path: Path):
    _, _, record = represented
    tuned = record.model_copy(update={"dataset": "yours", "step": 50})
    facts = Facts([], [], representations=[record, record.model_copy(update={"model": "other", "value": 1.0}), tuned])
    write_facts(tmp_path, facts)
    wanted = Wanted(["representation"], use="retrieval")
    assert recommended_cell(tmp_path, wanted) == "mine/other/0/0"
    with pytest.raises(UserError, match=r"representation of yours, net, found none; list `representations`"):
        record_of(facts, ("yours", "net"))
    write_facts(tmp_path, replace(facts, representations=[record, record.model_copy(update={"dataset": "yours"})]))
    with pytest.raises(UserError, match=r"--from: must be a cell .* the results have 2 datasets"):
        recommended_cell(tmp_path, wanted)


def test_joins_and_recipes_of_the_params_compete_with_plain_layers(studies: tuple[Path, Results, Results]):
    store, params = open_embeddings(studies[0] / "sets" / "embeddings" / "0"), studies[0] / "sets" / "params.yaml"
    measure = read_section(params, "measure", MeasureParams)
    wanted = RepresentationsParams(joins=["all"], recipes=["centred"])
    cells = [Cell(each, measure.model_copy(update={"representations": wanted})) for each in store.sets]
    table = pd.DataFrame(representations(cells)[0].rows)
    found = {*table[["layers", "join", "recipe"]].itertuples(index=False, name=None)}
    plain = {("blocks.1", "single", "plain"), ("blocks.4", "single", "plain")}
    assert found == plain | {("blocks.1;blocks.4", "all", "centred")}


def test_datasets_of_a_grid_must_have_as_many_sets(tmp_path: Path):
    asked = read_asked(write_params(tmp_path / "params.yaml", [0]))
    for dataset, count in {"mine": 2, "other": 3}.items():
        for number in range(count):
            (tmp_path / dataset / "net" / "0" / "0" / "sets" / str(number)).mkdir(parents=True)
    assert with_sets(tmp_path, asked.grid).folds == ["0", "1"]
    both = asked.grid.model_copy(update={"datasets": ["mine", "other"]})
    with pytest.raises(UserError, match="found 3 of other and 2 of mine; set `folds` of the first to fewer"):
        with_sets(tmp_path, both)
