"""The camera of a panel: how the shot is taken, and what it sees from the panel's first moment to its last."""

from .picture import Struct

SHOT_NAMES = {
    "": "", "ECU": "Extreme close-up", "CU": "Close-up", "MCU": "Medium close-up", "MS": "Medium shot",
    "MLS": "Medium long shot", "LS": "Long shot", "ELS": "Extreme long shot", "EST": "Establishing shot",
    "OTS": "Over the shoulder", "POV": "Point of view", "INSERT": "Insert",
}  # fmt: skip
SHOTS = tuple(SHOT_NAMES)
ANGLES = ("", "eye level", "low", "high", "overhead", "dutch")
MOVES = ("", "static", "pan", "tilt", "push in", "pull out", "track", "handheld", "zoom")
NARROWEST = 0.1  # width of a frame: what is seen is still a tenth of the picture's pixels across


class Frame(Struct, frozen=True):
    """What the camera sees: its middle and its width as shares of the picture's, in its shape."""

    x: float = 0.5
    y: float = 0.5
    width: float = 1.0

    @property
    def fits(self) -> bool:
        """Whether it is a frame within the picture, which NaN is not."""
        edge = self.width / 2
        inside = all(edge - 1e-6 <= middle <= 1 - edge + 1e-6 for middle in (self.x, self.y))
        return NARROWEST - 1e-6 <= self.width <= 1 + 1e-6 and inside


class Camera(Struct, frozen=True):
    """`begin` and `end` None: where the move by its name goes, see `find_way`."""

    shot: str = ""
    angle: str = ""
    move: str = ""
    begin: Frame | None = None
    end: Frame | None = None


WHOLE = Frame()
_LEFT, _RIGHT, _HIGH, _LOW, _NEAR = (
    Frame(0.4, 0.5, 0.8), Frame(0.6, 0.5, 0.8), Frame(0.5, 0.4, 0.8), Frame(0.5, 0.6, 0.8), Frame(0.5, 0.5, 0.7),
)  # fmt: skip
WAYS = {
    "pan": (_LEFT, _RIGHT), "track": (_LEFT, _RIGHT), "tilt": (_HIGH, _LOW),
    "push in": (WHOLE, _NEAR), "zoom": (WHOLE, _NEAR), "pull out": (_NEAR, WHOLE),
}  # fmt: skip


def find_way(camera: Camera) -> tuple[Frame, Frame]:
    """What is seen first and last: as drawn, else as the move's name says, else all."""
    begin, end = WAYS.get(camera.move, (WHOLE, WHOLE))
    return camera.begin or begin, camera.end or end


def propose_way(camera: Camera) -> tuple[Frame, Frame]:
    """The same to be drawn from: of a camera that stands still a push in, so that its two frames lie apart."""
    way = find_way(camera)
    return WAYS["push in"] if way == (WHOLE, WHOLE) else way


def moves(camera: Camera) -> bool:
    """Whether what is seen changes, or is not all of the picture."""
    return find_way(camera) != (WHOLE, WHOLE)


def look_through(camera: Camera, share: float) -> Frame:
    """What is seen after `share` of the panel's time, 0 to 1. It starts and stops softly (3 t^2 - 2 t^3)."""
    begin, end = find_way(camera)
    share = min(1.0, max(0.0, share))
    soft = share * share * (3 - 2 * share)
    return Frame(*(a + (b - a) * soft for a, b in zip(_values(begin), _values(end), strict=True)))


def keep_inside(x: float, y: float, width: float) -> Frame:
    """The frame nearest to these values that fits."""
    width = min(1.0, max(NARROWEST, width))
    edge = width / 2
    return Frame(min(1 - edge, max(edge, x)), min(1 - edge, max(edge, y)), width)


def _values(frame: Frame) -> tuple[float, float, float]:
    return frame.x, frame.y, frame.width
