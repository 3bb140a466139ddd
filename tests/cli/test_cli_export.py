"""``kdsweep export`` as a person calls it."""

import subprocess
import sys

import pytest
from kept_students import kept
from typer.testing import CliRunner

from kdsweep.cli import app
from kdsweep.errors import ResultError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    store, _, _ = kept(tmp_path_factory.mktemp("runs"), steps=3)
    return store


def export(store, *more):
    arguments = ["export", str(store.directory), *map(str, more)]
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "80"})


def test_the_most_accurate_of_the_front_is_exported_unless_a_trial_is_named(run, tmp_path):
    done = export(run, "--format", "pt2", "--out", tmp_path / "one")
    assert done.exit_code == 0, done.output
    first, *_ = done.stdout.splitlines()
    assert first.startswith("trial 0 (kd w0), the most accurate of the front (`kdsweep select`")
    assert "student.pt2" in done.stdout
    assert done.stdout.splitlines()[-2:] == [
        f"written to {tmp_path}/one", "README.md in it says how to load it"
    ]  # fmt: skip
    assert max(map(len, done.stdout.splitlines()[:-2])) <= 80
    assert max(map(len, done.stderr.splitlines())) <= 80
    assert "loading PyTorch" not in done.stderr  # which is for a terminal
    assert "timing each file" in done.stderr
    assert "warning: no licence is stated in the model card: --licence TEXT does" in done.stderr
    named = export(run, "t0000", "--format", "pt2", "--licence", "MIT", "--out", tmp_path / "two")
    assert named.exit_code == 0
    assert "most accurate" not in named.stdout
    assert "licence" not in named.stderr
    assert "\nMIT\n" in (tmp_path / "two" / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--out", ""), "--out is empty: name the folder to make, or leave it out"),
        (("5", "--format", "pt2"), "no trial has the number 5 (numbers go up to 0; "),
        (("--format", "pt2", "--int8"), "--int8 is of ONNX files alone"),
        (("--format", "gguf"), "format 'gguf' is not allowed"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_anything_is_loaded(run, arguments, said):
    done = export(run, *arguments)
    assert isinstance(done.exception, ResultError)
    assert str(done.exception).startswith(said)
    assert not (run.directory / "export").exists()


def test_without_a_format_it_writes_safetensors_into_a_folder_of_the_run(tmp_path):
    store, _, _ = kept(tmp_path, steps=3)
    done = export(store)
    assert done.exit_code == 0, done.output
    (folder,) = (store.directory / "export").iterdir()
    assert folder.name == "small-t0000-safetensors"
    assert {"student.safetensors", "student.py"} <= {path.name for path in folder.iterdir()}


def test_the_run_is_looked_at_before_the_format(tmp_path):
    done = CliRunner().invoke(app, ["export", str(tmp_path / "nowhere"), "--format", "gguf"])
    assert str(done.exception).startswith(
        f"{tmp_path / 'nowhere'}: does not exist; a run directory"
    )


def test_an_export_that_disagrees_ends_with_code_2_and_one_line(tmp_path):
    (tmp_path / "noise.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Linear):\n"
        "    def __init__(self, num_classes): super().__init__(8, num_classes)\n"
        "    def forward(self, images):\n"
        "        logits = super().forward(images.mean(dim=(1, 2)))\n"
        "        return logits + torch.rand_like(logits)\n"
    )
    sys.path.append(str(tmp_path))
    try:
        store, _, _ = kept(
            tmp_path,
            {
                "data": {"name": "digits"},
                "student": {"name": "noise:Net"},
                "strategy": {"name": "none"},
            },
        )
    finally:
        sys.path.remove(str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "kdsweep", "export", str(store.directory), "--format", "pt2"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "student.pt2 disagrees with the student, so nothing was written: of " in error
    assert "Traceback" not in done.stderr
    assert list((store.directory / "export").iterdir()) == []


def test_a_run_without_a_front_asks_for_a_trial(tmp_path):
    store, _, _ = kept(tmp_path, status="failed", weights=None)
    done = export(store, "--format", "pt2")
    assert str(done.exception) == f"{store.place}: nothing is on the front yet: name a trial"
