"""Numbers as people say them."""


def duration(seconds: float | None) -> str:
    """Such as 8 s, 2 min 5 s, 1 h 20 min; empty for None."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if whole else "under 1 s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(count: float) -> str:
    """Bytes as Finder shows them, in units of 1000: such as 7.8 GB."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}" if count < 100 * factor else f"{count / factor:.0f} {unit}"
    return f"{count:.0f} bytes"


def plural(count: int, one: str, many: str = "") -> str:
    """Such as 1 panel, 3 panels."""
    return f"{count} {one if count == 1 else many or one + 's'}"
