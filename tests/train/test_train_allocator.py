"""The memory that a process keeps, counted in the pages that the system hands out anew."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, torch
from kdsweep.train.allocator import keep_freed_memory
asked = "keep" in sys.argv and keep_freed_memory()
def pages_of_ten_steps():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        kept = [torch.ones(10_000_000) for _ in range(2)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
# While the heap still grows even a step that is kept has new pages.
print(int(asked), min(pages_of_ten_steps() for _ in range(8)))
"""


def pages(*arguments, **environment):
    """Whether the process could be asked, and the pages of ten steps."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    return tuple(int(word) for word in done.stdout.split())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the pages of Linux")
def test_what_a_step_frees_serves_the_next_one():
    _, without = pages()
    asked, kept = pages("keep")
    if not asked:
        pytest.skip("another allocator than glibc's")
    # Blocks of 40 MB are above all that glibc keeps by itself: 400 huge pages in ten steps, or up
    # to 195,000 small ones.
    assert without > 300
    assert kept < without / 10


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the pages of Linux")
def test_what_a_person_has_set_stays():
    small = {"MALLOC_MMAP_THRESHOLD_": "100000", "MALLOC_TRIM_THRESHOLD_": "100000"}
    _, anew = pages("keep", **small)
    assert anew > 300
