import json

import pytest
from run_records import trial_result

from kdsweep.report.choice import Facts, against, noise_sentence, rejected_lines, why
from kdsweep.report.choice_row import choice_row
from kdsweep.results.select import select

TWO = {"accuracy": "max", "params": "min"}


def student(number, accuracy, params, *, role="trial", **more):
    return trial_result(
        number, role=role, name=f"kd w{number}",
        trial={"student": {"name": "cnn", "width": number}, "strategy": {"name": "kd"}},
        metrics={"accuracy": accuracy, "params": params, **more},
    )  # fmt: skip


# A quarter of the teacher's parameters, one point below it.
RUN = [
    student(0, 0.80, 1_000, latency_ms=1.0),
    student(1, 0.90, 5_000, latency_ms=2.0, role="control"),
    student(2, 0.97, 40_000, latency_ms=2.0),
    student(3, 0.97, 50_000, latency_ms=4.0),
]
FACTS = Facts(TWO, {"accuracy": 0.98, "params": 160_000.0}, examples=98)


def test_why_the_most_accurate():
    assert why(select(RUN[:3], TWO), FACTS) == (
        "the most accurate of 3 complete trials; 1.00 points below the teacher with 25% of its "
        "parameters"
    )
    assert why(select(RUN[:3], TWO, max_params=5_000), FACTS) == (
        "the most accurate of the 2 that fit; 8.00 points below the teacher with 3.1% of its "
        "parameters"
    )


def test_why_the_smallest_and_the_fastest():
    assert why(select(RUN, TWO, prefer="params"), Facts(TWO)) == "the smallest of 4 complete trials"
    fast = select(RUN, TWO, min_accuracy=0.9, prefer="latency")
    assert why(fast, Facts(TWO)) == (
        "the fastest of the 3 that fit (1 other is equal in that: the other objectives decide)"
    )


def test_why_the_only_one():
    assert why(select(RUN, TWO, max_params=1_000), Facts(TWO)) == (
        "the only one of 4 complete trials that fits"
    )
    assert why(select(RUN[:1], TWO), Facts(TWO)) == "the only complete trial"


def test_why_the_knee():
    # Decades: 1,000 and 100,000 are the ends, 10,000 is in the middle: (1 - 1/2 - 1/4) / sqrt(2).
    three = [student(0, 0.5, 1_000), student(1, 0.8, 10_000), student(2, 0.9, 100_000)]
    assert why(select(three, TWO, prefer="knee"), Facts(TWO)) == (
        "the knee of the 3 on the front of what fits: 0.18 from the line between its ends, "
        "t0000 (1,000 parameters, 50.00%) and t0002 (100,000 parameters, 90.00%)"
    )
    assert why(select(three[:2], TWO, prefer="knee"), Facts(TWO)) == (
        "the better end: a front of two members, as of what fits, has no knee"
    )
    bent = [three[0], student(1, 0.51, 10_000), three[2]]
    assert why(select(bent, TWO, prefer="knee"), Facts(TWO)).startswith(
        "the better end: the front of what fits bends away from the line between t0000 ("
    )


@pytest.mark.parametrize(
    ("accuracy", "said"),
    [(0.98, "as accurate as the teacher"), (0.99, "1.00 points above the teacher")],
)
def test_beside_the_teacher(accuracy, said):
    found = why(select([student(0, accuracy, 160_000)], TWO), FACTS)
    assert found == f"the only complete trial; {said} with 100% of its parameters"


def test_what_the_others_cost_or_gain():
    choice = select(RUN, TWO)
    # With a success and a failure more 96.06 and 89.2 of 100: the variances of the shares are
    # 0.9606 * 0.0394 / 100 and 0.892 * 0.108 / 100, 1.96 times the root of their sum is 0.0718.
    assert against(RUN[3], choice, FACTS) == "as accurate, 125% of the parameters"
    assert against(RUN[1], choice, FACTS) == (
        "7.00 points less accurate (within the noise of ±7.2), 12% of the parameters"
    )
    assert against(RUN[0], choice, FACTS) == "17.00 points less accurate, 2.5% of the parameters"
    fast = select(RUN, TWO, prefer="latency")
    assert against(RUN[3], fast, Facts(TWO)) == (
        "17.00 points more accurate, 50 times the parameters, 4 times the latency"
    )


def test_the_noise_is_told_once_for_all():
    assert noise_sentence(select(RUN, TWO), FACTS) == (
        "2 of the next 3 cannot be told from it by accuracy: 98 validation examples leave up to "
        "±7.2 points to chance"
    )
    assert noise_sentence(select(RUN, TWO), Facts(TWO, examples=1_000_000)) == (
        "1 of the next 3 cannot be told from it by accuracy: 1,000,000 validation examples leave "
        "up to ±0.0 points to chance"
    )
    assert noise_sentence(select(RUN, TWO), Facts(TWO)) is None
    assert noise_sentence(select(RUN[1:2], TWO), FACTS) is None
    assert noise_sentence(select(RUN[2:], TWO), FACTS).startswith("the next one cannot be told")


def test_front_members_that_do_not_fit_and_a_count_of_the_rest():
    many = [student(i, 0.5 + i / 100, 1_000 * (i + 1)) for i in range(9)]
    lines = rejected_lines(select(many, TWO, max_params=2_000))
    assert lines[0] == "t0002  cnn w2, kd: params 3,000 > 2,000"
    assert lines[5:] == ["and 2 more of the front: see --json"]
    # Trial 3 is beaten by trial 2, and on no front.
    beaten = select(RUN, TWO, max_params=5_000)
    assert [line.split()[0] for line in rejected_lines(beaten)] == ["t0002"]


def test_the_row_has_all_of_it():
    own = {"params": {"min": 900}}
    row = choice_row(select(RUN, TWO, max_params=40_000, constraints=own), FACTS)
    json.dumps(row, allow_nan=False)
    assert row["chosen"]["trial_id"] == "t0002"
    assert row["limits"] == [
        {"metric": "params", "max": 40_000, "of": "given"},
        {"metric": "params", "min": 900, "of": "sweep"},
    ]
    assert [each["trial_id"] for each in row["runners_up"]] == ["t0001", "t0000"]
    assert row["runners_up"][0]["noise"] == pytest.approx(0.0718, abs=1e-4)
    assert row["rejected"][0]["on_front"] is False
    assert row["validation_examples"] == 98


def test_the_row_of_no_choice_says_what_to_relax():
    row = choice_row(
        select(RUN, TWO, within=0.001, teacher_accuracy=0.98), Facts(TWO, {"accuracy": 0.98})
    )
    assert (row["chosen"], row["why"], row["runners_up"]) == (None, None, [])
    assert row["relax"] == [
        {
            "trial_id": "t0002",
            "limits": [{"metric": "accuracy", "min": 0.979, "of": "teacher", "bound": 0.01}],
        }
    ]


def test_a_limit_that_is_no_number_of_json_is_none():
    choice = select(RUN, TWO, constraints={"params": {"max": float("inf")}})
    assert choice_row(choice, FACTS)["limits"] == [{"metric": "params", "max": None, "of": "sweep"}]
