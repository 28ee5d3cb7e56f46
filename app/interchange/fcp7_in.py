"""Final Cut 7 XML in, as Premiere and Resolve write it: checked first, then read by OpenTimelineIO's adapter."""

from xml.etree import ElementTree

import opentimelineio as otio  # type: ignore[import-untyped]  # it has no stubs

from mlx_model.errors import RequestError

from ..board.data import Board
from .files import Source, read_xml
from .timeline_in import build_board, find_timeline


def load(source: Source) -> Board:
    """A board of its first sequence. Raises RequestError for hostile or broken XML, or another kind of file."""
    root = read_xml(source, doctype=True)
    if root.tag != "xmeml":
        raise RequestError(f"{source.path} is not a Final Cut 7 XML.", "Export one from Premiere or Resolve.")
    try:
        found = otio.adapters.read_from_string(ElementTree.tostring(root, "unicode"), "fcp_xml")
    except Exception as error:  # the adapter's errors have no common class
        why = str(error)[:100] or type(error).__name__
        raise RequestError(f"{source.path} has no sequence that can be read ({why}).", "Export it again.") from error
    timeline = find_timeline(found, source)
    _switch_off(timeline)
    return build_board(timeline, source)


def _switch_off(timeline: otio.schema.Timeline) -> None:
    """The adapter keeps what is disabled as a word of its metadata only."""
    for track in timeline.tracks:
        for item in (track, *track):
            known = item.metadata.get("fcp_xml")
            if hasattr(known, "get") and str(known.get("enabled", "")).strip().upper() == "FALSE":
                item.enabled = False
