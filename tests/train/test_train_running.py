"""Precision, memory format and compilation: every setting trains, and what was chosen is said."""

from functools import partial

import pytest
import torch
from tiny_trials import (
    CPU,
    OF_TEACHER,
    STUDENT,
    VIEWS,
    curve,
    go_on,
    num_hooks,
    numbers,
    same_state,
    spec,
    state,
    store_in,
    teacher,
    trained,
)
from torch import nn

from kdsweep.batch import Batch
from kdsweep.errors import TrialError
from kdsweep.losses.logits import kl_divergence
from kdsweep.train import bf16_probe
from kdsweep.train.memory_format import ChannelsLast
from kdsweep.train.ranks import ALONE
from kdsweep.train.running import PLAIN, Running, chosen
from kdsweep.train.session import Session
from kdsweep.train.warned import warnings_heard

PLAINLY = {"precision": "float32", "memory_format": "contiguous", "compile": "none"}
WIDE = {"name": "cnn", "width": 8, "stages": 2, "hidden": 8, "batch_norm": True}
NARROW = {"name": "resnet", "depth": 8, "width": 4}
"""Its shortcuts are what a CPU must not compute the gradient of with channels last."""
VIT = {"name": "vit", "width": 8, "depth": 2, "heads": 2, "patch": 4}
ONLINE = {"name": "online", "peers": 1}
MADE = {"name": "data_free", "batches_per_epoch": 2, "width": 2, "above_chance": None,
        "least_variety": 0}  # fmt: skip


