"""What is made before all trials, and whether it is what it was."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_trials import CPU, OF_TEACHER, go_on, never, spec, splits_of, taught

from kdsweep.results.latency import Latency
from kdsweep.spec import TrialSpec
from kdsweep.train.outcome import Outcome
from kdsweep.train.session import Session


def prepared(folder, trial: TrialSpec, report=go_on, **expected: str) -> Outcome:
    return Session(device=CPU, teachers=folder).prepare(trial, report, expected)


def found(outcome: Outcome) -> dict[str, str]:
    return {"data": outcome.data, "teacher": outcome.teachers[0]["digest"]}


def test_data_and_teacher_that_are_as_they_were_are_gone_on_with(tmp_path):
    first = prepared(tmp_path, taught())
    assert first.data == splits_of(taught()).for_teachers
    latency = Latency.model_validate(first.teachers[0]["latency"])
    assert (latency.kind, [each.batch for each in latency.batches]) == ("cpu", [1])
    assert latency.batches[0].p50_ms > 0
    again = prepared(tmp_path, taught(), never, **found(first))
    assert (again.status, again.changed) == ("complete", ())
    assert again.teachers[0]["reused"]


def test_without_a_teacher_there_are_the_data(tmp_path):
    outcome = prepared(tmp_path, spec())
    assert (outcome.status, outcome.teachers) == ("complete", ())
    assert outcome.data == splits_of(spec()).for_teachers
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("trial", "what"),
    [
        (taught(data={"limit": 80}), "the data have changed since the sweep began: "),
        (taught(seed=3), "the teacher has changed since the sweep began: "),
        (taught(model={**OF_TEACHER, "width": 3}), "the teacher has changed since the sweep began"),
    ],
)
def test_others_are_told_and_nothing_is_trained(trial, what, tmp_path):
    expected = found(prepared(tmp_path / "a", taught()))
    outcome = prepared(tmp_path / "b", trial, never, **expected)
    (sentence,) = outcome.changed
    assert outcome.status == "failed"
    assert sentence.startswith(what)
    assert sentence.endswith("; --despite-changes goes on all the same")
    assert not (tmp_path / "b").exists()


def test_other_weights_in_the_same_file_are_another_teacher(tmp_path):
    made = prepared(tmp_path / "t", taught())
    digest = made.teachers[0]["digest"]
    file = tmp_path / "given.safetensors"
    weights = load_file(tmp_path / "t" / digest / "teacher.safetensors")
    save_file(weights, file)
    trial = taught(weights=str(file))
    expected = found(prepared(tmp_path / "u", trial))
    assert prepared(tmp_path / "u", trial, **expected).changed == ()
    name = next(iter(weights))
    save_file(weights | {name: torch.zeros_like(weights[name])}, file)
    (sentence,) = prepared(tmp_path / "u", trial, **expected).changed
    assert "(its weights, model or training)" in sentence
    assert replace(made).status == "complete"
