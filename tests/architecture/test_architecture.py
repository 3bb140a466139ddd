"""What holds for the package as a whole: imports, sizes of files, no pickle that is run."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "kdsweep"
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 300
# What reads a pickle, or YAML with the classes that a file names.
UNSAFE = {
    "pickle.load", "pickle.loads", "pickle.Unpickler", "cloudpickle.load", "cloudpickle.loads",
    "dill.load", "dill.loads", "joblib.load", "shelve.open", "marshal.load", "marshal.loads",
    "yaml.load", "yaml.unsafe_load", "yaml.full_load", "pandas.read_pickle", "eval", "exec",
    "os.system",
}  # fmt: skip


def test_there_are_files_to_look_at():
    assert len(FILES) > 50


def test_imports_point_down():
    """The contracts of ``[tool.importlinter]``; what breaks one is in the message."""
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout
    assert "4 kept" in done.stdout


def imported(path):
    """Every module that a file imports, in functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module


@pytest.mark.parametrize(
    ("library", "rooms"), [("ray", {"search"}), ("optuna", {"search"}), ("mlflow", {"tracking"})]
)
def test_a_library_is_imported_in_its_room_only(library, rooms):
    users = {
        path.relative_to(PACKAGE).parts[0]
        for path in FILES
        if any(name.split(".")[0] == library for name in imported(path))
    }
    # The command line serves the user interface that MLflow brings.
    assert users - {"cli"} == rooms


def test_files_are_short():
    lengths = {path: len(path.read_text().splitlines()) for path in FILES}
    assert [path for path, length in lengths.items() if length > LONGEST] == []


def test_no_file_is_read_in_a_way_that_runs_what_is_in_it():
    found = {path: unsafe_calls(path.read_text()) for path in FILES}
    assert {path: calls for path, calls in found.items() if calls} == {}


def unsafe_calls(source):
    """Lines with a call of ``UNSAFE``, or of ``torch.load`` without ``weights_only=True``."""
    tree = ast.parse(source)
    full = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            full |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            full |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        first, dot, rest = ast.unparse(node.func).partition(".")
        name = full.get(first, first) + dot + rest
        options = {option.arg: ast.unparse(option.value) for option in node.keywords}
        if name in UNSAFE or (name == "torch.load" and options.get("weights_only") != "True"):
            found.append((node.lineno, name))
        if options.get("shell") == "True" or options.get("allow_pickle") == "True":
            found.append((node.lineno, name))
    return found


@pytest.mark.parametrize(
    "line",
    [
        "import pickle; pickle.load(f)",
        "import pickle as p; p.loads(b)",
        "from pickle import loads; loads(b)",
        "import torch; torch.load(f)",
        "import torch; torch.load(f, weights_only=False)",
        "from torch import load as read; read(f, map_location='cpu')",
        "import yaml; yaml.load(f, Loader=yaml.Loader)",
        "eval(text)",
        "import numpy as np; np.load(f, allow_pickle=True)",
        "import subprocess; subprocess.run(text, shell=True)",
    ],
)
def test_the_scan_finds_each_of_them(line):
    assert len(unsafe_calls(line)) == 1


def test_the_scan_lets_the_safe_ways_through():
    lines = (
        "import json, torch, numpy as np\nfrom ruamel.yaml import YAML\n"
        "json.load(f)\ntorch.load(f, weights_only=True)\nnp.load(f)\nYAML(typ='safe').load(f)\n"
    )
    assert unsafe_calls(lines) == []


def test_test_files_have_names_of_their_own():
    """Without packages in tests/, pytest imports them by their names alone, benchmarks too."""
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")]
    names = [path.stem for path in files if path.stem != "conftest"]
    assert sorted(names) == sorted(set(names))
    assert list((ROOT / "tests").rglob("__init__.py")) == []
