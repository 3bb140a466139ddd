"""A browser without a window, and the pages that tests look at."""

import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


class Watched:
    """A page, and what went wrong in it: errors of its console and of its scripts."""

    def __init__(self, page):
        self.page, self.errors = page, []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _hear(self, message):
        if message.type == "error":
            self.errors.append(f"{message.text} {message.location.get('url', '')}".strip())

    def errors_but(self, *known):
        """Errors in which none of these words is."""
        return [error for error in self.errors if not any(words in error for words in known)]


# Not for the session: while Playwright is up this thread has a running loop, and other tests start
# loops of their own.
@pytest.fixture(scope="module")
def browser():
    """Chromium; without one the test is skipped, but not where all tests have to run."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        why = f"none of {', '.join(NAMES)} is on the PATH"
        assert os.environ.get("CI") != "true", why
        pytest.skip(why)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # As root, which is what a container runs as, it has no sandbox.
        arguments = ["--no-sandbox"] if os.getuid() == 0 else []
        started = playwright.chromium.launch(executable_path=path, args=arguments)
        yield started
        started.close()


@pytest.fixture
def watched(browser):
    """A page of somebody who has never been here before."""
    context = browser.new_context(viewport={"width": 1920, "height": 1080})
    # Tests run beside others: what a person would call slow is none of theirs.
    context.set_default_timeout(90_000)
    yield Watched(context.new_page())
    context.close()
