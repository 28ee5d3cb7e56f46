"""Tiny models stay packed here too."""

from tests.converters.conftest import packed

__all__ = ["packed"]
