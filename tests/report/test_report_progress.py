import io
import threading

from rich.console import Console

from kdsweep.report import live_view
from kdsweep.report.progress import Progress
from kdsweep.results.pareto import front
from kdsweep.results.record import EpochMetrics, TrialResult

TWO = {"accuracy": "max", "params": "min"}


def ended(number, *, status="complete", role="trial", error=None, accuracy=0.9):
    return TrialResult(
        trial_id=f"t{number}", number=number, role=role, status=status, name=f"kd w{number}",
        trial={"student": {"name": "cnn"}, "strategy": {"name": "kd"}},
        metrics={"accuracy": accuracy, "params": 100 + number} if status == "complete" else {},
        error=error, seconds=1.25,
    )  # fmt: skip


def epoch(number, accuracy):
    return EpochMetrics(epoch=number, accuracy=accuracy, loss=0.1, lr=0.1, seconds=0.1)


def plain(**more):
    return Console(file=io.StringIO(), width=80, **more)


def shown(progress):
    console = plain()
    console.print(progress.draw())
    return console.file.getvalue()


def test_plain_output_is_a_line_per_trial():
    console = plain()
    with Progress("digits", 12, TWO, console) as progress:
        progress.phase("starting Ray")
        progress.trial_started("t1", "kd w1")
        progress.trial_epoch("t1", epoch(1, 0.5), 20)
        progress.trial_ended(ended(1), [ended(1)])
        progress.trial_ended(
            ended(2, status="failed", error="net.py, line 3:\n  RuntimeError: [x] bad shape"),
            [ended(1)],
        )
        progress.message("MLflow [red] is down")
    assert console.file.getvalue().splitlines() == [
        "starting Ray",
        "[ 1/12] complete  t1  kd w1  90.00%  101 params  front  1.2 s",
        "[ 2/12] failed    t2  kd w2  net.py, line 3: RuntimeError: [x] bad shape  1.2 s",
        "MLflow [red] is down",
    ]


def test_a_terminal_has_messages_folded_at_spaces_and_paths_whole():
    console = Console(file=io.StringIO(), width=30, force_terminal=True)
    path = "/home/somebody/runs/digits/trials/00007/result.json"
    with Progress("digits", 12, TWO, console) as progress:
        progress.message(f"the whole traceback of a failed trial is in {path}")
    said = console.file.getvalue()
    assert f"the whole traceback of a\n  failed trial is in\n  {path}\n" in said


def test_plain_output_says_a_phase_once():
    console = plain()
    with Progress("digits", 12, TWO, console) as progress:
        for number in range(1, 31):
            progress.phase(f"teacher: epoch {number}/30")
        progress.phase("searching")
    assert console.file.getvalue().splitlines() == ["teacher: epoch 1/30", "searching"]


def test_trials_of_an_earlier_run_count_as_done():
    console = plain()
    with Progress("digits", 12, TWO, console, done=10) as progress:
        progress.trial_ended(ended(11), [ended(11)])
    assert console.file.getvalue().startswith("[11/12] complete")


