"""Warnings of the package reach whoever asked for the trial, each once."""

import logging

import pytest
from tiny_trials import CPU, go_on, spec

from kdsweep.data.digits import Digits
from kdsweep.spec import Component
from kdsweep.train.loop import Verdict
from kdsweep.train.session import Session
from kdsweep.train.warned import warnings_heard


class Warns(Digits):
    """Digits that say each time they are read that something is odd."""

    def load(self, device):
        log = logging.getLogger("kdsweep.data.of_a_test")
        log.warning("only %d of %d pieces", 3, 5)
        log.info("nothing that matters")
        logging.getLogger("somebody.else").warning("not ours")
        return super().load(device)


@pytest.fixture
def odd():
    return spec().model_copy(update={"data": Component(name=f"{__name__}:Warns")})


def test_a_session_tells_of_a_warning_once(odd, tmp_path):
    session = Session(device=CPU, teachers=tmp_path)
    assert session.run(odd, go_on).warnings == ("only 3 of 5 pieces",)
    # Read again, as other data came between: it has been told.
    session._splits._things.clear()
    assert session.run(odd, go_on).warnings == ()
    assert session.run(spec(), go_on).warnings == ()


def test_who_wants_it_hears_of_a_warning_at_once_and_not_again(odd, tmp_path):
    session, heard = Session(device=CPU, teachers=tmp_path), []

    def ends_with_it(epoch):
        assert heard == ["only 3 of 5 pieces"]
        return Verdict.STOP

    stopped = session.run(odd, ends_with_it, warn=heard.append)
    assert (stopped.status, stopped.warnings) == ("stopped", ())
    session._splits._things.clear()
    assert session.run(odd, go_on, warn=heard.append).warnings == ()
    assert heard == ["only 3 of 5 pieces"]


def test_a_preparation_and_a_failure_tell_of_it_too(odd, tmp_path):
    with_teacher = spec(teacher={"model": odd.student.model_dump(), "train": {"epochs": 1}})
    taught = with_teacher.model_copy(update={"data": odd.data})
    done = Session(device=CPU, teachers=tmp_path).prepare(taught, go_on)
    assert (done.status, done.warnings) == ("complete", ("only 3 of 5 pieces",))

    def fails(epoch):
        raise ConnectionError("nobody listens")

    failed = Session(device=CPU, teachers=tmp_path).run(odd, fails)
    assert (failed.status, failed.warnings) == ("failed", ("only 3 of 5 pieces",))


def test_nobody_listens_afterwards():
    with warnings_heard() as heard:
        logging.getLogger("kdsweep.data").warning("once")
        logging.getLogger("kdsweep.data").warning("once")
    logging.getLogger("kdsweep.data").warning("later")
    assert heard == ["once"]
    assert not [h for h in logging.getLogger("kdsweep").handlers if type(h).__name__ == "_Ear"]
