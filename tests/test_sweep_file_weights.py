"""A teacher's weights file: of its architecture, or one clear sentence, and never any code run."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from kdsweep.errors import SpecError
from kdsweep.spec import Component, TeacherSpec
from kdsweep.sweep_file import load_trial, to_yaml
from kdsweep.sweep_file.weights import mismatch, shapes_in

STATE = {"layer.weight": torch.zeros(3, 2), "layer.bias": torch.zeros(3)}
SHAPES = {"layer.weight": (3, 2), "layer.bias": (3,)}


class Hostile:
    """Would make a file when unpickled."""

    def __init__(self, made):
        self.made = made

    def __reduce__(self):
        return (Path.touch, (self.made,))


def cnn_state(width):
    from kdsweep import catalog

    return catalog.model(
        Component(name="cnn", width=width, stages=2), shape=(1, 8, 8), num_classes=10
    ).state_dict()


def trial_file(tmp_path, weights):
    path = tmp_path / "trial.yaml"
    trial = {
        "data": "digits",
        "teacher": {"model": {"name": "cnn", "width": 8, "stages": 2}, "weights": str(weights)},
        "student": {"name": "cnn", "width": 4, "stages": 2},
    }
    path.write_text(to_yaml({"trial": trial}))
    return path


def problem(path):
    with pytest.raises(SpecError) as caught:
        load_trial(path)
    (sentence,) = caught.value.problems
    return sentence


def test_shapes_of_both_kinds_of_file(tmp_path):
    save_file(STATE, tmp_path / "a.safetensors")
    torch.save(STATE, tmp_path / "a.pt")
    torch.save({"state_dict": STATE, "epoch": 3}, tmp_path / "nested.pt")
    torch.save(STATE, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for name in ("a.safetensors", "a.pt", "nested.pt", "old.pt"):
        assert shapes_in(tmp_path / name) == SHAPES


def test_mismatch_names_the_first_tensors():
    assert mismatch(SHAPES, dict(SHAPES)) is None
    assert mismatch(SHAPES, {"layer.weight": (3, 4), "head": (1,)}) == (
        "layer.weight is [3, 2] in the network and [3, 4] in the file; "
        "layer.bias is [3] in the network and absent in the file; "
        "head is absent in the network and [1] in the file"
    )
    many = {f"w{n}": (n,) for n in range(5)}
    assert mismatch(many, {}).endswith("; and 2 more")


def test_weights_that_fit(tmp_path):
    torch.save(cnn_state(8), tmp_path / "teacher.pt")
    trial = load_trial(trial_file(tmp_path, tmp_path / "teacher.pt"))
    assert trial.teacher.weights == str(tmp_path / "teacher.pt")


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_weights_of_another_architecture(tmp_path, suffix):
    path = tmp_path / f"teacher.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(cnn_state(16), path)
    found = problem(trial_file(tmp_path, path))
    assert found.startswith(
        f"trial.teacher.weights: {str(path)!r} holds the weights of another architecture than "
        "its model 'cnn': stages.0.0.weight is [8, 1, 3, 3] in the network and "
        "[16, 1, 3, 3] in the file; "
    )


def test_missing_weights(tmp_path):
    path = tmp_path / "none.pt"
    found = problem(trial_file(tmp_path, path))
    assert found == f"trial.teacher.weights: {str(path)!r}: no such file"


def test_what_is_no_file_is_not_said_to_be_missing(tmp_path):
    found = problem(trial_file(tmp_path, tmp_path))
    assert found == f"trial.teacher.weights: {str(tmp_path)!r}: is no ordinary file"


def test_what_the_reader_stumbles_over_is_said_in_words(tmp_path, monkeypatch):
    def stumbles(*arguments, **more):
        raise IndexError("list index out of range")

    path = tmp_path / "teacher.pt"
    path.write_bytes(b"x")
    monkeypatch.setattr(torch, "load", stumbles)
    assert "(it is damaged, or of another kind)" in problem(trial_file(tmp_path, path))


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path):
    path, made = tmp_path / "teacher.pt", tmp_path / "made"
    torch.save({"layer": Hostile(made)}, path)
    found = problem(trial_file(tmp_path, path))
    assert found == (
        f"trial.teacher.weights: {str(path)!r} cannot be read as weights (it holds more than "
        "tensors, which could run code when read); allowed: .safetensors, or a .pt that holds "
        "a state dict of tensors and nothing else"
    )
    path.write_bytes(pickle.dumps(Hostile(made)))
    assert "cannot be read as weights" in problem(trial_file(tmp_path, path))
    assert not made.exists()


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors", "a.bin"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02}", b"{" * 99, bytes(64)])
def test_a_damaged_file_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SpecError, match=r"cannot be read as weights|holds"):
        shapes_in(tmp_path / name)


def test_a_file_without_a_state_dict(tmp_path):
    torch.save([torch.zeros(1)], tmp_path / "a.pt")
    with pytest.raises(SpecError, match="holds list: must be a state dict"):
        shapes_in(tmp_path / "a.pt")


def test_weights_are_found_from_where_the_command_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = TeacherSpec(model=Component(name="cnn"), weights="teacher.pt")
    assert spec.weights == str(tmp_path / "teacher.pt")
    assert TeacherSpec(model=Component(name="cnn"), weights="s3://b/t.pt").weights == "s3://b/t.pt"


def test_a_file_from_before_norms_counted_their_batches_is_good(tmp_path):
    from kdsweep import catalog
    from kdsweep.train.weights import load_into

    resnet = Component(name="resnet", depth=8)
    network, other = (catalog.model(resnet, shape=(1, 8, 8), num_classes=10) for _ in range(2))
    network(torch.randn(4, 1, 8, 8))
    state = {k: v for k, v in network.state_dict().items() if "num_batches" not in k}
    torch.save(state, tmp_path / "old.pth")
    path = tmp_path / "trial.yaml"
    teacher = {"model": {"name": "resnet", "depth": 8}, "weights": str(tmp_path / "old.pth")}
    student = {"name": "cnn", "width": 4, "stages": 2}
    path.write_text(to_yaml({"trial": {"data": "digits", "teacher": teacher, "student": student}}))
    assert load_trial(path).teacher.weights == str(tmp_path / "old.pth")
    load_into(other, state, source="old.pth")
    images = torch.randn(2, 1, 8, 8)
    assert torch.equal(other.eval()(images), network.eval()(images))
    assert mismatch({"n.num_batches_tracked": ()}, {"n.num_batches_tracked": (1,)}) is not None


def test_a_teacher_of_other_classes_is_told_by_the_classes(tmp_path):
    from kdsweep import catalog

    model = Component(name="cnn", width=8, stages=2)
    state = catalog.model(model, shape=(1, 8, 8), num_classes=7).state_dict()
    path = tmp_path / "teacher.pt"
    torch.save(state, path)
    said = problem(trial_file(tmp_path, path))
    start = (
        f"trial.teacher.weights: {str(path)!r} is of other classes than the data: the data have 10 "
        "classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9; the file is of 7 ("
    )
    assert said.startswith(start)
    assert "is [10, 64] in the network and [7, 64] in the file" in said
    assert said.endswith("a teacher must have been trained on the classes of the data")


def test_a_checkpoint_is_told_which_of_its_entries_to_save(tmp_path):
    path, alone = tmp_path / "last.pt", tmp_path / "last_alone.pt"
    state = cnn_state(8)
    optimizer = {"state": {}, "param_groups": [{"lr": 0.1}]}
    torch.save({"epoch": 3, "model": state, "optimizer": optimizer}, path)
    assert problem(trial_file(tmp_path, path)) == (
        f"trial.teacher.weights: {str(path)!r} holds dict with the keys 'epoch', 'model', "
        "'optimizer': must be a state dict, a mapping of names to tensors; 'model' holds one: save "
        f"it by itself, with torch.save(torch.load({str(path)!r})['model'], {str(alone)!r}), and "
        "name that file"
    )
    torch.save(torch.load(path)["model"], alone)
    assert load_trial(trial_file(tmp_path, alone)).teacher.weights == str(alone)
    torch.save({"model": state, "ema": state, **{f"k{n}": n for n in range(20)}}, path)
    said = problem(trial_file(tmp_path, path))
    assert "'k7' and 12 more: must be" in said
    assert "'model' and 'ema' hold one: save the one you mean by itself" in said
    torch.save({"epoch": 3, "loss": torch.zeros(2)}, path)
    assert problem(trial_file(tmp_path, path)).endswith("a mapping of names to tensors")
