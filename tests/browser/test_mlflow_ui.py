"""A sweep in MLflow's own UI, as somebody sees it who has set nothing up."""

import os
import re
import socket

import pytest
from run_records import run_meta, trial_result

from kdsweep.results.meta import TeacherMeta
from kdsweep.results.record import EpochMetrics
from kdsweep.results.store import RunStore
from kdsweep.tracking import default_uri, sync
from kdsweep.tracking.server import Server, runs_page

NOT_OURS = (
    # MLflow's UI asks who is there; its server has an answer only where it asks for passwords.
    "/ajax-api/2.0/mlflow/users/current",
)
FOREIGN = "<img src=/planted-by-a-name onerror=alert(1)> **x**"
DATA = {"name": "digits", "split_seed": 0}
TEACHER = {"model": {"name": "cnn", "width": 64, "stages": 2}, "weights": None}


def record(number, called, accuracy, params, *, role="trial", status="complete", **strategy):
    """A trial (or teacher) of four epochs, with all that its run in MLflow is made from."""
    begun = 1_795_255_210 + 10 * number
    epochs = [
        EpochMetrics(epoch=epoch, accuracy=accuracy * epoch / 4, loss=1 / epoch, lr=1e-3,
                     seconds=1.0, train={"total": 1 / epoch, "hard": 0.5 / epoch})
        for epoch in range(1, 5)
    ]  # fmt: skip
    return trial_result(
        number, name=called, role=role, status=status, epochs=epochs, started=begun, seconds=5.0,
        trial={"data": DATA, "teacher": TEACHER, "student": {"name": "cnn", "width": 8},
               "strategy": strategy, "train": {"epochs": 4, "lr": 1e-3}},
        metrics={"accuracy": accuracy, "params": params, "latency_ms": params / 1e4},
        weights_of_terms={"hard": 1.0},
    )  # fmt: skip


RECORDS = [
    record(0, "teacher cnn", 0.98, 87_000.0, role="teacher").model_copy(
        update={"trial_id": "teacher-ab"}
    ),
    record(0, "none w8", 0.90, 6_000.0, role="control", name="none"),
    record(1, "kd w16 T4.2 a0.31", 0.97, 9_000.0, name="kd", temperature=4.2, alpha=0.31),
    record(2, "kd w2 T2 a0.5", 0.85, 700.0, name="kd", temperature=2.0, alpha=0.5),
    record(3, FOREIGN, 0.80, 900.0, name="my.module:<b>", extra={"fitnet": {"weight": 1.0}}),
    record(4, "none w4", 0.30, 1_000.0, status="pruned", name="none"),
]
BY_ACCURACY = ["teacher: cnn w64 s2", "kd w16 T4.2 a0.31", "control: none w8", "kd w2 T2 a0.5",
               FOREIGN, "none w4"]  # fmt: skip


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """The page that ``kdsweep ui`` names; a server of the real store stands behind it."""
    before, root = dict(os.environ), tmp_path_factory.mktemp("runs")
    teacher = TeacherMeta(hash="ab", name="cnn", accuracy=0.98, params=87_000)
    meta = run_meta(status="complete", trials=5, teacher=teacher, data_fingerprint="5eed" * 16)
    store = RunStore.create(root / "digits", meta=meta, sweep_text="description: Small ones.\n")
    for each in RECORDS:
        store.write(each)
    uri = default_uri(root)
    sync(store, uri, "kdsweep")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = Server(uri, host="127.0.0.1", port=port)
    try:
        server.wait_until_up()
        yield runs_page(uri, server.address)
    finally:
        server.stop()
        os.environ.clear()
        os.environ.update(before)


def names(page):
    """The runs of the table from top to bottom."""
    rows = page.locator(".ag-row", has=page.get_by_role("link"))
    found = [
        (int(row.get_attribute("row-index")), row.get_by_role("link").first.inner_text())
        for row in rows.all()
    ]
    return [name for _, name in sorted(found)]


def row_of(page, name):
    """Which of the table's rows a run is; columns that stay in sight are elements of their own."""
    row = page.locator(".ag-row", has=page.get_by_role("link", name=name, exact=True))
    return page.locator(f'.ag-row[row-index="{row.first.get_attribute("row-index")}"]')


def has_menu_of_training(page):
    """Whether the menu on the left is that of models to train, not that of language models."""
    page.get_by_role("link", name="Models", exact=True).wait_for()
    return page.get_by_text("Evaluation runs", exact=True).count() == 0


def test_trials_lie_below_their_sweep_and_the_columns_are_those_to_choose_by(opened, watched):
    page = watched.page
    page.goto(opened)
    page.get_by_role("link", name="digits", exact=True).wait_for()
    assert names(page) == ["digits"]
    for header in ("accuracy", "params", "latency_ms", "strategy", "on_front", "role", "status"):
        assert page.locator(".ag-header-cell", has_text=header).first.is_visible(), header
    row_of(page, "digits").get_by_role("button").first.click()
    page.get_by_role("link", name="control: none w8", exact=True).wait_for()
    assert names(page)[0] == "digits"
    assert set(names(page)[1:]) == set(BY_ACCURACY)
    cells = row_of(page, "kd w16 T4.2 a0.31")
    for column, text in (("metrics.`accuracy`", "0.97"), ("metrics.`params`", "9000"),
                         ("params.`strategy`", "kd"), ("tags.`on_front`", "true"),
                         ("tags.`role`", "trial"), ("tags.`status`", "complete")):  # fmt: skip
        assert cells.locator(f'[col-id="{column}"]').inner_text() == text
    # One click on a column sorts by it.
    page.locator(".ag-header-cell", has_text="accuracy").first.click()
    page.wait_for_url(re.compile("orderByKey=metrics.%60accuracy%60&orderByAsc=false"))
    page.wait_for_function(
        "name => document.querySelector('.ag-row[row-index=\"0\"]')?.innerText.includes(name)",
        arg=BY_ACCURACY[0],
    )
    assert [name for name in names(page) if name != "digits"] == BY_ACCURACY
    assert watched.errors_but(*NOT_OURS) == []


