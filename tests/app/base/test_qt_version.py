"""The window's toolkit must not lose references: on Python 3.11 that aborts the process after some thousand calls."""

import sys

from PySide6.QtCore import QObject


def test_calls_without_a_result_keep_none_alive():
    thing, before = QObject(), sys.getrefcount(None)
    for _ in range(1000):
        thing.setObjectName("x")
    assert sys.getrefcount(None) - before > -100
