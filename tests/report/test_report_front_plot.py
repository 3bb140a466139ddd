import pytest
from run_records import trial_result

from kdsweep.report.front_plot import key_lines, large_plot
from kdsweep.results.pareto import front

TWO = {"accuracy": "max", "params": "min"}


def student(number, accuracy, params, role="trial"):
    return trial_result(
        number, role=role, metrics={"accuracy": accuracy, "params": params},
        trial={"student": {"name": "cnn", "width": 2}, "strategy": {"name": "kd"}},
    )  # fmt: skip


def drawn(results, **more):
    members = front(results, TWO)
    return large_plot(results, members, TWO, teacher=None, width=37, height=10, **more), members


def test_each_member_has_a_letter_by_size_and_a_control_its_own():
    plot, members = drawn([
        student(0, 0.9, 10_000, "control"), student(1, 0.8, 1_000), student(2, 0.78, 20_000),
        student(3, 0.98, 1_000_000),
    ])  # fmt: skip
    # Decades 3 to 6 over 30 columns, 98 to 78 % over 6 lines.
    assert plot.splitlines() == [
        "validation accuracy [%]",
        "   98 │                             c",
        "      │",
        "      │          b",
        "   86 │",
        "      │a",
        "   78 │             ·",
        "      └──────────────────────────────",
        "       1k          31.6k           1M",
        "       student parameters   a-c front ◆ control · other",
    ]
    assert key_lines(members, TWO) == [
        "  a  t0001      1,000  80.00%  cnn w2, kd",
        "  b  t0000     10,000  90.00%  cnn w2, kd (control)",
        "  c  t0003  1,000,000  98.00%  cnn w2, kd",
    ]


@pytest.mark.parametrize(("num", "shown"), [(1, "a front"), (2, "a-b front"), (60, "a-Z front")])
def test_the_legend_has_the_letters_that_there_are(num, shown):
    plot, members = drawn([student(i, 0.1 + i / 100, 100 + i) for i in range(num)])
    assert plot.splitlines()[-1].split("   ")[-1].startswith(shown)
    lines = key_lines(members, TWO)
    assert len(lines) == min(num, 53)
    assert (lines[-1] == "  and 8 more") == (num == 60)
