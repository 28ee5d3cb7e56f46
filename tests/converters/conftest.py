"""Tiny models stay packed as large ones do: small ones are unpacked when a CPU loads them."""

import pytest

from mlx_model.store import folder


@pytest.fixture(autouse=True)
def packed(monkeypatch):
    monkeypatch.setattr(folder, "SMALL_BYTES", 0)
