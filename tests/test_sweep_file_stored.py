"""What is stored of the teachers: settled with the file, by arithmetic that ``check`` shows."""

import json
import textwrap
from itertools import product
from pathlib import Path

import pytest
from calling import run
from PIL import Image

from kdsweep.cli.check_stored import as_text, refusals
from kdsweep.data.base import Extent
from kdsweep.errors import SpecError
from kdsweep.spec import TrialSpec
from kdsweep.sweep_file import (
    at,
    check_trial_file,
    controls,
    load,
    load_for_elsewhere,
    resolved,
)
from kdsweep.sweep_file.asked import Room, bytes_in_words, views_seen
from kdsweep.sweep_file.parts import model_key

NUM = 1079
"""Training samples of digits at the default shares."""

STAGE_0, STAGE_1 = 4 * 8 * 8, 8 * 4 * 4
"""Values of the two stages of the teacher, for one digit."""

SWEEP = """
name: stored
trial:
  data: {name: digits, augment: {crop: 1, views: 8}}
  teacher: {model: {name: cnn, width: 4, stages: 2}%s}
  student: {name: cnn, width: 2, stages: 2}
  train: {epochs: 5}
space:
  train.lr: {loguniform: [0.001, 0.01]}
  strategy: {choice: %s}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch):
    """A function: the path of a sweep file with these settings of the teacher and strategies."""
    monkeypatch.chdir(tmp_path)

    def of(strategies: str, teacher: str = "", space: str = "") -> Path:
        path = tmp_path / "stored.yaml"
        text = SWEEP % (teacher and f", {teacher}", strategies)
        path.write_text(text + textwrap.indent(space, "  "))
        return path

    return of


def test_the_views_of_a_training_in_their_order():
    assert views_seen(8, 3) == (1, 2, 3)
    assert views_seen(3, 7) == (1, 2, 0)
    assert views_seen(1, 5) == (0,)


def test_the_arithmetic_in_words():
    room = Room(Extent(1437, 8), 10, max_bytes=229_920)
    assert (room.num_bytes, room.fits) == (8 * 1437 * 10 * 2, True)
    assert room.arithmetic == "8 views x 1,437 samples x 10 values x 2 bytes = 224.5 KiB"
    assert not Room(Extent(1437, 8), 10, max_bytes=229_919).fits
    one = Room(Extent(1, 1), 1, 0)
    assert one.arithmetic == "1 view x 1 samples x 1 value x 2 bytes = 2 bytes"
    assert [bytes_in_words(n) for n in (1023, 1024, 4 * 2**30, 3 * 2**50)] == [
        "1,023 bytes", "1.0 KiB", "4.0 GiB", "3,072.0 TiB",
    ]  # fmt: skip


def test_all_that_the_strategies_of_a_space_read_is_counted_once(file):
    path = file("[kd, fitnet, {name: kd, extra: {fitnet: {}}}, attention_transfer, none]")
    (plan,) = load(path).outputs
    # Five epochs show five of eight views.
    (part,) = plan.parts
    assert (plan.teacher, part.num_views, part.num_samples) == ("teacher", 5, NUM)
    assert part.outputs == {"logits": 10, "stages.0": STAGE_0, "stages.1": STAGE_1}
    assert plan.num_bytes == 5 * NUM * (10 + STAGE_0 + STAGE_1) * 2
    assert (plan.stored, plan.live, plan.refused) == ("features", {}, "")


def test_a_longer_training_of_the_space_shows_more_views(file):
    path = file("[kd]", space="train.epochs: {int: [2, 6]}\n")
    assert load(path).outputs[0].parts[0].num_views == 6
    path = file("[kd]", space="train.epochs: {int: [2, 60]}\n")
    assert load(path).outputs[0].parts[0].num_views == 8


ALL = 5 * NUM * (10 + STAGE_0) * 2
LOGITS = 5 * NUM * 10 * 2


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ("stored: auto", "features"),
        ("stored: features", "features"),
        ("stored: logits", "logits"),
        ("stored: none", "none"),
        (f"max_cache_bytes: {ALL}", "features"),
        (f"max_cache_bytes: {ALL - 1}", "logits"),
        (f"stored: features, max_cache_bytes: {ALL - 1}", "logits"),
        (f"max_cache_bytes: {LOGITS}", "logits"),
        (f"max_cache_bytes: {LOGITS - 1}", "none"),
        (f"stored: logits, max_cache_bytes: {LOGITS - 1}", "none"),
    ],
)
def test_the_word_is_settled_once_for_all_trials(settings, word, file):
    sweep = load(file("[kd, fitnet]", settings))
    assert sweep.outputs[0].stored == sweep.spec.trial.teacher.stored == word
    for control in controls(sweep.spec.trial, sweep.info).values():
        assert control.teacher.stored == word
    fitnet = at(sweep.spec, {"strategy": {"name": "fitnet"}})
    assert fitnet.teacher.stored == word
    assert bool(refusals(sweep.outputs)) == (str(word) not in settings and word != "features")
    # A trial of the sweep is found in its space again, with the word or without.
    assert sweep.locate(fitnet) is not None


def test_logits_are_the_word_where_nobody_reads_features(file):
    assert load(file("[kd, dkd]")).spec.trial.teacher.stored == "logits"


def test_without_strategies_that_read_a_teacher_nothing_is_settled(file):
    sweep = load(Path(str(file("[none]"))))
    # The trial's own strategy is kd.
    assert sweep.spec.trial.teacher.stored == "logits"
    path = file("[none]")
    path.write_text(path.read_text().replace("student:", "strategy: none\n  student:", 1))
    sweep = load(path)
    assert (sweep.outputs, sweep.spec.trial.teacher.stored) == ((), "auto")


def test_strategies_that_cannot_use_stored_outputs_say_so(file):
    (plan,) = load(file("[kd, function_matching, {name: kd, extra: {fitnet: {}}}]")).outputs
    assert plan.live == {
        "function_matching": "the strategy changes the batches that both networks see"
    }
    (plan,) = load(file("[kd, data_free, fitnet]", "stored: logits")).outputs
    assert plan.live == {
        "data_free": "the strategy makes its own batches",
        "fitnet": "features are not stored",
    }


def test_maps_of_texts_are_live_and_vectors_are_not(tmp_path):
    rows = "".join(f"{i % 2},word{i % 7} other{i % 5} more\n" for i in range(60))
    (tmp_path / "t.csv").write_text("label,text\n" + rows)
    bert = "{name: bert, layers: 2, width: 8, heads: 2}"
    path = tmp_path / "s.yaml"
    path.write_text(
        "name: texts\n"
        "trial:\n"
        f"  data: {{name: text_files, path: {tmp_path}/t.csv, length: 8,"
        " tokenizer: {vocabulary: 100}}\n"
        f"  teacher: {{model: {bert}}}\n"
        f"  student: {bert}\n"
        "space:\n"
        "  strategy: {choice: [kd, pkt, transformer]}\n"
    )
    (plan,) = load(path).outputs
    assert plan.stored == "features"
    (part,) = plan.parts
    assert part.num_samples == 36
    (vector,) = set(part.outputs) - {"logits"}
    assert part.outputs[vector] == 8
    assert set(plan.live) == {"transformer"}
    assert "as wide as the longest text of a batch" in plan.live["transformer"]


def test_each_of_several_teachers_has_a_word(file):
    path = file("[kd, multi_teacher]")
    text = path.read_text().replace(
        "  student:",
        "  teachers: {other: {model: {name: cnn, width: 2, stages: 2}, max_cache_bytes: 9}}\n"
        "  student:",
    )
    path.write_text(text)
    sweep = load(path)
    assert [(p.teacher, p.stored) for p in sweep.outputs] == [
        ("teacher", "logits"), ("other", "none"),
    ]  # fmt: skip
    trial = sweep.spec.trial
    assert (trial.teacher.stored, trial.teachers["other"].stored) == ("logits", "none")
    assert refusals(sweep.outputs) == [
        "teacher other: 105.4 KiB, more than max_cache_bytes allows (9 bytes): nothing is stored, "
        "and the teacher is asked for each batch; to store all of it set max_cache_bytes of the "
        "teacher to 107900 or more"
    ]


def test_of_several_data_sets_all_are_counted(file):
    """Those of the space, of 2 and 4 views, and that of the controls."""
    space = "data.augment.views: {choice: [2, 4]}\n"
    most = (5 + 2 + 4) * NUM * 10 * 2
    fits, short = (load(file("[kd]", f"max_cache_bytes: {n}", space)) for n in (most, most - 1))
    (plan,) = fits.outputs
    assert [part.num_views for part in plan.parts] == [5, 4, 2]
    assert (plan.num_bytes, plan.stored) == (most, "logits")
    assert short.spec.trial.teacher.stored == "none"
    assert as_text(fits.outputs) == [
        "  outputs     5 + 4 + 2 views x 1,079 samples x values x 2 bytes; a view is the",
        "              data in one augmentation:",
        "                     10 values       231.8 KiB  logits",
        "              stored: 231.8 KiB for 3 data sets or teachers, of at most 231.8",
        "              KiB",
    ]


def test_of_several_teachers_of_a_name_all_are_counted(file):
    space = "teacher.model.width: {choice: [4, 8]}\n"
    (plan,) = load(file("[kd, fitnet]", space=space)).outputs
    assert [sum(part.outputs.values()) for part in plan.parts] == [10 + 8 * 64, 10 + 4 * 64]
    assert plan.num_bytes == 5 * NUM * (10 + 8 * 64 + 10 + 4 * 64) * 2


@pytest.mark.parametrize(
    ("space", "listed", "unseen"),
    [
        # Twelve pairs, of which four are at corners, and the four of the file's own views.
        ("data.augment.views: {choice: [2, 3, 4]}\nteacher.seed: {choice: [0, 1, 2, 3]}\n", 16, 0),
        # Four pairs, of which one is nowhere at a corner.
        ("data.augment.views: {choice: [2, 8]}\nteacher.seed: {choice: [0, 1]}\n", 4, 0),
        ("data.augment.views: {int: [1, 8]}\n", 8, 0),
        # Not more than there are trials.
        ("data.augment.views: {int: [1, 1000]}\n", 3, 40),
        ("data.validation: {uniform: [0.1, 0.3]}\n", 3, 40),
        ("student.width: {choice: [2, 4]}\ntrain.epochs: {int: [3, 5]}\n", 1, 0),
    ],
)
def test_what_lies_between_the_corners_is_counted_as_if_it_were_largest(
    space, listed, unseen, file
):
    sweep = load(file("[kd, fitnet]", space=space))
    (plan,) = sweep.outputs
    assert sweep.num_trials == 40
    assert (len(plan.parts), plan.unseen) == (listed, unseen)
    each = [part.num_bytes(part.values("features")) for part in plan.parts]
    assert plan.num_bytes == sum(each) + unseen * max(each)
    assert ("stored: up to" in "".join(as_text([plan]))) == plan.is_bound == (listed != 1)


def test_a_pair_that_is_larger_than_every_corner_is_counted_as_it_is(file):
    """Widths and stages that multiply: the widest of most stages is at no corner."""
    space = "teacher.model.width: {choice: [4, 32]}\nteacher.model.stages: {choice: [3, 1]}\n"
    sweep = load(file("[{name: fitnet, hint: all}]", space=space))
    (plan,) = sweep.outputs
    widest = plan.parts[0].outputs
    # The student has two stages to be taught at.
    assert widest == {"logits": 10, "stages.0": 32 * 64, "stages.1": 64 * 16}


def test_what_is_read_with_some_students_is_counted_for_every_teacher(file):
    """A middle member of a choice is at a corner with the sweep's own student alone."""
    space = "teacher.seed: {choice: [0, 1, 2, 3]}\nstudent.stages: {int: [1, 2]}\n"
    path = file("[{name: fitnet, hint: all}]", space=space)
    path.write_text(path.read_text().replace("width: 2, stages: 2", "width: 2, stages: 1"))
    (plan,) = load(path).outputs
    assert [sorted(part.outputs) for part in plan.parts] == [["logits", "stages.0", "stages.1"]] * 4