def test_the_menu_of_views_has_the_front(opened, watched):
    page = watched.page
    page.goto(opened)
    page.get_by_role("link", name="digits", exact=True).wait_for()
    page.get_by_role("button", name="Sweeps and their trials").click()
    page.get_by_role("menuitem", name="Students on the fronts").click()
    page.get_by_role("link", name="kd w16 T4.2 a0.31", exact=True).wait_for()
    assert names(page) == ["kd w2 T2 a0.5", "control: none w8", "kd w16 T4.2 a0.31"]
    # The address has lost the menu by now.
    assert "workflowType" not in page.url
    assert has_menu_of_training(page)
    page.get_by_role("link", name="kd w16 T4.2 a0.31", exact=True).click()
    page.get_by_text("accuracy 97.00%, 9,000 parameters").wait_for()
    assert has_menu_of_training(page)
    assert watched.errors_but(*NOT_OURS) == []


def test_without_a_view_the_runs_have_the_columns_to_choose_by_too(opened, watched):
    page = watched.page
    page.goto(opened.partition("#")[0])
    page.goto(f"{opened.partition('#')[0]}#/experiments")
    page.get_by_role("link", name="kdsweep", exact=True).click()
    page.get_by_role("link", name="digits", exact=True).wait_for()
    assert "viewStateShareKey" not in page.url
    for header in ("accuracy", "params", "latency_ms", "strategy"):
        assert page.locator(".ag-header-cell", has_text=header).first.is_visible(), header
    assert has_menu_of_training(page)
    # What a person has chosen is theirs: a page that is loaded again does not undo it.
    page.get_by_role("radio", name="GenAI").or_(page.get_by_text("GenAI", exact=True)).last.click()
    page.get_by_text("Evaluation runs", exact=True).wait_for()
    page.goto(opened.partition("#")[0])
    page.goto(f"{opened.partition('#')[0]}#/experiments/1/runs")
    page.get_by_text("Evaluation runs", exact=True).wait_for()
    assert watched.errors_but(*NOT_OURS) == []


def test_the_description_of_a_sweep_opens_a_view(opened, watched):
    page = watched.page
    page.goto(opened)
    page.get_by_role("link", name="digits", exact=True).click()
    link = page.get_by_role("link", name="Trials, most accurate first")
    link.wait_for()
    page.goto(f"{opened.partition('#')[0]}{link.get_attribute('href')}")
    page.get_by_role("link", name=BY_ACCURACY[1], exact=True).wait_for()
    assert names(page)[0] == BY_ACCURACY[1]
    assert watched.errors_but(*NOT_OURS) == []


def test_a_sweep_has_a_description_and_pictures(opened, watched):
    page = watched.page
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(opened)
    page.get_by_role("link", name="digits", exact=True).click()
    page.get_by_text("5 of 5 trials have ended (4 complete, 1 pruned)").wait_for()
    page.get_by_text("Show more").click()
    table = page.get_by_role("row")
    assert "700 85.00% 81.2 to 88.2% t0002" in " ".join(
        table.filter(has_text="85.00%").inner_text().split()
    )
    assert page.get_by_text("Small ones.").is_visible()
    on_front = table.filter(has_text="85.00%").get_by_role("link", name="t0002")
    assert "/runs/" in on_front.get_attribute("href"), "a trial of the front has its page"
    assert page.get_by_text(re.compile(r"^kdsweep select .*/digits$", re.M)).is_visible()
    assert page.get_by_text("digits (5eed5eed").first.is_visible(), "the data set"

    page.get_by_role("tab", name="Artifacts").or_(page.get_by_text("Artifacts")).first.click()
    page.get_by_text("front.png", exact=True).click()
    picture = page.locator("img[alt='front.png'], img[src^='blob:'], img[src*='front.png']").first
    picture.wait_for()
    page.wait_for_function("image => image.naturalWidth > 300", arg=picture.element_handle())
    page.get_by_text("pictures", exact=True).click()
    page.get_by_text("front.html", exact=True).click()
    page.frame_locator("iframe").locator("svg.main-svg").first.wait_for()
    assert watched.errors_but(*NOT_OURS) == []
    assert not any("planted-by-a-name" in url for url in asked)


def test_a_name_is_text_whatever_is_in_it(opened, watched):
    page = watched.page
    asked, dialogs = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(opened.replace("kdsweep-sweeps", "kdsweep-trials"))
    page.get_by_role("link", name=FOREIGN, exact=True).click()
    page.get_by_text("accuracy 80.00%, 900 parameters").wait_for()
    assert not any("planted-by-a-name" in url for url in asked)
    assert dialogs == []
    assert watched.errors_but(*NOT_OURS) == []