def test_live_display_shows_counts_lanes_and_front(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(live_view.time, "monotonic", lambda: clock[0])
    progress = Progress("digits", 6, TWO, plain(force_terminal=True))
    progress.phase("searching")
    for number in range(1, 4):
        progress.trial_started(f"t{number}", f"kd w{number}")
    progress.trial_epoch("t3", epoch(7, 0.875), 20)
    clock[0] = 110.0
    progress.trial_ended(ended(1), [ended(1)])
    progress.trial_ended(ended(2, status="failed"), [ended(1)])
    text = shown(progress)
    # Two trials in ten seconds, four to go: twenty seconds.
    assert "digits  2/6 done, 1 running, 1 failed, front 1  10s, about 20s left" in text
    assert "searching" in text
    assert "▸  t3  kd w3  epoch 7/20  accuracy 87.5%  lr 0.1" in text
    assert "● cnn kd: accuracy 90.00%, params 101" in text
    assert "validation accuracy [%]" in text
    assert "kd w2" not in text


def test_the_teacher_is_no_trial():
    progress = Progress("digits", 6, TWO, plain(force_terminal=True))
    progress.trial_ended(ended(0, role="teacher", accuracy=0.99), [])
    assert "0/6 done" in shown(progress)
    progress.trial_ended(ended(1), [ended(1)])
    assert "★ teacher" in shown(progress)


def test_many_lanes_do_not_fill_the_screen():
    progress = Progress("digits", 500, TWO, plain(force_terminal=True))
    for number in range(100):
        progress.trial_started(f"t{number}", f"kd w{number}")
    assert "and 92 more" in shown(progress)


def test_live_display_runs_and_leaves_failures_on_the_screen():
    console = Console(file=io.StringIO(), width=80, height=40, force_terminal=True)
    with Progress("digits", 2, TWO, console) as progress:
        progress.trial_started("t1", "kd w1")
        progress.trial_ended(ended(1, status="failed", error="out of memory"), [])
        progress.message("a word")
    text = console.file.getvalue()
    assert "[1/2] failed    t1  kd w1  out of memory" in text
    assert "a word" in text


LONG = "kd+attention_transfer w8 d1 s1 h16 T2.7 a0.83 attention_transfer.weight=0.0197"


def test_no_line_of_the_live_display_is_wider_than_the_terminal():
    console = plain(force_terminal=True, height=40)
    progress = Progress("digits", 500, TWO, console)
    progress.trial_started("00007", LONG)
    progress.trial_started("00008", f"{LONG} (2/3)")
    progress.trial_epoch("00007", epoch(7, 0.875), 20)
    member = ended(3).model_copy(
        update={"trial": {"student": {"name": "mine:" + "N" * 99}, "strategy": {"name": "kd"}}}
    )
    progress.trial_ended(member, [member])
    lines = shown(progress).splitlines()
    assert max(map(len, lines)) <= 80
    assert "  epoch 7/20  accuracy 87.5%  lr 0.1" in next(line for line in lines if "00007" in line)
    assert "… (2/3)" in next(line for line in lines if "00008" in line)


def test_many_threads_at_once_lose_nothing():
    console = plain()
    with Progress("digits", 400, TWO, console) as progress:

        def work(first):
            for number in range(first, first + 50):
                progress.trial_started(f"t{number}", "kd")
                progress.trial_epoch(f"t{number}", epoch(1, 0.5), 2)
                progress.trial_ended(ended(number), [])

        threads = [threading.Thread(target=work, args=(50 * i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 400
    assert "400/400 done" in shown(progress)
    assert "running" not in shown(progress)


def replicate(number, accuracy):
    """Trials 2 and 3 are of point 1."""
    found = ended(number, accuracy=accuracy)
    return found.model_copy(update={"point": number // 2, "replicate": number % 2, "replicates": 2})


def test_replicates_are_trials_in_the_counts_and_one_point_in_the_picture():
    console = plain(force_terminal=True, height=40)
    progress = Progress("digits", 4, TWO, console)
    first, second = replicate(2, 0.8), replicate(3, 0.9)
    progress.trial_started("t3", second.label)
    progress.trial_ended(first, [])
    assert "validation accuracy" not in shown(progress)
    assert "▸  t3  kd w3 (2/2)" in shown(progress)
    progress.trial_ended(second, front([first, second], TWO))
    text = shown(progress)
    assert "2/4 done, front 1" in text
    assert "● cnn kd: accuracy 85.00% ±7.07, params 102" in text
    assert "   85 │" in text


def test_the_line_of_a_replicate_says_which_it_is():
    console = plain()
    with Progress("digits", 4, TWO, console) as progress:
        progress.trial_ended(replicate(3, 0.9), [])
    assert console.file.getvalue() == (
        "[1/4] complete  t3  kd w3 (2/2)  90.00%  103 params  1.2 s\n"
    )


def test_nothing_of_a_trial_reaches_the_terminal_as_a_command():
    evil = "\x1b]0;pwn\x07"
    for terminal in (False, True):
        console = plain(force_terminal=terminal)
        with Progress(evil, 1, TWO, console) as progress:
            progress.trial_started("t1", evil)
            failed = ended(1, status="failed", error=evil).model_copy(update={"name": evil})
            progress.trial_ended(failed, [])
            progress.message(evil)
            console.print(progress.draw())
        said = console.file.getvalue()
        assert "\x07" not in said
        assert "\x1b]" not in said
        assert "\\x1b]0;pwn\\x07" in said