def test_the_limit_holds_for_what_lies_between_the_corners(file):
    space = "data.augment.views: {int: [1, 8]}\n"
    most = load(file("[kd]", space=space)).outputs[0].num_bytes
    words = [load(file("[kd]", f"max_cache_bytes: {n}", space)).outputs[0].stored
             for n in (most, most - 1)]  # fmt: skip
    assert words == ["logits", "none"]


def test_strategies_that_can_live_on_nothing_have_nothing_stored(file):
    sweep = load(file("[function_matching]", space="").rename("only.yaml"))
    (plan,) = sweep.outputs
    assert "function_matching" in plan.live
    path = Path("alone.yaml")
    text = Path("only.yaml").read_text()
    trial = text[text.index("trial:") : text.index("space:")]
    path.write_text(trial + "  strategy: function_matching\n")
    (plan,) = check_trial_file(path).outputs
    assert (plan.stored, plan.num_bytes, plan.parts[0].outputs) == ("none", 0, {})
    assert as_text([plan]) == [
        "  outputs     none is stored: no strategy here can live on them",
        "              live: function_matching (the strategy changes the batches that",
        "              both networks see)",
    ]
    # Features cannot be stored by the word, and logits would serve nobody.
    path.write_text(trial.replace("stages: 2}}", "stages: 2}, stored: logits}", 1)
                    + "  strategy: fitnet\n")  # fmt: skip
    (plan,) = check_trial_file(path).outputs
    assert (plan.stored, plan.num_bytes) == ("none", 0)


