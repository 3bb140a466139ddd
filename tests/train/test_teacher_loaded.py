"""A teacher from a file: the weights that it holds, and the files that are refused."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_trials import (
    TAUGHT,
    all_of,
    get_teacher,
    never,
    spec,
    splits_of,
    taught,
    teacher,
    trained,
)

from kdsweep.errors import SpecError
from kdsweep.train.evaluate import evaluate
from kdsweep.train.teacher import Teacher
from kdsweep.train.teacher_store import digest_of
from kdsweep.train.weights import save_weights


def logits(master: Teacher) -> torch.Tensor:
    return master.network(all_of(splits_of(TAUGHT).validation)[0])


def digest(path: Path) -> str:
    given = taught(weights=str(path)).teacher
    assert given is not None
    return digest_of(given, data="the same")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", "state_dict.pt"])
def test_loaded_weights_give_the_same_logits(suffix, tmp_path):
    given = teacher().network
    path = tmp_path / f"given{suffix}"
    if suffix == ".safetensors":
        save_weights(given, path)
    else:
        bare = given.state_dict()
        torch.save({"state_dict": bare} if suffix == "state_dict.pt" else bare, path)
    trial = taught(weights=str(path))
    master, card = get_teacher(tmp_path / "store", trial, never)
    found, again = get_teacher(tmp_path / "store", trial, never)
    assert torch.equal(logits(master), logits(teacher()))
    assert torch.equal(logits(found), logits(teacher()))
    assert (card.reused, again.reused, card.epochs) == (False, True, ())
    assert (card.accuracy, card.loss) == evaluate(given, splits_of(trial).validation)


def test_other_weights_under_the_same_path_are_another_teacher(tmp_path):
    path = tmp_path / "given.pt"
    torch.save(teacher().network.state_dict(), path)
    first = digest(path)
    torch.save({k: v + 1 for k, v in teacher().network.state_dict().items()}, path)
    assert digest(path) != first


class Code:
    """Makes a directory where it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.place),))


def refusal(tmp_path: Path, path: Path) -> str:
    with pytest.raises(SpecError) as caught:
        get_teacher(tmp_path / "store", taught(weights=str(path)))
    (said,) = caught.value.problems
    return said


def test_missing_weights_are_refused(tmp_path):
    assert "no file" in (said := refusal(tmp_path, tmp_path / "gone.pt"))
    assert "gone.pt" in said


def test_a_pickle_with_code_is_refused_and_its_code_is_not_run(tmp_path):
    path, place = tmp_path / "evil.pt", tmp_path / "made by the pickle"
    torch.save({"weight": Code(place)}, path)
    assert "evil.pt" in refusal(tmp_path, path)
    assert not place.exists()
    with pytest.raises(SpecError):
        get_teacher(tmp_path / "store", taught(weights=str(path)))
    torch.load(path, weights_only=False)
    assert place.exists()  # What a careless reader would have run.


def test_weights_of_another_architecture_are_refused_with_the_first_tensors(tmp_path):
    path = tmp_path / "other.safetensors"
    save_weights(trained(spec(train={"epochs": 1})).student, path)
    said = refusal(tmp_path, path)
    wanted = "stages.0.0.weight is [5, 1, 3, 3] in the network and [2, 1, 3, 3] in the file"
    assert f"holds the weights of another architecture: {wanted}; " in said
    assert not list((tmp_path / "store").glob("*/teacher.json"))
