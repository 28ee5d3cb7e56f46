"""Work in threads of its own: its result comes to this one, or to nobody where who asked is gone."""

import gc
import threading

from PySide6.QtCore import QCoreApplication, QEvent, QObject

from app.gui.kit.turns import beside


def test_the_result_comes_to_this_thread(qtbot):
    owner, came = QObject(), []
    beside().do(owner, threading.get_ident, lambda ident: came.append((ident, threading.get_ident())))
    qtbot.waitUntil(lambda: bool(came))
    assert came[0][0] != came[0][1] == threading.get_ident()


def test_nobody_hears_of_it_who_is_gone_and_no_thread_holds_what_asked(qtbot):
    goes_on, came, ended = threading.Event(), [], []
    owner = QObject()
    owner.destroyed.connect(lambda: ended.append(threading.get_ident()))
    beside().do(owner, goes_on.wait, came.append)
    assert beside()._waiting
    owner.deleteLater()
    QCoreApplication.sendPostedEvents(owner, QEvent.Type.DeferredDelete.value)
    del owner
    gc.collect()
    assert ended == [threading.get_ident()]
    goes_on.set()
    other = QObject()
    done = []
    beside().do(other, lambda: 1, done.append)
    qtbot.waitUntil(lambda: bool(done))
    qtbot.waitUntil(lambda: not beside()._waiting)
    assert came == []
