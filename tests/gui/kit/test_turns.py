"""When Python's collector goes through everything."""

import gc

from app.gui.kit import turns


def test_the_collector_waits_until_no_board_came_for_a_while(qapp, qtbot, monkeypatch):
    """It takes 40 ms and more, and came in the middle of the next board."""
    turns.spare_collections()
    done = []
    monkeypatch.setattr(turns.gc, "collect", lambda: done.append(1))
    turns._lull().setInterval(100)
    for _ in range(3):
        turns.spare_collections()
    assert done == []
    qtbot.waitUntil(lambda: done == [1])
    qtbot.wait(150)
    turns._lull().setInterval(turns.LULL)
    assert done == [1]
    assert gc.get_freeze_count()
