"""The trials to begin with: controls, the trial as written, published defaults."""

import pytest

from kdsweep.search.starts import starts
from kdsweep.sweep_file import load

BASE = """
name: small
trial:
  data: {{name: digits}}
  {teacher}
  student: {{name: cnn, width: 4, stages: 2, hidden: 12}}
  strategy: {strategy}
  train: {{epochs: 1, lr: 1.0e-3}}
space:
{space}
"""
TEACHER = "teacher: {model: {name: cnn, width: 8, stages: 2}, train: {epochs: 1}}"


@pytest.fixture
def found(tmp_path):
    """The starts of a sweep as ``(role, strategy, params)``."""

    def of(space, *, teacher=TEACHER, strategy="{name: kd, temperature: 2.0}"):
        path = tmp_path / "sweep.yaml"
        text = BASE.format(teacher=teacher, strategy=strategy, space=f"  {space}")
        path.write_text(text)
        changes = [(s.role, s.changes.get("strategy", {}).get("name"), s.params)
                   for s in starts(load(path))]  # fmt: skip
        return changes

    return of


def test_controls_inside_the_space_have_a_place_in_it(found):
    space = "strategy: {choice: [none, {name: kd, temperature: {uniform: [1, 9]}}]}"
    plain = {"strategy": "kd", "strategy[kd].temperature": 4.0}
    written = {"strategy": "kd", "strategy[kd].temperature": 2.0}
    # The space leaves alpha at its default, and the trial too.
    assert found(space) == [
        ("control", "none", {"strategy": "none"}),
        ("control", "kd", plain),
        ("trial", None, written),
    ]


def test_controls_outside_the_space_run_without_a_place(found):
    space = "strategy.temperature: {uniform: [1, 3]}"
    assert found(space) == [
        ("control", "none", None),
        ("control", "kd", None),
        ("trial", None, {"strategy.temperature": 2.0}),
    ]


def test_without_a_teacher_the_only_control_is_no_distillation(found):
    starts_found = found("student.width: {choice: [2, 4]}", teacher="", strategy="{name: none}")
    assert starts_found == [("control", "none", {"student.width": 4})]


def test_where_the_space_does_not_allow_a_published_default_the_middle_is_tried(found):
    space = (
        "strategy: {choice: [{name: fitnet, weight: {uniform: [0.5, 2]}}, "
        "{name: attention_transfer, weight: {uniform: [2, 3]}}]}"
    )
    # Both weights are 1 by default.
    assert found(space) == [
        ("control", "none", None),
        ("control", "kd", None),
        ("trial", "fitnet", {"strategy": "fitnet", "strategy[fitnet].weight": 1.0}),
        (
            "trial",
            "attention_transfer",
            {"strategy": "attention_transfer", "strategy[attention_transfer].weight": 2.5},
        ),
    ]


def test_a_trial_as_written_that_lies_outside_is_left_out(found):
    roles = [role for role, _, _ in found("student.width: {choice: [2, 8]}")]
    assert roles == ["control", "control"]


def test_no_place_is_started_at_twice(found):
    """The trial as written is plain kd, which is a control already."""
    space = "strategy: {choice: [none, kd]}"
    assert found(space, strategy="kd") == [
        ("control", "none", {"strategy": "none"}),
        ("control", "kd", {"strategy": "kd"}),
    ]


def test_the_end_of_alpha_is_tried_where_it_varies(found):
    space = "strategy: {choice: [none, {name: kd, alpha: {uniform: [0, 1]}}, fitnet]}"
    assert found(space, strategy="kd") == [
        ("control", "none", {"strategy": "none"}),
        ("control", "kd", {"strategy": "kd", "strategy[kd].alpha": 0.1}),
        ("trial", "fitnet", {"strategy": "fitnet"}),
        ("trial", "kd", {"strategy": "kd", "strategy[kd].alpha": 0.0}),
    ]


@pytest.mark.parametrize(("low", "expected"), [(0, [0.0]), (0.1, [])])
def test_and_where_it_varies_alone(found, low, expected):
    starts_found = found(f"strategy.alpha: {{uniform: [{low}, 0.5]}}", strategy="kd")
    # The trial as written is the second control, with an alpha of 0.1.
    trials = [params["strategy.alpha"] for role, _, params in starts_found if role == "trial"]
    assert trials == expected


def test_a_control_that_differs_in_what_the_space_leaves_alone_has_no_place_in_it(found):
    """Else the sampler would be told that the trial's own strategy did as well as none."""
    assert found("student.width: {choice: [2, 4]}") == [
        ("control", "none", None),
        ("control", "kd", None),
        ("trial", None, {"student.width": 4}),
    ]


def test_a_trial_as_written_may_have_an_extra_whose_settings_vary(found):
    extra = "extra: {fitnet: {hint: {choice: [middle, last]}}}"
    starts_found = found(
        f"strategy: {{choice: [none, {{name: kd, {extra}}}]}}",
        strategy="{name: kd, extra: {fitnet: {hint: last}}}",
    )
    assert starts_found == [
        ("control", "none", {"strategy": "none"}),
        ("control", "kd", None),
        ("trial", None, {"strategy": "kd", "strategy[kd].extra.fitnet.hint": "last"}),
    ]


def test_each_of_two_members_of_one_name_is_tried(found):
    """The second kd has an extra, with a default of its own, and no default for its temperature."""
    space = """student.width: {int: [3, 4]}
  strategy:
    choice:
      - none
      - {name: kd, alpha: {uniform: [0, 0.5]}}
      - name: kd
        temperature: {loguniform: [9, 16]}
        extra: {choice: [{fitnet: {weight: {loguniform: [0.1, 10]}}}, {fitnet: {hint: last}}]}
      - {name: kd, alpha: {uniform: [0.6, 1]}, extra: {fitnet: {weight: 3}}}"""
    second = "strategy[kd#3]"
    starts_found = found(space)
    assert ("trial", "kd", {
        "student.width": 4, "strategy": "kd#3", f"{second}.temperature": pytest.approx(12.0),
        f"{second}.extra": "option 1", f"{second}.extra[option 1].fitnet.weight": 1.0,
    }) in starts_found  # fmt: skip
    assert ("trial", "kd", {
        "student.width": 4, "strategy": "kd#4", "strategy[kd#4].alpha": pytest.approx(0.8),
    }) in starts_found  # fmt: skip
    tried = [params["strategy"] for _, _, params in starts_found if params]
    assert set(tried) == {"none", "kd#2", "kd#3", "kd#4"}


def test_of_what_the_trial_says_outside_the_space_the_middle_is_taken(found):
    starts_found = found(
        "student.width: {int: [6, 10]}\n  strategy: "
        "{choice: [{name: fitnet}, {name: attention_transfer}]}"
    )
    assert [params for _, _, params in starts_found] == [
        None, None,
        {"student.width": 8, "strategy": "fitnet"},
        {"student.width": 8, "strategy": "attention_transfer"},
    ]  # fmt: skip


def test_a_member_that_cannot_be_trained_at_its_middle_is_left_to_the_sampler(found, monkeypatch):
    from kdsweep.errors import SpecError
    from kdsweep.search import starts as module

    at = module.at

    def picky(trial, changes):
        if changes.get("strategy", {}).get("weight") == 2.5:
            raise SpecError("strategy: no")
        return at(trial, changes)

    monkeypatch.setattr(module, "at", picky)
    starts_found = found("strategy: {choice: [none, {name: fitnet, weight: {uniform: [2, 3]}}]}")
    assert [name for _, name, _ in starts_found] == ["none", "kd"]
