import base64
import hashlib
import json
import re
from html.parser import HTMLParser

from sweep_views import NONE, RUN, replicated, shares, student, view

from kdsweep.report.answers.confirmed import Told
from kdsweep.report.answers.section import Table, cells
from kdsweep.report.html import figures_json, picture_page
from kdsweep.report.pictures import PICTURES, draw
from kdsweep.report.trial_sheet import trial_sheet
from kdsweep.report.whole_report import report_numbers, report_page, sections

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\"'"


class Page(HTMLParser):
    """The elements of a page, what it names elsewhere, and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.links, self.text, self.handlers = [], [], [], []
        self._inside = []
        self.feed(page.decode())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.links += [value for name, value in attrs if name in ("src", "href")]
        self._inside.append(tag)

    def handle_endtag(self, tag):
        if tag in self._inside:
            while self._inside.pop() != tag:
                pass

    def handle_data(self, data):
        if not {"script", "style"} & set(self._inside):
            self.text.append(data)


def page_of(found):
    return report_page(found, "runs/digits", sections(found, "runs/digits"), draw(found))


def test_a_report_answers_every_question_and_needs_no_other_file():
    found = view(RUN)
    page = Page(page_of(found))
    titles = [section.title for section in sections(found, "runs/digits")]
    assert titles == [
        "The front", "Did distillation help?", "Which strategy is best at which size?",
        "What mattered?", "The controls", "What failed, and why?", "What did it cost?",
        "How the front learned", "All trials", "How it was made", "To go on",
    ]  # fmt: skip
    text = " ".join(page.text)
    assert all(title in text for title in titles)
    assert "loss is nan at epoch 3" in text
    # Every link leads to a part of the page, every image is in it.
    assert page.links
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)
    assert page.tags.count("script") == 3
    assert page.tags.count("link") == page.tags.count("iframe") == 0


def test_strings_of_records_are_text_wherever_they_stand():
    odd = {"name": HOSTILE, "temperature": 2.0, HOSTILE: HOSTILE}
    hostile = [
        student(
            number, 0.5 + number / 10, 10 * 10**number, strategy=odd, name=HOSTILE,
            lane=HOSTILE, device=HOSTILE,
        )
        for number in range(3)
    ]  # fmt: skip
    hostile += [
        student(3, 0.4, 50, status="failed", error=HOSTILE, name=HOSTILE),
        student(4, 0.4, 50, strategy=NONE, role="control", name=HOSTILE),
    ]
    mattered = shares(**{HOSTILE: (0.9, 0.2), f"x[y].{HOSTILE}": (0.1, 0.5)})
    found = view(
        hostile, mattered, name=HOSTILE, host=HOSTILE, ended_by=HOSTILE,
        packages={HOSTILE: HOSTILE},
    )  # fmt: skip
    drawn = draw(found)
    pages = [page_of(found)]
    pages += [picture_page(n, f"{HOSTILE}: {n}", "", each.figure) for n, each in drawn.items()]
    for content in pages:
        page = Page(content)
        assert page.tags.count("script") == 3
        assert page.handlers == []
        assert b"<script>alert" not in content
        assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)
    assert HOSTILE in "".join(Page(pages[0]).text)


def test_no_script_runs_but_ours_and_nothing_is_fetched():
    content = page_of(view(RUN)).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', content)
    assert "default-src &#39;none&#39;" in policy
    scripts = re.search(r"script-src ([^;]*);", policy.replace("&#39;", "'"))[1].split()
    assert len(scripts) == 2
    assert all(re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", script) for script in scripts)
    # The hash is of the script as it stands in the page.
    own = re.search(r"<script>(.*?)</script>", content, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in scripts


def test_the_same_sweep_gives_the_same_page():
    assert page_of(view(RUN)) == page_of(view(RUN))


def test_figures_in_a_script_element_do_not_end_it():
    figure = PICTURES["front"].figure(view([student(i, 0.5, 10 + i, name=HOSTILE) for i in (1, 2)]))
    text = figures_json({"front": figure})
    assert "<" not in text
    assert json.loads(text)["front"]["data"]


def test_numbers_for_scripts_have_every_answer():
    found = view([*RUN, student(7, float("nan"), 300)])
    numbers = report_numbers(found, "runs/digits", sections(found, "runs/digits"))
    text = json.dumps(numbers, allow_nan=False)
    assert json.loads(text)["run"] == "runs/digits"
    answers = numbers["answers"]
    assert {"front", "helped", "strategies", "mattered", "failures", "cost"} <= set(answers)
    assert answers["failures"]["failed"] == 1
    assert [row["trial_id"] for row in answers["front"]["front"]] == ["t0", "t1", "t3"]


def test_a_sweep_that_has_only_begun_has_a_report():
    for results in ([], [RUN[5]], [RUN[0]]):
        found = view(results, status="running")
        assert b"All trials" in page_of(found)


def test_the_sheet_sorts_by_numbers_and_marks_the_front():
    sheet = trial_sheet(view(RUN), view(RUN).points)
    accuracy = sheet.header.index("accuracy")
    assert [row[accuracy].text for row in sheet.rows][:2] == ["80.00%", "90.00%"]
    assert [row[accuracy].value for row in sheet.rows][:2] == [0.8, 0.9]
    assert sheet.marked == (True, True, False, True, False, False, False)
    assert sheet.numeric[accuracy]
    assert not sheet.numeric[sheet.header.index("strategy")]
    points = view([*replicated(0, [0.75, 0.85], 1_000)])
    sheet = trial_sheet(points, points.points)
    assert sheet.rows[0][sheet.header.index("accuracy")].text == "80.00% ±7.07"
    assert sheet.rows[0][sheet.header.index("n")].text == "2"


def test_a_confirmation_has_its_place_behind_the_front():
    table = Table(("student", "confirmed"), (cells("kd w8", 0.96),))
    found = sections(view(RUN), "runs/digits", confirmation=Told((table,), ("It holds.",), ()))
    assert [section.key for section in found][:3] == ["front", "confirmed", "helped"]


def test_what_was_confirmed_is_not_guessed_at_and_the_test_data_are_named():
    told = Told((Table(("student", "test"), (cells("kd w8", 0.99),)),), ("It holds.",), ())
    found = view(RUN)
    alone, both = (sections(found, "r", confirmation=each) for each in (None, told))
    assert alone[0].sentences[1].endswith("so that expect a little less on new data.")
    (said,) = both[0].sentences[1:]
    assert said.endswith(
        "luckiest. Below is what a confirmation has found, with fresh seeds and on test data."
    )
    ends = [report_page(found, "r", each, {}).decode() for each in (alone, both)]
    assert "All accuracies are on validation data." in ends[0]
    assert "All accuracies" not in ends[1]
    assert "but for those of a confirmation that are said to be on test data." in ends[1]
