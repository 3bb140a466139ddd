"""What is left of a run however its sweep ends; no Ray is started."""

import hashlib
import uuid
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from search_sweeps import changed, epoch

from kdsweep.errors import ResultError, SpecError
from kdsweep.results.meta import RunMeta
from kdsweep.results.record import TrialResult
from kdsweep.results.store import RunStore
from kdsweep.search import run as run_module
from kdsweep.search.on_ray import NotBegunError
from kdsweep.search.surroundings import StoppedEarlyError
from kdsweep.spec import ClusterSpec
from kdsweep.spec.sweep import TrackingSpec

SPEC = SimpleNamespace(cluster=ClusterSpec())
SPENT = {"status": "running", "wall_seconds": 278.0, "student_epochs": 5}


class Silent:
    """A display that shows nothing."""

    def __getattr__(self, name):
        return lambda *given: None


def digests(directory):
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def gone_on(tmp_path, conditional, monkeypatch):
    """Go on with a run whose driver was killed; what happens on Ray is given."""
    sweep = changed(conditional, search={"trials": 3})
    sweep.spec.__dict__["tracking"] = TrackingSpec(enabled=False)
    meta = RunMeta(
        sweep_id=uuid.uuid4().hex, name="run", created="2026-11-21T10:00:00+00:00",
        objectives=sweep.spec.objectives, **SPENT,
    )  # fmt: skip
    store = RunStore.create(tmp_path / "run", meta=meta, sweep_text="")
    trial = sweep.spec.trial.model_dump(mode="json")
    store.write(
        TrialResult(
            trial_id="00000", number=0, status="running", name="none", trial=trial,
            epochs=tuple(epoch(number) for number in range(1, 14)),
        )
    )  # fmt: skip
    store.update_meta()

    def go(on_ray, expected):
        def instead(sweep, store, journal, fitted, scratch, tracker, budget, expected, begin, warm):
            (record,) = journal.earlier
            journal.begin("00000", 0, "trial", sweep.spec.trial, {}, {})
            return on_ray(SimpleNamespace(record=record, journal=journal, begin=begin))

        monkeypatch.setattr(run_module, "train_on_ray", instead)
        return run_module._recorded(
            sweep, store, None, Silent(), tmp_path, store.read(), 0.0, expected, {}
        )

    return go, store


def refused(scene):
    scene.journal.end("00000", {"status": "stopped", "error": "the sweep has changed"})
    raise ResultError("the teacher has changed")


def test_a_run_that_is_refused_is_byte_for_byte_as_it_was(gone_on):
    go, store = gone_on
    before = digests(store.directory)
    with pytest.raises(ResultError, match="the teacher has changed"):
        go(refused, {"data": "abc"})
    assert digests(store.directory) == before


@pytest.mark.parametrize("expected", [None, {"data": "abc"}])
def test_what_was_spent_never_becomes_less(gone_on, expected):
    go, store = gone_on
    seen = []

    def killed(scene):
        scene.begin()
        seen.append(RunStore.open(store.directory))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        go(killed, expected)
    # What the driver that was killed had trained is in its record alone.
    for meta in (seen[0].meta, RunStore.open(store.directory).meta):
        assert meta.student_epochs == 13
        assert meta.wall_seconds > 278.0
    (record,) = store.read()
    assert (record.status, len(record.epochs)) == ("stopped", 13)
    assert store.meta.status == "stopped"


def test_epochs_of_trials_that_run_are_spent_and_counted_once(gone_on):
    go, store = gone_on
    kept = []

    def on_ray(scene):
        scene.begin()
        told = [epoch(number).model_dump() for number in range(1, 18)]
        scene.journal.epochs("00000", told, "lane-000", 12)
        scene.begin()
        kept.append(RunStore.open(store.directory).meta.student_epochs)
        return "stopped"

    assert go(on_ray, None) == "stopped"
    # Of thirteen epochs that were known one was trained again.
    assert kept == [18]
    assert RunStore.open(store.directory).meta.student_epochs == 18


def test_a_stop_before_it_is_known_whether_it_is_refused(gone_on):
    go, store = gone_on
    assert go(lambda scene: "stopped", {"data": "abc"}) == "stopped"
    assert (store.meta.status, store.meta.student_epochs) == ("stopped", 13)
    assert [record.status for record in store.read()] == ["stopped"]


@pytest.fixture
def beginning(tmp_path, conditional, monkeypatch):
    """Begin a sweep on a Ray that does not come up; what is seen of the run meanwhile."""
    sweep = changed(conditional, search={"trials": 3})
    seen = SimpleNamespace(new=tmp_path / "runs" / "new", held=[])
    meta = RunMeta(
        sweep_id=uuid.uuid4().hex, name="run", created="2026-11-21T10:00:00+00:00",
        objectives=sweep.spec.objectives,
    )  # fmt: skip
    seen.phases, seen.heard = [], Silent()
    seen.heard.phase = seen.phases.append
    seen.create = lambda: RunStore.create(seen.new, meta=meta, sweep_text="")

    def begin(error, open_store, **more):
        @contextmanager
        def connected(cluster):
            def up(meanwhile):
                seen.held.append(RunStore.open(seen.new).is_held())
                raise error

            yield up

        monkeypatch.setattr(run_module, "connected", connected)
        run_module.run(changed(sweep, **more), open_store, progress=seen.heard)

    return begin, seen


@pytest.mark.parametrize(
    ("cluster", "said"), [({}, "starting Ray"), ({"address": "10.0.0.1:6379"}, "joining Ray")]
)
def test_a_ray_that_is_there_already_is_joined(beginning, cluster, said):
    begin, seen = beginning
    with pytest.raises(SpecError):
        begin(SpecError("no cluster"), seen.create, cluster=ClusterSpec(**cluster))
    assert seen.phases == [said]


@pytest.mark.parametrize(
    ("error", "raised"),
    [(SpecError("no cluster"), SpecError), (KeyboardInterrupt(), StoppedEarlyError)],
)
def test_a_run_has_its_driver_while_ray_starts_and_is_gone_if_it_does_not(beginning, error, raised):
    begin, seen = beginning
    with pytest.raises(raised):
        begin(error, seen.create)
    assert seen.held == [True]
    assert not seen.new.parent.exists()
    store = seen.create()
    before = digests(store.directory)
    with pytest.raises(raised):
        begin(error, lambda: RunStore.open(seen.new))
    assert seen.held == [True, True]
    assert {path: before[path] for path in before} == {
        path: digest for path, digest in digests(seen.new).items() if path.name != ".driver.lock"
    }
    assert not store.is_held()


@pytest.mark.parametrize(("error", "stays"), [(NotBegunError, False), (ResultError, True)])
def test_a_new_run_that_is_refused_is_gone_unless_something_of_it_began(
    beginning, monkeypatch, error, stays
):
    _, seen = beginning

    def refusing(sweep, store, *rest):
        raise error("the data have changed")

    @contextmanager
    def connected(cluster):
        yield lambda meanwhile: None

    monkeypatch.setattr(run_module, "connected", connected)
    monkeypatch.setattr(run_module, "_imported_meanwhile", lambda *given: None)
    monkeypatch.setattr(run_module, "_recorded", refusing)
    with pytest.raises(ResultError, match="the data have changed"):
        run_module.run(SimpleNamespace(spec=SPEC), seen.create, progress=Silent())
    assert seen.new.exists() == stays
