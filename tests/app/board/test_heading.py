"""Where a scene is, from headings as scripts have them."""

import pytest

from app.board.heading import name_place, say_place


@pytest.mark.parametrize(
    ("heading", "place"),
    [
        ("INT. BAR - NIGHT", "interior, bar, night"),
        ("EXT. McAvoy's House – DAY #12A#", "exterior, McAvoy's House, day"),
        ("INT./EXT. CAR - MOVING - DAWN", "interior and exterior, car, moving, dawn"),
        ("I/E KITCHEN - CONTINUOUS", "interior and exterior, kitchen"),
        ("INNEN. KÜCHE - NACHT", "interior, küche, nacht"),
        ("int harbour", "interior, harbour"),
        ("THE BEACH #7A#", "the beach"),
        ("INTERVAL", "interval"),
        ("EXT-", "exterior"),
        ("EXT. SPY-SHIP - LATER", "exterior, spy-ship"),
        ("", ""),
        ("#3#", ""),
        ("- LATER -", ""),
    ],
)
def test_places(heading, place):
    assert say_place(heading) == place


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("INT. KITCHEN - NIGHT", "kitchen"), ("EXT. McAvoy's House – DAY #12A#", "mcavoy's house"), ("EXT-", ""),
        ("I/E CAR - CONTINUOUS", "car"), ("THE BEACH", "the beach"),
    ],
)  # fmt: skip
def test_the_name_of_a_place_alone(heading, name):
    assert name_place(heading) == name