def test_the_layers_of_a_teacher_are_those_that_all_strategies_read(file):
    sweep = load(file("[kd, fitnet, attention_transfer]"))
    trial = TrialSpec.model_validate(resolved(at(sweep.spec, {"train.lr": 0.002})))
    (plan,) = sweep.outputs
    paths = ("stages.0", "stages.1")
    assert plan.layers == {model_key(trial, "teacher"): paths}
    assert load(file("[kd]")).outputs[0].layers == {}
    assert load(file("[kd, fitnet]", "stored: logits")).outputs[0].layers == {}


def test_samples_that_are_elsewhere_are_counted_where_they_are_known(file):
    path = file("[kd, fitnet]")
    assert load_for_elsewhere(path).outputs == load(path).outputs


def test_samples_that_only_their_files_tell_are_not_counted(tmp_path):
    for part, name in product(("train", "test"), "ab"):
        folder = tmp_path / "images" / part / name
        folder.mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (8, 8)).save(folder / f"{number}.png")
    path = tmp_path / "s.yaml"
    path.write_text(
        (SWEEP % ("", "[kd, fitnet]")).replace(
            "name: digits, augment: {crop: 1, views: 8}",
            f"name: image_folder, path: {tmp_path / 'images'}, size: [8, 8]",
        )
    )
    assert load(path).outputs[0].num_bytes is not None
    sweep = load_for_elsewhere(path)
    (plan,) = sweep.outputs
    assert plan.parts[0].num_samples is None
    assert (plan.num_bytes, plan.stored, plan.live) == (None, "logits", {})
    assert as_text(sweep.outputs) == [
        "  outputs     views x samples x values x 2 bytes; a view is the data in one",
        "              augmentation; the samples are not counted yet",
        "                      2 values    4 bytes each  logits",
        "                    256 values  512 bytes each  stages.0",
        "                    258 values  516 bytes each  together",
        "              stored up to 4.0 GiB for each trial, features only where samples",
        "              are counted",
    ]


