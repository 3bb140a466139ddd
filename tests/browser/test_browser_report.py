"""The report as a person sees it: without a network, on a wide screen and on a phone."""

import pytest
from sweep_views import NONE, RUN, shares, student, view

from kdsweep.report.html import picture_page
from kdsweep.report.pictures import PICTURES, draw
from kdsweep.report.whole_report import report_page, sections

HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=alert(1)>"
SWEEP = [
    *RUN, student(7, 0.97, 50_000, name=HOSTILE), student(8, 0.5, 700, strategy=NONE, width=9)
]  # fmt: skip
DRAWN_WITHIN_MS = 60_000
ALL_ARE_DRAWN = """document.querySelectorAll(".drawn").length
    === document.querySelectorAll("[data-picture]").length"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    mattered = shares(train__lr=(0.75, 0.3), student__width=(0.25, 1.4), seed=(None, None))
    found = view(SWEEP, mattered)
    page = tmp_path_factory.mktemp("report") / "report.html"
    page.write_bytes(report_page(found, "runs/digits", sections(found, "runs/digits"), draw(found)))
    return page


@pytest.fixture
def opened(browser):
    """Opens a file without a network; at the end nothing was asked for and nothing went wrong."""
    asked, wrong, contexts = [], [], []

    def open_page(path, *, drawn=True, **how):
        context = browser.new_context(offline=True, **how)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        if drawn:
            page.wait_for_function(ALL_ARE_DRAWN, timeout=DRAWN_WITHIN_MS)
        return page

    yield open_page
    urls = {url for url in asked if not url.startswith(("data:", "blob:"))}
    assert all(url.startswith("file:") for url in urls)
    assert len(urls) <= 1
    assert wrong == []
    for context in contexts:
        context.close()


def scrolls_sideways(page):
    return page.evaluate("document.documentElement.scrollWidth > window.innerWidth")


def test_the_report_is_drawn_without_a_network(opened, report):
    page = opened(report, viewport={"width": 1280, "height": 900})
    assert page.locator("[data-picture]").count() == len(PICTURES)
    assert page.locator("[data-picture=front] .main-svg .scatterlayer path.point").count() > 4
    # No name of a record has become a part of the page.
    assert page.title() == "digits: report of the sweep"
    assert page.locator("img[src=x]").count() == 0
    assert not scrolls_sideways(page)
    # A still picture is for where nothing can be drawn.
    assert not page.locator(".still").first.is_visible()


def test_all_trials_are_sorted_and_searched(opened, report):
    page = opened(report, viewport={"width": 1280, "height": 900})
    rows = page.locator("#all-trials tbody tr")
    heads = page.locator("#all-trials thead th").all_inner_texts()
    accuracy = heads.index("accuracy")

    def shown():
        return [row.split("\t")[accuracy] for row in rows.all_inner_texts()]

    assert shown()[0] == "80.00%"
    head = page.locator("#all-trials thead th").nth(accuracy)
    head.locator("button").click()
    # One that has no accuracy is the last, however they are sorted.
    falling = ["97.00%", "95.00%", "90.00%", "80.00%", "78.00%", "60.00%", "50.00%", "10.00%"]
    assert shown() == [*falling, "-"]
    assert head.get_attribute("aria-sort") == "descending"
    head.locator("button").click()
    assert shown() == [*falling[::-1], "-"]
    assert head.get_attribute("aria-sort") == "ascending"
    page.locator("#all-trials thead th").nth(heads.index("strategy")).locator("button").click()
    assert rows.first.inner_text().split("\t")[heads.index("strategy")] == "fitnet"
    page.get_by_role("searchbox").fill("none CONTROL")
    assert page.locator("#all-trials tbody tr:visible").count() == 1
    assert page.locator("#all-trials-shown").inner_text() == "1 of 9"


@pytest.mark.parametrize("width", [1280, 800, 375])
def test_a_table_fits_or_says_that_it_scrolls_and_the_keyboard_reaches_it(opened, report, width):
    page = opened(report, drawn=False, viewport={"width": width, "height": 900})
    boxes, wide = page.locator(".scrolls"), 0
    for at in range(boxes.count()):
        box, table = boxes.nth(at), boxes.nth(at).locator(".wide")
        hidden = table.evaluate("e => e.scrollWidth - e.clientWidth")
        hint = box.locator("xpath=following-sibling::*[1]")
        assert hint.is_visible() == (hidden > 1)
        if hidden <= 1:
            assert "more-right" not in box.get_attribute("class")
            continue
        wide += 1
        shade = "e => getComputedStyle(e, '::after').opacity"
        page.wait_for_function("e => getComputedStyle(e, '::after').opacity === '1'",
                               arg=box.element_handle())  # fmt: skip
        table.focus()
        assert table.evaluate("e => document.activeElement === e")
        page.keyboard.press("ArrowRight")
        page.wait_for_function("e => e.scrollLeft > 0", arg=table.element_handle())
        table.evaluate("e => e.scrollTo({left: e.scrollWidth, behavior: 'instant'})")
        page.wait_for_function("e => e.classList.contains('more-left')", arg=box.element_handle())
        page.wait_for_function("e => !e.classList.contains('more-right')", arg=box.element_handle())
        page.wait_for_function(f"e => ({shade})(e) === '0'", arg=box.element_handle())
    front = page.locator("#front .wide:has(table)")
    if width == 1280:
        assert front.evaluate("e => e.scrollWidth <= e.clientWidth")
    if width == 375:
        assert wide > 0


def says_that_it_scrolls(page, name):
    """Whether the picture has the hint and the shadow; the keyboard then moves it."""
    box = page.locator(f".scrolls:has([data-picture={name}])")
    hint, frame = box.locator("xpath=following-sibling::*[1]"), box.locator(".frame")
    hidden = frame.evaluate("e => e.scrollWidth - e.clientWidth") > 1
    assert hint.is_visible() == hidden
    assert ("more-right" in box.get_attribute("class").split()) == hidden
    if hidden:
        assert hint.inner_text().startswith("The picture is wider than the page: scroll to the")
        frame.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("e => e.scrollLeft > 0", arg=frame.element_handle())
    return hidden


def test_a_picture_that_is_wider_than_a_phone_says_that_it_scrolls(opened, report):
    page = opened(report, viewport={"width": 390, "height": 800})
    assert says_that_it_scrolls(page, "importance")
    assert not says_that_it_scrolls(page, "front")


def test_no_name_of_an_axis_lies_upon_the_next_axis(opened, tmp_path):
    names = ("none", "attention_transfer", "x" * 22)
    results = []
    for n in range(9):
        strategy = {"name": names[n % 3], "temperature": 2.0 + n}
        found = student(n, 0.5 + n / 100, 1_000 + n, strategy=strategy)
        results.append(found.model_copy(update={"params": {"strategy.temperature": 2.0 + n}}))
    found = view(results)
    path = tmp_path / "report.html"
    path.write_bytes(report_page(found, "r", sections(found, "r"), draw(found)))
    for width in (390, 1280):
        page = opened(path, viewport={"width": width, "height": 900})
        boxes = page.locator("[data-picture=coordinates] .annotation .bg").evaluate_all(
            "all => all.map(e => { const b = e.getBoundingClientRect(); "
            "return [e.nextSibling.textContent, b.left, b.right]; })"
        )
        right = max(right for text, _, right in boxes if text == "x" * 22)
        after = [left for text, left, _ in boxes if text in ("2", "10")]
        assert len(after) == 2
        assert right < min(after)
        assert says_that_it_scrolls(page, "coordinates") == (width == 390)
        assert not scrolls_sideways(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_scrolling_to_the_side(opened, report, scheme):
    page = opened(report, viewport={"width": 375, "height": 800}, color_scheme=scheme)
    assert not scrolls_sideways(page)
    ground, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    bright = [sum(map(int, each[4:-1].split(","))) for each in (ground, ink)]
    assert (bright[0] < bright[1]) == (scheme == "dark")
    # The writing in the pictures turns with the page.
    writing = page.locator("[data-picture=front] .xtick text").first.evaluate("e => e.style.fill")
    assert (sum(map(int, writing[4:-1].split(","))) > 382) == (scheme == "dark")


def test_on_paper_there_are_still_pictures(opened, report):
    page = opened(report, viewport={"width": 1280, "height": 900})
    page.emulate_media(media="print")
    assert page.locator(".still").first.is_visible()
    assert not page.locator("[data-picture]").first.is_visible()


def test_a_picture_is_drawn_in_a_frame_that_may_only_run_scripts(opened, tmp_path):
    """As MLflow's UI shows an artifact: its own origin, and no file beside it."""
    figure = PICTURES["front"].figure(view(SWEEP))
    (tmp_path / "front.html").write_bytes(picture_page("front", "digits", "", figure))
    # An address of a blob in the page that holds the frame, as there.
    (tmp_path / "frame.html").write_text(
        """<!doctype html><iframe sandbox="allow-scripts" width="900" height="600"></iframe><script>
        window.show = text => { document.querySelector("iframe").src =
          URL.createObjectURL(new Blob([text], { type: "text/html" })); };</script>"""
    )
    page = opened(tmp_path / "frame.html", drawn=False, viewport={"width": 1000, "height": 700})
    page.evaluate("text => window.show(text)", (tmp_path / "front.html").read_text())
    frame = page.frame_locator("iframe")
    frame.locator(".drawn .main-svg").first.wait_for(timeout=DRAWN_WITHIN_MS)
    assert frame.locator(".scatterlayer path.point").count() > 4
