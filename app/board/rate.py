"""How many frames of a board are a second."""


def choose_rate(given: float) -> int | float:
    """The rate that is meant: 24 for 24.0, 24000 / 1001 for 23.976 and 23.98, as cameras and editors round it."""
    whole = round(given)
    if abs(given - whole) < 0.001:
        return whole
    slower = whole * 1000 / 1001
    return slower if abs(given - slower) < 0.006 else given
