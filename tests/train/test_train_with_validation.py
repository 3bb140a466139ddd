"""Students that learn from the validation data, and test data that are opened at the end alone."""

import json
import math

import pytest
import torch
from tiny_trials import CPU, TAUGHT, curve, go_on, never, spec, splits_of

from kdsweep import catalog
from kdsweep.data.base import Split, Splits
from kdsweep.errors import SpecError
from kdsweep.results.record import EpochMetrics
from kdsweep.sweep_file.weights import load_state
from kdsweep.train.evaluate import evaluate
from kdsweep.train.loop import Verdict
from kdsweep.train.session import Session
from kdsweep.train.weights import load_into

BOTH = {"with_validation": True}


@pytest.fixture
def session(tmp_path):
    return Session(device=CPU, teachers=tmp_path / "teachers")


class Opened(Split):
    """A test split that counts how often it was read, and after how many epochs."""

    def __init__(self, split, epochs):
        self._split, self._epochs, self.read_after = split, epochs, []
        self.num_samples, self.labels = split.num_samples, split.labels

    def shuffled(self, **given):
        raise AssertionError("trained on test data")

    def in_order(self, **given):
        self.read_after.append(len(self._epochs))
        return self._split.in_order(**given)


@pytest.fixture
def watched(session, monkeypatch):
    """The epochs that a session's trials report, and the test split that it reads."""
    epochs: list[EpochMetrics] = []
    opened = Opened(splits_of(TAUGHT).test, epochs)
    load = catalog.find("data", "digits").load

    def instead(self, device):
        found = load(self, device)
        return Splits(
            found.info, found.train, found.validation, opened, found.num_views, found.fingerprint,
            found.of_any_views,
        )  # fmt: skip

    monkeypatch.setattr(catalog.find("data", "digits"), "load", instead)
    return epochs, opened


def test_an_ordinary_trial_never_opens_the_test_data(session, watched):
    epochs, opened = watched
    prepared = session.prepare(TAUGHT, go_on)
    outcome = session.run(TAUGHT, lambda e: epochs.append(e) or Verdict.CONTINUE)
    assert outcome.status == "complete"
    assert opened.read_after == []
    said = json.dumps([prepared.plain(), outcome.plain()])
    assert "test_" not in said


def test_a_confirmation_opens_them_once_for_each_at_its_end(session, watched, tmp_path):
    epochs, opened = watched
    place = tmp_path / "student.safetensors"
    (card,) = session.prepare(TAUGHT, go_on, opens_test=True).teachers
    assert opened.read_after == [0]
    outcome = session.run(
        TAUGHT, lambda e: epochs.append(e) or Verdict.CONTINUE, weights=place, opens_test=True
    )
    assert opened.read_after == [0, TAUGHT.train.epochs]
    network = catalog.model_for(TAUGHT.student, splits_of(TAUGHT).info)
    load_into(network, load_state(place), source=place)
    found = evaluate(network.eval(), splits_of(TAUGHT).test)
    assert (outcome.metrics["test_accuracy"], outcome.metrics["test_loss"]) == found
    assert outcome.metrics["accuracy"] == epochs[-1].accuracy
    assert 0 <= card["test_accuracy"] <= 1


def test_one_that_is_cut_short_is_not_tested(session, watched):
    _, opened = watched
    outcome = session.run(TAUGHT, lambda epoch: Verdict.STOP, opens_test=True)
    assert outcome.status == "stopped"
    assert opened.read_after == []


def test_without_test_data_nothing_begins(session, watched, tmp_path):
    _, opened = watched
    opened.num_samples = 0
    outcome = session.prepare(TAUGHT, never, opens_test=True)
    assert outcome.changed == ("the data set has no test data, so there is nothing to open",)
    assert not (tmp_path / "teachers").exists()


def test_opening_the_test_data_changes_nothing_that_is_trained(tmp_path):
    curves = []
    for opens in (False, True):
        seen: list[EpochMetrics] = []
        Session(device=CPU, teachers=tmp_path / "t").run(
            TAUGHT, lambda e, seen=seen: seen.append(e) or Verdict.CONTINUE, opens_test=opens
        )
        curves.append(curve(tuple(seen)))
    assert curves[0] == curves[1]


def test_validation_data_are_learned_from_and_say_nothing(session):
    trial = TAUGHT.model_copy(update=BOTH)
    seen: list[EpochMetrics] = []
    outcome = session.run(trial, lambda e: seen.append(e) or Verdict.CONTINUE, opens_test=True)
    assert outcome.status == "complete", outcome.error
    assert set(outcome.metrics) & {"accuracy", "loss"} == set()
    assert 0 <= outcome.metrics["test_accuracy"] <= 1
    assert all(math.isnan(each.accuracy) and math.isnan(each.loss) for each in seen)
    assert all(math.isfinite(each.train["total"]) for each in seen)
    plain = splits_of(TAUGHT)
    assert session.splits(trial).train.num_samples == (
        plain.train.num_samples + plain.validation.num_samples
    )


def test_the_teacher_stays_the_one_that_has_not_seen_them(session, tmp_path):
    session.prepare(TAUGHT, go_on)
    outcome = session.run(TAUGHT.model_copy(update=BOTH), go_on, on_teacher=never)
    assert outcome.status == "complete", outcome.error
    (teacher,) = (tmp_path / "teachers").iterdir()
    # What it says of the validation data is stored apart from what it says of the others.
    session.run(TAUGHT, go_on, on_teacher=never)
    assert len(list((teacher / "outputs").iterdir())) == 2
    assert "teacher stored" in outcome.computed


def test_the_same_outputs_are_read_by_a_trial_with_another_seed(session, tmp_path):
    session.run(TAUGHT, go_on)
    (outputs,) = (tmp_path / "teachers").glob("*/outputs")
    before = {path: path.stat().st_mtime_ns for path in outputs.rglob("*.f16")}
    session.run(TAUGHT.model_copy(update={"seed": 5}), go_on, on_teacher=never, opens_test=True)
    assert {path: path.stat().st_mtime_ns for path in outputs.rglob("*.f16")} == before
    assert before


def test_splits_that_do_not_know_how_are_not_joined():
    split = Opened(splits_of(TAUGHT).test, [])
    with pytest.raises(SpecError, match="with_validation: a Opened cannot be joined"):
        split.joined(split)
    with pytest.raises(SpecError, match="a InMemorySplit cannot be joined"):
        splits_of(spec()).train.joined(split)


def test_joined_data_are_on_both_splits(session):
    plain = splits_of(TAUGHT)
    both = plain.with_validation()
    assert torch.equal(both.train.labels, torch.cat([plain.train.labels, plain.validation.labels]))
    names = {plain.fingerprint, both.fingerprint, plain.for_teachers, both.for_teachers}
    assert len(names) == len({plain.fingerprint, plain.for_teachers}) * 2