@pytest.fixture
def compiling(monkeypatch):
    """The compiler without its C++: it traces as ever, and its graphs are called."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    yield
    torch.compiler.reset()


def batch_for(student):
    network = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Flatten(), nn.Linear(288, 10))
    return network if student is None else student, Batch(
        {"images": torch.zeros(4, 1, 8, 8)}, torch.zeros(4, dtype=torch.int64), torch.arange(4)
    )


def choice(student=None, **settings):
    network, batch = batch_for(student)
    return chosen(spec(train=settings).train, network, batch, ALONE)


def with_gain(monkeypatch, gain, *, amx=False):
    """A probe that finds ``gain``; the number of times that it was asked."""
    asked = []
    monkeypatch.setattr(bf16_probe, "has_amx", lambda: amx)
    monkeypatch.setattr(bf16_probe, "gain", lambda student, batch: asked.append(1) or gain)
    return asked


@pytest.mark.parametrize(
    ("strategy", "student"),
    [
        ("kd", WIDE),
        ("kd", NARROW),
        ("fitnet", WIDE),
        ("self_distillation", WIDE),
        (ONLINE, WIDE),
        (MADE, WIDE),
        ("kd", VIT),
        ({"name": "kd", "extra": {"crd": {}}}, WIDE),
    ],
    ids=["kd", "narrow", "fitnet", "self", "online", "data_free", "vit", "crd"],
)
@pytest.mark.parametrize(
    ("setting", "tolerance", "said"),
    [
        ({"memory_format": "channels_last"}, 1e-3, "float32, channels_last"),
        ({"precision": "bf16"}, 0.1, "bf16, contiguous"),
        ({"precision": "bf16", "memory_format": "channels_last"}, 0.1, "bf16, channels_last"),
        ({"compile": "default"}, 1e-3, "float32, contiguous, compiled (default)"),
    ],
    ids=["channels_last", "bf16", "both", "compiled"],
)
def test_every_setting_trains_to_nearly_the_same_numbers(
    strategy, student, setting, tolerance, said, compiling, monkeypatch
):
    with_gain(monkeypatch, 2.0)
    data = {"augment": VIEWS}
    trials = [spec(strategy, student=student, data=data, train={**PLAINLY, "epochs": 1, **more})
              for more in ({}, setting)]  # fmt: skip
    expected, found = (trained(trial, teacher=teacher()) for trial in trials)
    of_teacher = "" if strategy in ("self_distillation", ONLINE) else ", teacher live"
    assert expected.computed == "float32, contiguous" + of_teacher
    assert found.computed == said + of_teacher
    torch.testing.assert_close(
        numbers(found.epochs), numbers(expected.epochs), rtol=tolerance, atol=tolerance
    )
    # What is saved is as ever: names, types, and how it lies in memory.
    shapes = [
        {
            name: (each.shape, each.dtype, each.stride())
            for name, each in state(done.student).items()
        }
        for done in (expected, found)
    ]
    assert shapes[0] == shapes[1]
    assert num_hooks(found.student) == 0


def test_the_same_settings_give_the_same_numbers(monkeypatch):
    with_gain(monkeypatch, 2.0)
    trial = spec("fitnet", student=WIDE, train={"precision": "bf16",
                                                "memory_format": "channels_last"})  # fmt: skip
    one, other = (trained(trial, teacher=teacher()) for _ in range(2))
    assert curve(one.epochs) == curve(other.epochs)
    assert same_state(state(one.student), state(other.student))


def test_losses_are_float32_however_the_networks_compute():
    # In bf16 steps of logits above 256 are 2 apart, and small probabilities are lost.
    running = Running(bf16=True)
    linear = nn.Linear(1, 3, bias=False)
    nn.init.constant_(linear.weight, 1.0)
    inputs = torch.tensor([[256.0]])
    logits = running.run(linear, inputs)
    assert logits.dtype == torch.float32
    with running.autocast():
        assert linear(inputs).dtype == torch.bfloat16
    teacher_logits = logits + torch.tensor([[0.25, 0.0, 0.0]])
    weight = torch.tensor([0.25, 0.0, 0.0]).softmax(0)
    expected = (weight * (weight.log() - torch.full((3,), 1 / 3).log())).sum()
    torch.testing.assert_close(kl_divergence(logits, teacher_logits), expected[None])


def test_what_the_objective_sees_is_float32(monkeypatch):
    with_gain(monkeypatch, 2.0)
    seen_types = set()

    def looking(objective, inputs):
        (seen,) = inputs
        assert not torch.is_autocast_enabled("cpu")
        for outputs in (seen.student, seen.teacher):
            seen_types.update(each.dtype for each in (outputs.logits, *outputs.features.values()))

    from kdsweep.train.objective import Objective

    made = Objective.__init__

    def watched(self, *given, **named):
        made(self, *given, **named)
        self.register_forward_pre_hook(looking)

    monkeypatch.setattr(Objective, "__init__", watched)
    trained(spec("fitnet", student=WIDE, train={"precision": "bf16"}), teacher=teacher())
    assert seen_types == {torch.float32}


@pytest.mark.parametrize(
    ("student", "last"),
    [
        (nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3, groups=1)), True),
        (nn.Sequential(nn.Conv2d(1, 7, 3), nn.Conv2d(7, 64, 3)), False),
        (nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3, groups=8)), False),
        (nn.Sequential(nn.Conv2d(1, 64, 2, stride=2), nn.Flatten()), False),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), False),
    ],
    ids=["wide", "narrow", "grouped", "patches", "linear"],
)
def test_auto_takes_channels_last_where_it_was_faster(student, last):
    assert choice(student, memory_format="auto").channels_last is last
    assert choice(student, memory_format="channels_last").channels_last
    assert not choice(student, memory_format="contiguous").channels_last


def test_what_a_cpu_cannot_differentiate_with_channels_last_stays_as_it_is():
    unsafe, safe, wide = (nn.Conv2d(*each) for each in ((4, 8, 1, 2), (4, 8, 3, 2), (16, 8, 1, 2)))
    network = nn.Sequential(unsafe, safe, wide)
    before, plain = state(network), [each.weight.stride() for each in network]
    taken = []
    turned = ChannelsLast(network)
    for each in network:
        each.register_forward_hook(lambda module, inputs, output: taken.append(inputs[0].stride()))
    for each in network:
        shape = (2, each.in_channels, 6, 6)
        each(torch.zeros(shape).to(memory_format=torch.channels_last))
    # Channels of contiguous maps are 36 pixels apart; else they are neighbours.
    assert [stride[1] for stride in taken] == [36, 1, 1]
    assert unsafe.weight.stride() == plain[0]
    assert safe.weight.is_contiguous(memory_format=torch.channels_last)
    turned.undo()
    assert [each.weight.stride() for each in network] == plain
    assert same_state(state(network), before)


def test_auto_on_a_cpu_is_float32_and_not_compiled(monkeypatch):
    asked = with_gain(monkeypatch, 100.0, amx=False)
    assert choice().words == "float32, channels_last"
    assert asked == []  # without the hardware there is nothing to time


@pytest.mark.parametrize(("gain", "said"), [(1.19, "float32"), (1.21, "bf16")])
def test_auto_is_bf16_on_a_cpu_that_has_it_and_is_clearly_faster(monkeypatch, gain, said):
    asked = with_gain(monkeypatch, gain, amx=True)
    assert choice(memory_format="contiguous").words == f"{said}, contiguous"
    assert asked == [1]


def test_bf16_that_was_asked_for_is_used_and_warned_of_where_it_is_slower(monkeypatch):
    with_gain(monkeypatch, 0.9)
    with warnings_heard() as heard:
        assert choice(precision="bf16").bf16
    assert heard == [
        "train.precision: bf16 is slower than float32 on this CPU (two batches of each were "
        "timed): use float32 or auto"
    ]
    with_gain(monkeypatch, 1.1)
    with warnings_heard() as heard:
        assert choice(precision="bf16").bf16
    assert heard == []


def test_the_probe_leaves_student_and_random_state_as_they_were():
    student = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Dropout(0.5), nn.Linear(64, 10))
    network, batch = batch_for(student.eval())
    before, drawn = state(network), torch.get_rng_state()
    assert bf16_probe.gain(network, batch) > 0
    assert same_state(state(network), before)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert not network.training
    assert all(parameter.grad is None for parameter in network.parameters())


def test_cuda_graphs_are_refused_on_a_cpu(tmp_path):
    with pytest.raises(TrialError) as refused:
        choice(compile="reduce-overhead")
    assert str(refused.value) == (
        "train.compile: reduce-overhead is not allowed without a GPU: it is CUDA graphs; use auto, "
        "none or default"
    )
    session = Session(device=CPU, teachers=tmp_path)
    outcome = session.run(spec(train={"compile": "reduce-overhead"}), go_on)
    assert (outcome.status, outcome.error) == ("failed", str(refused.value))


def test_an_outcome_says_how_the_networks_ran(tmp_path):
    session = Session(device=CPU, teachers=tmp_path)
    outcome = session.run(spec(student=WIDE, train={"epochs": 1}), go_on)
    assert outcome.computed == "float32, channels_last"
    assert session.run(spec(student=STUDENT, train={"epochs": 1}), go_on).computed == (
        "float32, contiguous"
    )


def test_a_compiled_student_is_the_same_network(compiling):
    student = nn.Linear(2, 3)
    call = Running(compiled="default").prepared(student)
    inputs = torch.randn(4, 2)
    torch.testing.assert_close(call(inputs), student(inputs))
    call(inputs).sum().backward()
    assert student.weight.grad is not None
    assert PLAIN.prepared(student) is student


def test_stored_outputs_do_not_depend_on_the_precision_of_the_trial_that_makes_them(
    monkeypatch, tmp_path
):
    with_gain(monkeypatch, 2.0)
    master, found = teacher(), []
    for precision in ("float32", "bf16"):
        trial = spec("kd", train={"precision": precision, "epochs": 1})
        done = trained(trial, teacher=master, stored=store_in(tmp_path / precision, master, trial))
        assert done.computed.startswith(precision)
        files = sorted((tmp_path / precision).rglob("*.f16"))
        found.append([file.read_bytes() for file in files])
    assert len(found[0]) == 1
    assert found[0] == found[1]


def test_a_live_teacher_answers_in_the_trials_precision(monkeypatch):
    with_gain(monkeypatch, 2.0)
    found = []

    def looking(network, inputs, logits):
        found.append(logits.dtype)

    master = teacher()
    master.network.register_forward_hook(looking)
    trained(spec("kd", train={"precision": "bf16", "epochs": 1}), teacher=master)
    assert torch.bfloat16 in found
    assert OF_TEACHER["width"] < 8  # so that the network itself was asked, and no copy
