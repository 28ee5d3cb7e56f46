from app.base.words import say_count, say_duration, say_left, say_length


def test_durations():
    said = [say_duration(seconds) for seconds in (0.25, 2.0, 9.97, 48.4, 59.7, 200, 3765, None)]
    assert said == ["0.25 s", "2 s", "10 s", "48 s", "1 min 0 s", "3 min 20 s", "1 h 2 min", ""]


def test_a_guess_of_what_is_left_has_no_hundredths():
    assert [say_left(seconds) for seconds in (0.61, 0.96, 12.4, 65, None)] == [
        "1 s left", "1 s left", "12 s left", "1 min 5 s left", "",
    ]  # fmt: skip


def test_how_long_a_panel_is_shown_is_rounded_alike_everywhere():
    """The board's card said 2.41667 s, the animatic 2.42."""
    assert [say_length(seconds) for seconds in (58 / 24, 2.0, 0.5, 125.5)] == ["2.42 s", "2 s", "0.5 s", "125.5 s"]


def test_counts():
    assert [say_count(n, "panel") for n in (0, 1, 3)] == ["0 panels", "1 panel", "3 panels"]
    assert say_count(2, "copy", "copies") == "2 copies"
