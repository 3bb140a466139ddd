"""A sweep that learns from an earlier one, goes on without it, and refuses other data."""

import json
import shutil

import pytest
from finished_sweeps import DIGITS, TWO_LANES, finished, kdsweep, records

from kdsweep.search.warm_start import kept_warm_start
from kdsweep.sweep_file import load
from kdsweep.train.teacher_store import digest_of

pytestmark = pytest.mark.ray

LEARNING = "search: {trials: 2, seed: 6, warm_start: [runs/digits]}\ntracking: {enabled: false}"
WARM = DIGITS.replace("name: digits\ntrial", "name: warm\ntrial").replace(
    "search: {sampler: tpe, trials: 6, seed: 6, batch: 2}", LEARNING
)


@pytest.fixture(scope="module")
def begun(home, swept, tmp_path_factory):
    """A place with the earlier run, and a sweep that was warm started from it."""
    place = tmp_path_factory.mktemp("warm")
    for name in ("digits", "teachers"):
        shutil.copytree(home / "runs" / name, place / "runs" / name)
    (place / "warm.yaml").write_text(WARM + TWO_LANES)
    return place, finished(kdsweep("run", "warm.yaml", cwd=place))


def test_what_was_learned_is_told_and_kept(begun):
    place, done = begun
    assert "warm start: 8 of 8 trials of digits\n" in done.stdout
    _, earlier, _ = records(place / "runs" / "digits")
    meta, trials, _ = records(place / "runs" / "warm")
    assert (meta.status, meta.sampler) == ("complete", "tpe")
    assert [trial.role for trial in trials] == ["control", "control", "trial", "trial"]
    known = kept_warm_start(place / "runs" / "warm")
    assert [each.trial_id for each in known.trials] == [each.trial_id for each in earlier]
    points = [each.params for each in known.trials]
    assert not any(trial.params in points for trial in trials if trial.role == "trial")


def test_it_goes_on_when_the_earlier_run_is_gone(begun):
    place, _ = begun
    before = (place / "runs" / "warm" / "warm_start.json").read_bytes()
    (place / "runs" / "digits").rename(place / "elsewhere")
    try:
        finished(kdsweep("extend", "runs/warm", "--trials", "1", cwd=place))
    finally:
        (place / "elsewhere").rename(place / "runs" / "digits")
    _, trials, _ = records(place / "runs" / "warm")
    assert [trial.status for trial in trials] == ["complete"] * 5
    assert (place / "runs" / "warm" / "warm_start.json").read_bytes() == before


def test_other_data_are_refused_before_anything_is_trained(begun):
    place, _ = begun
    run = place / "runs" / "digits" / "run.json"
    whole = run.read_text()
    meta = json.loads(whole)
    meta["data_fingerprint"] = "0" * 64
    # So that nothing but the data can tell.
    teacher = load(place / "warm.yaml").spec.trial.teacher
    meta["teacher"]["hash"] = digest_of(teacher, data="0" * 64)
    run.write_text(json.dumps(meta))
    try:
        done = kdsweep("run", "warm.yaml", "--name", "other", cwd=place)
    finally:
        run.write_text(whole)
    assert done.returncode == 2
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "search.warm_start: the data are not as in" in said
    assert "runs/digits (000000000000 there, " in said
    assert not (place / "runs" / "other").exists()
