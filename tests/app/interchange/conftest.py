import pytest
from made_boards import Blobs, sample


@pytest.fixture
def blobs(tmp_path):
    return Blobs(tmp_path / "package")


@pytest.fixture
def board(blobs):
    return sample(blobs)
