"""Ray Train's controller in the driver: it leaves when it is told to, whatever it waits for."""

import asyncio
import threading
from types import SimpleNamespace

import pytest

from kdsweep.search import lean_train

ARGUMENTS = {"train_run_context": SimpleNamespace(scaling_config=None)}


class Trainer(lean_train._DriverControlled):
    """Nothing but the part that is ours."""

    policy = object()


@pytest.fixture
def looks(monkeypatch):
    """Set while a controller looks at its workers, which it would for ever."""
    looking = threading.Event()

    class Controller:
        def __init__(self, **arguments):
            assert arguments["failure_policy"] is Trainer.policy

        async def run(self):
            looking.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(lean_train, "_Controller", Controller)
    monkeypatch.setattr(lean_train, "_NoAutoscalingActor", lambda scaling: None)
    return looking


def started(trainer):
    def control():
        with pytest.raises(asyncio.CancelledError):
            trainer._initialize_and_run_controller(**ARGUMENTS)

    thread = threading.Thread(target=control, daemon=True)
    thread.start()
    return thread


def test_a_controller_that_looks_at_its_workers_leaves(looks):
    trainer = Trainer()
    thread = started(trainer)
    assert looks.wait(20)
    assert thread.is_alive()
    trainer.leave()
    thread.join(20)
    assert not thread.is_alive()
    trainer.leave()


def test_one_that_has_been_told_before_it_begins_does_not_look(looks):
    trainer = Trainer()
    trainer.leave()
    thread = started(trainer)
    thread.join(20)
    assert not thread.is_alive()
    assert not looks.is_set()
