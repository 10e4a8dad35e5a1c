"""The installed package as a library: one copy of the code, the same answer in every folder, results that travel."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow import ROOT

SCRIPT = """
import pickle, sys
import numpy as np
import whichlayer as wl

random, labels = np.random.default_rng(0), np.repeat(np.arange(6), 12)
classes = random.normal(size=(6, 8)) * np.geomspace(1, 30, 6)[:, None]  # of unlike lengths
layers = {name: classes[labels] + sd * random.normal(size=(72, 8)) for name, sd in (("early", 9.0), ("late", 3.0))}
result = wl.score(layers, [f"c{label}" for label in labels], metrics=["map_at_r", "nmi"])
assert "stages" not in sys.modules
print(result.table.to_json(double_precision=15), wl.__version__)
pickle.dump((result, result.recommend("retrieval"), wl.UserError("a")), open(sys.argv[1], "wb"))
"""
LOAD = """
import pickle, sys
import whichlayer
result, named, error = pickle.load(open(sys.argv[1], "rb"))
assert isinstance(error, whichlayer.UserError) and isinstance(error, ValueError)
assert str(result).startswith("data, embeddings: ") and named == result.recommend("retrieval")
print(result.table.to_json(double_precision=15), whichlayer.__version__)
"""


@pytest.fixture
def python(site: Path, tmp_path: Path):
    """Run a script with the installed package, in a folder."""

    def run(folder: Path, text: str, *args: str) -> str:
        script = tmp_path / "script.py"
        script.write_text(text)
        done = subprocess.run(
            [sys.executable, script, *args],
            cwd=folder, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_a_folder_changes_no_answer_and_results_are_read_in_another(python, tmp_path: Path):
    empty, project = tmp_path / "empty", tmp_path / "project"
    empty.mkdir()
    (project / "stages" / "commands").mkdir(parents=True)
    (project / "stages" / "__init__.py").write_text("raise SystemExit('it ran')\n")
    (project / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    params = (ROOT / "params.yaml").read_text()
    assert "  normalize: l2" in params
    (project / "params.yaml").write_text(params.replace("  normalize: l2", "  normalize: none"))
    pickled = str(tmp_path / "result.pkl")
    answers = [python(folder, SCRIPT, pickled) for folder in (project, empty)]
    assert answers[0] == answers[1]
    assert python(project, LOAD, pickled) == answers[0]


EMBED = """
import numpy as np
import torch
import whichlayer as wl
from PIL import Image

network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 5, 3))
images = np.zeros((2, 8, 8, 3), np.uint8)
for _ in range(2):  # the first call imports the package's own part of this name
    layers = wl.embed(network, images, transform=lambda image: torch.zeros(3, 8, 8))
print([X.shape for X in layers.values()])
random, labels = np.random.default_rng(0), np.repeat(["a", "b"], 4)
images = random.integers(0, 255, (8, 32, 32, 3)).astype(np.uint8)
layers = wl.embed("efficientnet_lite0", images, image_size=32)
wl.choose_representation(layers, labels).fit().save("made.safetensors")
Image.fromarray(images[0]).save("new.png")
"""
FEATURES = """
import sys
from whichlayer.commands.launcher import main
sys.argv = ["whichlayer", "features", "new.png", "--representation", "made.safetensors", "--out", "new.npz"]
main()
"""


def test_embed_can_be_called_again_and_what_is_chosen_needs_no_project(python, tmp_path: Path):
    assert python(tmp_path, EMBED) == "[(2, 4), (2, 5)]\n"
    python(tmp_path, FEATURES)
    assert (tmp_path / "new.npz").is_file()


def test_it_knows_its_names_before_it_imports_anything(python, tmp_path: Path):
    code = "import whichlayer as wl, sys; print(dir(wl), {'numpy', 'stages', 'whichlayer.library'} & {*sys.modules})"
    names = ["Chart", "Recommendation", "Representation", "RepresentationChoice", "Result", "UserError", "__version__"]
    names += ["choose_representation", "embed", "score"]
    assert python(tmp_path, code) == f"{names} set()\n"


def test_init_makes_a_project_with_all_the_code_of_the_clone(python, tmp_path: Path):
    code = "import sys; from whichlayer.commands.launcher import main; sys.argv[1:] = ['init', 'study']; main()"
    config = f"import os; os.environ['XDG_CONFIG_HOME'] = {str(tmp_path / 'config')!r}\n"
    assert python(tmp_path, config + code).startswith("next: cd study && dvc repro")
    made = {path.relative_to(tmp_path / "study") for path in (tmp_path / "study" / "stages").rglob("*.*")}
    code = {path.relative_to(ROOT) for path in (ROOT / "stages").rglob("*.*") if "__pycache__" not in path.parts}
    assert made == code
    assert all((tmp_path / "study" / path).read_bytes() == (ROOT / path).read_bytes() for path in code)
    assert (tmp_path / "config" / "whichlayer" / "trusted").read_text().endswith(f" {tmp_path / 'study'}\n")
