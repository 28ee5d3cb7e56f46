"""A person starts the program for the first time and looks around."""


def test_it_begins_on_home_with_a_sample_open_and_nothing_is_asked(window):
    assert window.began == ["home"]
    assert window.ask("len(list(board.panels()))") > 0
    assert window.question("windows") == [window.ask("window.windowTitle()")], "a dialog is open"


def test_the_pictures_of_the_sample_are_seen_on_the_screen(window):
    """What the screen shows, not what the program believes: a picture has many colours, an empty panel two or three."""
    places = [window.panel(number) for number in range(4)]
    code = f"""[len({{image.pixel(x + w * i // 16, y + h * j // 16) for i in range(2, 15) for j in range(2, 12)}})
        for image in [window.screen().grabWindow(0).toImage()] for x, y, w, h in {places}]"""
    window.wait(lambda: min(window.ask(code)) > 8, "pictures in all panels")


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


def test_a_story_of_home_is_played_by_mouse_and_by_keys(window):
    window.press("ctrl+0")
    window.click("A Chair in a Room")
    window.wait(lambda: window.ask("board.title") == "A Chair in a Room", "the story")
    assert window.question("cut") == []
    window.click(window.find_at("Home", "ToolButton"))
    window.wait(lambda: window.shows("Your boards"), "the boards")
    assert window.question("cut") == []
    window.press("Tab")
    while window.question("focus")["name"] != "The Gull Goes Out":
        window.press("Tab")
    window.press("Return")
    window.wait(lambda: window.ask("board.title") == "The Gull Goes Out", "the other story")


def test_the_second_run_begins_on_the_board_that_was_open_last(start):
    first = start()
    first.press("ctrl+n")
    first.wait(lambda: first.ask("board.title") == "Untitled", "a new board")
    first.close()
    second = start()
    assert (second.began, second.ask("board.title")) == (["board"], "Untitled")
