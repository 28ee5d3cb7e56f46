"""A person starts the program for the first time and looks around."""


def test_a_sample_is_open_and_nothing_is_asked(window):
    assert window.ask("len(list(board.panels()))") > 0
    assert window.question("windows") == [window.ask("window.windowTitle()")], "a dialog is open"


def test_every_place_opens_by_key_and_by_mouse(window):
    for key, place in (
        ("ctrl+2", "Cast"),
        ("ctrl+3", "Models"),
        ("ctrl+4", "Queue"),
        ("ctrl+5", "LoRAs"),
        ("ctrl+1", "Board"),
    ):
        window.press(key)
        assert window.ask("[name for name, button in window.places.items() if button.isChecked()]") == [place.lower()]
    for place in ("Cast", "LoRAs", "Models", "Queue", "Board"):
        window.click(window.find_at(place, "ToolButton"))
        assert window.ask("[name for name, button in window.places.items() if button.isChecked()]") == [place.lower()]
