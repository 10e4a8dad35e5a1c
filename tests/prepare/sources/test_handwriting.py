import json
from pathlib import Path

import numpy as np
import pytest

from stages.prepare.packing import prepare_dataset
from stages.prepare.params import HandwritingParams
from stages.prepare.sources.handwriting import find_fonts, list_handwriting, read_fonts_file, render_word
from stages.shared.images.image_store import open_images
from stages.shared.runtime.errors import UserError

RAW = Path(__file__).parents[3] / "data" / "raw" / "handwriting"


def params(**values):
    defaults = {"image_size": 64, "train": 4, "test": 3, "unseen": 5, "unseen_count": 5, "unseen_seed": 0}
    return HandwritingParams(source="handwriting", **{**defaults, **values})


@pytest.fixture(scope="module")
def source():
    return read_fonts_file(RAW)


@pytest.fixture
def changed(tmp_path):
    """Write source.json with some of its values changed."""

    def write(change):
        content = json.loads((RAW / "source.json").read_text())
        change(content)
        (tmp_path / "source.json").write_text(json.dumps(content))
        return tmp_path

    return write


def test_the_committed_fonts_are_installed(source):
    fonts = find_fonts(source, RAW)
    assert len(fonts) == 20
    assert all(path.name == source.fonts[label].file for label, path in fonts.items())


def test_words_are_two_or_three_lower_case_letters(source):
    assert len(source.words) > 200
    assert all(w.isascii() and w.islower() and w.isalpha() and len(w) in (2, 3) for w in source.words)


def test_packs_15_seen_and_5_unseen_classes_without_copies(tmp_path):
    report = prepare_dataset(RAW, tmp_path / "out", params(), 0, "handwriting", 10**6)
    images = open_images(tmp_path / "out", "0")
    assert (len(images.seen), len(images.unseen)) == (15, 5)
    assert report.images["0"] == {"train": 60, "test": 45, "unseen": 25}
    assert not any("exact copies" in note for note in report.notes())
    pixels = images.read(np.arange(130))
    assert (pixels.max(axis=(1, 2, 3)) == 255).all()
    assert pixels.min(axis=(1, 2, 3)).max() <= 110


@pytest.mark.parametrize("font", ["great_vibes", "luckiest_guy"])
def test_a_word_fills_the_image_and_stays_inside(source, font):
    path = str(find_fonts(source, RAW)[font])
    for seed in range(10):
        ink = np.asarray(render_word("jog", path, 64, 255, seed)) < 255
        rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
        extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
        assert 0.68 * 64 <= extent <= 0.97 * 64
        assert len(np.unique(np.asarray(render_word("jog", path, 64, 255, seed)))) > 10  # antialiased


def test_an_image_depends_on_its_seed_alone(resources):
    def pixels(seed, **values):
        listing = list_handwriting(RAW, params(**values), seed, resources)
        return {c.sample_id: c.content().tobytes() for c in listing.candidates[:6]}

    assert pixels(0) == pixels(0)
    assert not set(pixels(0).values()) & set(pixels(1).values())
    few, more = pixels(0), pixels(0, train=40, unseen=50)
    assert few["caveat/train/00000"] == more["caveat/train/00000"]


def test_the_background_is_the_fill(source):
    image = np.asarray(render_word("in", str(find_fonts(source, RAW)["caveat"]), 32, 200, 0))
    assert image.shape == (32, 32)
    assert image.max() == 200


def test_a_missing_font_package_or_another_font_names_the_extra(changed, resources):
    for values, found in (({"package": "fontpkg-no-such-family"}, "none"), ({"sha256": "0" * 64}, "another")):
        raw = changed(lambda c, values=values: c["fonts"]["kalam"].update(values))
        with pytest.raises(UserError, match=rf"'kalam' must be .*, found {found}; .*pip install '\.\[handwriting\]'"):
            list_handwriting(raw, params(), 0, resources)


def test_a_damaged_or_missing_source_file_is_named(changed, resources, tmp_path):
    raw = changed(lambda c: c.pop("words"))
    with pytest.raises(UserError, match=r"(?s)source.json: must be as it comes .*words\n.*git checkout"):
        list_handwriting(raw, params(), 0, resources)
    with pytest.raises(UserError, match=r"nowhere/source.json: must be as it comes .*No such file.*git checkout"):
        list_handwriting(tmp_path / "nowhere", params(), 0, resources)
