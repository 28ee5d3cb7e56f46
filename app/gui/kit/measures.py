"""The measures of the window: spaces, corners, letters, rows. No page, bar or card has others (tests/house holds it).

All in logical pixels. What a thing itself is large (a thumbnail, a rail) stands beside that thing.
"""

HAIR, TIGHT, GAP, WIDE, MARGIN, ROOM = 2, 4, 8, 12, 16, 24  # spaces: each is for what belongs together less closely
CHIP, CORNER, RADIUS = 4, 6, 8  # round corners: of marks and rows; of buttons and fields; of cards, pictures and lists
FINE, TEXT, LARGE, HEADING = 11, 13, 15, 20  # letters
ROW, TALL_ROW = 30, 36  # heights: of a button or field; of one that is meant to be seen first
BAR = 54  # the strip at the top of a page
ARROWS = 26  # what a number field keeps free at its right
EDGE, RING = 1, 2  # lines: around a control, and around the one that has the keys
INSET = TIGHT + 2 * RING  # from the edge of a flat button or of a title to its words
SPACES = {"hair": HAIR, "tight": TIGHT, "gap": GAP, "wide": WIDE, "margin": MARGIN, "room": ROOM}


def name_measures() -> dict[str, str]:
    """As a style sheet has them. "gap_1" is the space of a gap inside of a line of 1 px: with it it is the gap."""
    inside = {f"{name}_{line}": space - line for name, space in SPACES.items() for line in (EDGE, RING)}
    made = {
        **SPACES, **inside, "chip": CHIP, "corner": CORNER, "radius": RADIUS, "fine": FINE, "letters": TEXT,
        "large": LARGE, "heading": HEADING, "arrows": ARROWS, "row": ROW - 2 * TIGHT, "tall_row": TALL_ROW - 2 * TIGHT,
    }  # fmt: skip
    return {name: f"{size}px" for name, size in made.items()}
