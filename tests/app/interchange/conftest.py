"""Text is set by Qt: one application object without a screen, as the window's tests have."""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest

from tests.app.interchange.made_boards import Blobs, sample


@pytest.fixture(autouse=True)
def application(qapp):
    return qapp


@pytest.fixture
def blobs(tmp_path):
    return Blobs(tmp_path / "package")


@pytest.fixture
def board(blobs):
    return sample(blobs)
