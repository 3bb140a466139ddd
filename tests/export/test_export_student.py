"""The student of a trial as a network: from its record and its weights, or why not."""

import sys

import pytest
import torch
from kept_students import TRIAL, kept
from object_store import another_machine
from run_records import run_meta, trial_result
from torch import nn

from kdsweep.errors import ResultError
from kdsweep.export.student import student_of
from kdsweep.results.at_hand import run_at_hand
from kdsweep.results.store import RunStore
from kdsweep.storage.copies import root_at_hand
from kdsweep.train.weights import save_weights


def test_the_student_is_the_network_whose_weights_were_kept(tmp_path):
    store, result, network = kept(tmp_path)
    before = torch.random.get_rng_state()
    student = student_of(store, result).network
    images = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(student(images), network.eval()(images))
    assert not student.training
    assert torch.equal(torch.random.get_rng_state(), before)


def test_weights_that_are_not_kept_are_trained_again_with_a_command(tmp_path):
    store, result, _ = kept(tmp_path, weights=None, status="pruned")
    with pytest.raises(ResultError) as refused:
        student_of(store, result)
    file = store.trial_file("t0000")
    assert str(refused.value) == (
        "trial 0 (kd w0): no weights are kept of a trial that is pruned; "
        f"`kdsweep trial {file} --weights student.safetensors` trains it again"
    )


def test_weights_that_are_gone_or_damaged_or_a_link_are_refused(tmp_path):
    store, result, _ = kept(tmp_path)
    path = store.weights_of("t0000")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ResultError, match=r"student\.safetensors: is damaged .* trains it again"):
        student_of(store, result)
    path.unlink()
    with pytest.raises(ResultError, match=r"is not there; `kdsweep trial .* trains it again"):
        student_of(store, result)
    elsewhere = tmp_path / "elsewhere.safetensors"
    elsewhere.write_bytes(content)
    path.symlink_to(elsewhere)
    with pytest.raises(ResultError, match="is a link, which could lead anywhere"):
        student_of(store, result)


def test_weights_of_another_architecture_are_refused_by_name(tmp_path):
    store, result, _ = kept(tmp_path)
    save_weights(nn.Linear(2, 3), store.weights_of("t0000"))
    with pytest.raises(ResultError, match="the weights of another architecture: "):
        student_of(store, result)


def test_a_class_of_ones_own_that_is_gone_is_named(tmp_path, monkeypatch):
    module = tmp_path / "their_networks.py"
    module.write_text(
        "import torch\n"
        "class Net(torch.nn.Linear):\n"
        "    def __init__(self, num_classes): super().__init__(8, num_classes)\n"
        "    def forward(self, images): return super().forward(images.mean(dim=(1, 2)))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    trial = {**TRIAL, "student": {"name": "their_networks:Net"}}
    store, result, network = kept(tmp_path, trial)
    images = torch.randn(2, 1, 8, 8)
    assert torch.equal(student_of(store, result).network(images), network(images))
    monkeypatch.delitem(sys.modules, "their_networks")
    module.unlink()
    with pytest.raises(ResultError) as refused:
        student_of(store, result)
    assert "trial 0 (kd w0): the student cannot be built here: 'their_networks:Net' " in str(
        refused.value
    )
    assert "must be importable where kdsweep runs" in str(refused.value)


def test_a_teacher_is_no_student(tmp_path):
    store, result, _ = kept(tmp_path, role="teacher")
    with pytest.raises(ResultError, match="is a teacher, and no student: name a trial"):
        student_of(store, result)


def test_a_record_of_another_version_is_refused_with_the_path(tmp_path):
    store, result, _ = kept(tmp_path)
    other = result.model_copy(update={"trial": {**result.trial, "seed": -1}})
    with pytest.raises(ResultError, match="its record cannot be used: seed: -1 is not allowed"):
        student_of(store, other)


def test_weights_in_an_object_store_are_read_from_there(store_at, monkeypatch, tmp_path):
    _, result, network = kept(tmp_path)
    meta = run_meta("small", status="running")
    store = RunStore.create(root_at_hand(store_at) / "small", meta=meta, sweep_text="{}\n")
    with store.hold():
        store.write(result)
        save_weights(network, store.weights_of("t0000"))
    with another_machine(monkeypatch, tmp_path):
        found = RunStore.open(run_at_hand(f"{store_at}/small"))
        images = torch.randn(2, 1, 8, 8)
        assert torch.equal(student_of(found, found.read()[0]).network(images), network(images))


def test_weights_that_are_gone_from_an_object_store_are_trained_again(store_at, tmp_path):
    meta = run_meta("small", status="running")
    store = RunStore.create(root_at_hand(store_at) / "small", meta=meta, sweep_text="{}\n")
    _, result, _ = kept(tmp_path)
    with store.hold():
        store.write(result)
    with pytest.raises(ResultError, match=r"s3://.*: is not there; `kdsweep trial .* again"):
        student_of(store, result)


def test_a_trial_that_runs_has_no_weights_yet(tmp_path):
    store, result, _ = kept(tmp_path)
    running = trial_result(0, trial=result.trial, status="running", weights=None)
    with pytest.raises(ResultError, match="is still being trained: its weights are written at"):
        student_of(store, running)
