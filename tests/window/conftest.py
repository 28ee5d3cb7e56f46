"""A screen for all tests, a fresh program for each; whatever it says on stderr fails the test."""

import json
import os
import shutil
from contextlib import contextmanager

import pytest

from tests.window.driver import NEEDED, Screen, Window
from tests.window.walking import LOOKS

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


@pytest.fixture(scope="session")
def screens():
    """A function that gives the one of a size, made when it is first asked for."""
    made: dict[tuple[int, int], Screen] = {}
    yield lambda size: made.get(size) or made.setdefault(size, Screen(size))
    for one in made.values():
        one.close()


@pytest.fixture
def in_turn(request, start, screens, tmp_path):
    """The program as it starts for the first time, in the size and appearance whose turn it is."""
    size, appearance = LOOKS[request.session.items.index(request.node) % len(LOOKS)]
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "settings.json").write_text(json.dumps({"appearance": appearance}))
    print(size, appearance)
    window = start(on=screens(size))
    yield window
    if window.process.poll() is None:
        window.ask("window.session.engine.cancel_all()")  # nothing to be asked about when it is closed
        window.wait(lambda: not window.ask("window.session.busy()"), "the end of all jobs")
