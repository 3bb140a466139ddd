"""Descriptions in Markdown, of names that anybody may have written."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tracking_trials import epochs, trial

from kdsweep.cli import app
from kdsweep.results.latency import BatchLatency, Latency
from kdsweep.results.meta import TeacherMeta
from kdsweep.results.pareto import front
from kdsweep.tracking import notes

ASKED = ("Small students.", ["student.width", "strategy"])


def note(store, results, **meta):
    meta = store.meta.model_copy(update=meta)
    found = front(results, meta.objectives)
    return notes.sweep_note(meta, results, found, place="/runs/of mine", asked=ASKED)


BUSY = Latency(
    device="EPYC", busy=True, lanes=2,
    batches=(BatchLatency(batch=1, p50_ms=3.0, p95_ms=4.0, blocks=3, runs=9),),
)  # fmt: skip
MEASURED = "latency\\_ms: one input, p50, measured while others trained"


def test_a_latency_that_was_measured_beside_others_is_said_to_be_that(store):
    one = trial(2).model_copy(update={"latency": BUSY})
    said = notes.trial_note(one, place="/runs/of mine")
    assert MEASURED in said
    assert "    kdsweep latency '/runs/of mine' t2" in said
    teacher = trial(9, role="teacher", count=1).model_copy(update={"latency": BUSY})
    told = notes.trial_note(teacher, place="/runs/digits").splitlines()
    assert told[-1] == "    kdsweep latency /runs/digits"
    assert MEASURED not in note(store, [one])
    decides = note(store, [one], objectives={"accuracy": "max", "latency_ms": "min"})
    assert MEASURED in decides
    assert "    kdsweep latency '/runs/of mine'" in decides
    alone = BUSY.model_copy(update={"busy": False})
    quiet = trial(2).model_copy(update={"latency": alone})
    assert MEASURED not in notes.trial_note(quiet, place="/runs/digits")
    # No weights are kept of it, so that it cannot be measured again.
    pruned = one.model_copy(update={"status": "pruned"})
    assert MEASURED not in notes.trial_note(pruned, place="/runs/digits")


def test_a_sweep_in_words(store):
    results = [
        trial(9, role="teacher", count=1),
        trial(1, role="control", name="none w8"),
        trial(2),
        trial(3, status="failed", metrics={}),
        trial(4, status="running", count=1),
    ]
    teacher = TeacherMeta(hash="ab", name="cnn", accuracy=0.986, params=87370)
    said = note(store, results, status="stopped", teacher=teacher, ended_by="two hours")
    assert said == (
        "**stopped**: 3 of 4 trials have ended (2 complete, 1 failed, 1 running); two hours. "
        "2 students are on the front, the most accurate with 70.00%.\n"
        "\n"
        "| student&nbsp;&nbsp; | strategy&nbsp;&nbsp; | params&nbsp;&nbsp; | accuracy&nbsp;&nbsp; "
        "| 95% interval&nbsp;&nbsp; | trial |\n"
        "|---|---|---:|---:|---:|---|\n"
        # Wilson's intervals of 60 and of 70 of 100.
        "| cnn w8&nbsp;&nbsp; | kd&nbsp;&nbsp; | 100&nbsp;&nbsp; | 60.00%&nbsp;&nbsp; "
        "| 50.2 to 69.1%&nbsp;&nbsp; | t1 |\n"
        "| cnn w8&nbsp;&nbsp; | kd&nbsp;&nbsp; | 200&nbsp;&nbsp; | 70.00%&nbsp;&nbsp; "
        "| 60.4 to 78.1%&nbsp;&nbsp; | t2 |\n"
        "\n"
        "- Teacher: cnn, 87,370 parameters, 98.60%\n"
        "- Control: none w8, 100 parameters, 60.00%\n"
        "\n"
        "Asked: Small students\\.\n"
        "\n"
        "- accuracy max, params min; params at most 1,000,000\n"
        "- varied: student\\.width, strategy\n"
        "- sampler tpe, seed 3\n"
        "\n"
        "Go on:\n"
        "\n"
        "    kdsweep resume '/runs/of mine'\n"
        "    kdsweep front '/runs/of mine'\n"
        "    kdsweep report '/runs/of mine'\n"
        "    kdsweep select '/runs/of mine'\n"
        "    kdsweep confirm '/runs/of mine'\n"
        "    kdsweep export '/runs/of mine' --format onnx"
    )


def test_a_sweep_that_has_just_begun(store):
    said = note(store, [], trials=None)
    assert said.startswith("**running**: 0 trials have ended. Nothing is on the front yet.\n")
    assert "    kdsweep stop '/runs/of mine'\n" in said
    assert "select" not in said


def test_a_front_that_is_too_long_says_how_much_is_missing(store):
    results = [trial(n, metrics={"accuracy": n / 200, "params": float(n)}) for n in range(1, 151)]
    said = note(store, results)
    assert len(said) <= 5000
    rows = re.findall(r"^\| cnn w8.* (t\d+) \|$", said, re.MULTILINE)
    assert rows == [f"t{number}" for number in range(1, len(rows) + 1)]
    assert len(rows) > 20
    assert f"\nand {150 - len(rows)} more: `front.csv` among the artifacts\n" in said
    assert said.endswith("--format onnx"), "what comes below the table is there all the same"


def test_a_trial_in_words():
    weights = {"hard": 0.1, "kd": 14.4}
    said = notes.trial_note(trial(2, weights_of_terms=weights), place="/runs/digits")
    assert said == (
        "**complete**: accuracy 70.00%, 200 parameters\n"
        "\n"
        "| loss term&nbsp;&nbsp; | weight&nbsp;&nbsp; | mean of the last epoch |\n"
        "|---|---:|---:|\n"
        "| hard&nbsp;&nbsp; | 0.1&nbsp;&nbsp; | - |\n"
        "| kd&nbsp;&nbsp; | 14.4&nbsp;&nbsp; | 0.3333 |\n"
        "\n"
        "Train it again, alone:\n"
        "\n"
        "    kdsweep trial /runs/digits/trials/t2/trial.yaml"
    )


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"status": "failed", "metrics": {}, "error": "no <memory>"}, "no &lt;memory&gt;\n"),
        ({"role": "control"}, "\n\nA control: what students reach without the search, "),
        ({"role": "teacher"}, "\n\nThe teacher: what students learn from. It is on no front."),
    ],
)
def test_a_trial_says_what_it_is_and_why_it_failed(more, sentence):
    said = notes.trial_note(trial(2, **more), place="/runs/digits")
    assert sentence in said
    assert ("kdsweep trial" in said) == (more.get("role") != "teacher")


def test_a_long_list_of_terms_stays_within_the_limit():
    terms = {f"term{number}": 1.0 for number in range(400)}
    blown = [epochs(1)[0].model_copy(update={"train": terms})]
    assert len(notes.trial_note(trial(1, epochs=blown, weights_of_terms=terms), place="x")) == 5000


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("kd+attention_transfer w8", r"kd\+attention\_transfer w8"),
        ("a | b", "a &#124; b"),
        ("<img src=x onerror=alert(1)>", r"&lt;img src=x onerror=alert\(1\)&gt;"),
        ("[here](http://x)", r"\[here\]\(http&#58;//x\)"),
        ("**bold** `code`", r"\*\*bold\*\* \`code\`"),
        ("two\n\n    lines\x1b", r"two lines\\x1b"),
        ("x" * 70, f"{'x' * 57}\\.\\.\\."),
        ("", ""),
    ],
)
def test_text_is_shown_as_it_is(text, shown):
    assert notes.plain(text) == shown


@given(st.text())
def test_no_text_breaks_out_of_its_line(text):
    said = notes.plain(text)
    assert len(said.splitlines()) <= 1
    bare = re.sub(r"\\.|&[a-z]+;|&#\d+;", "", said)
    assert not re.search(r"[<>|`*_\[\]\\#]", bare)


@given(st.text(min_size=1))
@example("a\u2028b\nc")
def test_no_path_ends_its_command(place):
    said = notes.trial_note(trial(1), place=place)
    after = said.split("Train it again, alone:\n\n")[1]
    assert after.startswith("    kdsweep trial ")
    assert len(after.splitlines()) == 1


def test_what_a_sweep_file_asks():
    text = "description: few\nspace: {student.width: {choice: [2]}, strategy: {choice: []}}\n"
    assert notes.asked_in(text) == ("few", ["student.width", "strategy"])
    assert notes.asked_in("space: 3") == ("", [])
    assert notes.asked_in("\tno: [yaml") == ("", []), "a damaged file keeps no record back"
    secret = notes.asked_in("description: see https://me:pw@host/x")[0]
    assert secret == "see https://host/x"


def test_every_command_that_a_note_names_is_there(store):
    known = {each.name or each.callback.__name__ for each in app.registered_commands}
    # Other parts of the same release bring these.
    coming = {"report", "confirm", "export"} - known
    said = "\n".join(
        [note(store, [trial(1)], status=status) for status in ("running", "complete", "failed")]
        + [notes.trial_note(trial(1), place="x")]
    )
    named = set(re.findall(r"^    kdsweep (\w+) ", said, re.MULTILINE))
    assert named >= {"status", "stop", "resume", "front", "select", "trial"}
    assert named <= known | coming


def test_a_sweep_links_to_views_with_the_menu_of_training(store):
    results = [trial(1)]
    said = notes.sweep_note(
        store.meta, results, results, place="x", asked=ASKED, experiment="7"
    ).splitlines()
    at = "#/experiments/7/runs?workflowType=machine_learning&viewStateShareKey="
    assert said[2] == (
        f"See [Sweeps and their trials]({at}kdsweep-sweeps), "
        f"[Trials, most accurate first]({at}kdsweep-trials), "
        f"[Students on the fronts]({at}kdsweep-fronts), "
        f"[Confirmed on test data]({at}kdsweep-confirmed)."
    )
    assert said[4].startswith("| student")
