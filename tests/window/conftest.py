"""A screen for all tests, a fresh program for each; whatever it says on stderr fails the test."""

import os
import shutil
from contextlib import contextmanager

import pytest

from tests.window.driver import NEEDED, Screen, Window

ASKED = "FLUX_LOCAL_WINDOW_TESTS"


def pytest_collection_modifyitems(items):
    missing = [name for name in NEEDED if not shutil.which(name)]
    reason = f"needs {', '.join(missing)}" if missing else f"runs with {ASKED}=1 (.ci/run)"
    if missing or not os.environ.get(ASKED):
        for item in items:
            if "tests/window" in item.nodeid:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def screen():
    made = Screen()
    yield made
    made.close()


@contextmanager
def programs(screen):
    """A function that starts the program in the folder `home`, with a board if given; in the end all said nothing."""
    windows: list[Window] = []

    def run(board=None, home=None, on=screen) -> Window:
        windows.append(Window(on, home, board))
        return windows[-1]

    yield run
    for one in windows:
        one.close()
    assert [one.said() for one in windows if one.said()] == []


@pytest.fixture
def start(screen, tmp_path):
    """A function that starts the program, with a board if given."""
    with programs(screen) as run:
        yield lambda board=None, home=tmp_path / "home", on=screen: run(board, home, on)


@pytest.fixture
def window(start):
    """The program as it starts for the first time."""
    return start()
