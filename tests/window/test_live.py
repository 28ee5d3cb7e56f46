"""Live mode on the real window: a draft at once, the full picture at rest, and what is kept is what was seen."""

from tests.window.test_edit_bar import PANEL, open_panel, takes

LIVE = "window.stack.currentWidget().live"
SEEN = f"({LIVE}.latest and [{LIVE}.is_draft, {LIVE}.latest.job.request.steps, {LIVE}.latest.job.request.prompt])"


def test_a_draft_then_the_full_picture_and_what_is_seen_is_kept(window):
    open_panel(window, 0)
    before = len(takes(window))
    window.click(window.find_at("Live", "ToolButton"))
    draft = window.wait(lambda: window.ask(SEEN), "the draft", 120)
    assert draft[:2] == [True, 2]
    window.wait(lambda: window.ask(SEEN)[0] is False, "the full picture", 120)
    assert window.ask(SEEN)[1] == 4
    assert window.shows("Live picture")
    window.click("Instruction")
    window.press("ctrl+End")
    window.type(" at night")
    window.wait(lambda: window.ask(SEEN)[2].endswith("at night"), "the latest words", 120)
    window.wait(lambda: window.ask(SEEN)[0] is False, "their full picture", 120)
    jobs = window.ask("[job.id for job in document.engine.jobs()]")
    window.click("Keep as Take")
    window.wait(lambda: len(takes(window)) == before + 1, "the take")
    assert '"steps": 4' in window.ask(f"{PANEL}.takes[-1].request")
    assert window.ask("[job.id for job in document.engine.jobs()]") == jobs, "it ran once more"
    window.press("ctrl+z")
    window.click(window.find_at("Live", "ToolButton"))