def test_check_shows_the_arithmetic(file, capsys):
    path = file("[kd, fitnet, function_matching]")
    assert run("check", path.name) == 0
    out = capsys.readouterr().out
    assert (
        "  outputs     5 views x 1,079 samples x values x 2 bytes; a view is the data in\n"
        "              one augmentation:\n"
        "                     10 values       105.4 KiB  logits\n"
        "                    256 values         2.6 MiB  stages.0\n"
        "              stored: 2.7 MiB of at most 4.0 GiB\n"
        "              live: function_matching (the strategy changes the batches that\n"
        "              both networks see)\n"
    ) in out
    assert run("check", path.name, "--json") == 0
    (said,) = json.loads(capsys.readouterr().out)["outputs"]
    assert said == {
        "teacher": "teacher",
        "stored": "features",
        "max_cache_bytes": 4 * 2**30,
        "num_bytes": 5 * NUM * 266 * 2,
        "unseen": 0,
        "parts": [
            {
                "num_views": 5,
                "num_samples": NUM,
                "values": {"logits": 10, "stages.0": 256},
                "num_bytes": 5 * NUM * 266 * 2,
            }
        ],
        "refused": "",
        "live": {"function_matching": "the strategy changes the batches that both networks see"},
    }


def test_check_says_what_has_no_room(file, capsys):
    assert run("check", file("[kd, fitnet]", "max_cache_bytes: 200000").name) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert (
        "together 2.7 MiB, more than max_cache_bytes allows (195.3 KiB): only logits (105.4 KiB) "
        "are stored, and the teacher is asked for each batch in place of the rest; to store all of "
        "it set "
        f"max_cache_bytes of the teacher to {ALL} or more live: fitnet (features are not stored)"
    ) in out
    assert run("check", file("[kd]", "stored: none").name) == 0
    assert "nothing is stored: the teacher is asked for each batch" in capsys.readouterr().out


def test_check_of_one_trial_shows_what_it_will_store(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("trial.yaml").write_text(
        "trial:\n  data: digits\n  teacher: {model: {name: cnn, width: 4, stages: 2}}\n"
        "  student: {name: cnn, width: 2, stages: 2}\n  strategy: fitnet\n"
    )
    (plan,) = check_trial_file("trial.yaml").outputs
    assert plan.num_bytes == NUM * (10 + STAGE_0) * 2
    assert run("check", "trial.yaml") == 0
    assert "  outputs     1 view x 1,079 samples x values" in capsys.readouterr().out
    assert run("check", "trial.yaml", "--json") == 0
    assert json.loads(capsys.readouterr().out)["outputs"][0]["stored"] == "features"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"stored": "all"},
            "teacher.stored: 'all' is not allowed (allowed: 'auto', 'features', 'logits' or",
        ),
        ({"max_cache_bytes": -1}, "teacher.max_cache_bytes: -1 is not allowed: must be at least 0"),
    ],
)
def test_settings_that_are_refused(settings, sentence):
    trial = TrialSpec(data="digits", student="cnn", teacher={"model": "cnn"})
    with pytest.raises(SpecError) as caught:
        at(trial, {f"teacher.{key}": value for key, value in settings.items()})
    assert caught.value.problems[0].startswith(sentence)
