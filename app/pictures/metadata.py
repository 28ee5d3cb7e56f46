"""The request inside the picture, and the mark that an AI made it (IPTC's digital source type), as XMP.

PNG also carries the request in an iTXt chunk "flux-local", the place where other image tools look. XML is written and
searched as text: parsing what a stranger's file holds invites entity bombs.
"""

import html
import json
import re
from pathlib import PurePath
from typing import Any
from xml.sax.saxutils import escape

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mlx_model.foreign import parse_json

from .kinds import KEPT

KEY = "flux-local"
OWN_BLOB = re.compile(rf"blobs/[0-9a-f]{{64}}({'|'.join(map(re.escape, KEPT.values()))})$")
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
MADE, EDITED = "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"
JPEG_LIMIT = 65_000  # bytes of XMP that fit into one JPEG segment
PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:fluxlocal="urn:flux-local:1">
   <xmp:CreatorTool>Flux Local</xmp:CreatorTool>
   <Iptc4xmpExt:DigitalSourceType>{source}</Iptc4xmpExt:DigitalSourceType>{request}
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""
TOOL = "   <xmp:CreatorTool>Flux Local</xmp:CreatorTool>\n"
OPENED, CLOSED = b"<fluxlocal:request>", b"</fluxlocal:request>"


def packet(request_json: str | None, edited: bool, ours: bool = True) -> bytes:
    """The XMP packet; `ours` says that Flux Local made the picture."""
    request = f"\n   <fluxlocal:request>{escape(request_json)}</fluxlocal:request>" if request_json else ""
    text = PACKET.format(source=SOURCE + (EDITED if edited else MADE), request=request)
    return (text if ours else text.replace(TOOL, "")).encode()


def hide_paths(request_json: str) -> str:
    """The request without the paths of this machine, for a picture or a board that others get; see hide_path."""
    try:
        request = parse_json(request_json)
    except ValueError:  # none of ours
        return request_json
    hidden = _hide_in(request)
    if hidden == request:
        return request_json
    return json.dumps(hidden, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def _hide_in(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _hide_in(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_hide_in(item, key) for item in value]
    return hide_path(value) if key in ("path", "model") and isinstance(value, str) else value


def hide_path(path: str) -> str:
    """blobs/SHA256.png (.jpg ...) of a board's picture, else the last name of a path; a name that is no path stays."""
    own = OWN_BLOB.search(path)
    return own[0] if own else PurePath(path).name


def is_edit(request_json: str | None) -> bool:
    """Whether the request starts from pictures."""
    return bool(request_json and json.loads(request_json).get("references"))


def save_options(kind: str, xmp: bytes, request_json: str | None) -> dict[str, Any]:
    """What Pillow's save takes to write them in format `kind`. A JPEG whose request is too long keeps the mark only."""
    if kind == "PNG":
        return {"pnginfo": _png(xmp, request_json)}
    if kind == "TIFF":
        return {"tiffinfo": {700: xmp, 305: "Flux Local"}}
    if kind == "JPEG" and len(xmp) > JPEG_LIMIT:
        xmp = packet(None, is_edit(request_json))
    return {"xmp": xmp}


def _png(xmp: bytes, request_json: str | None) -> PngInfo:
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp.decode())
    if request_json:
        info.add_itxt(KEY, request_json)
    return info


def find_request(image: Image.Image) -> str | None:
    """The request's JSON in a decoded picture, else None."""
    text = image.info.get(KEY)
    if isinstance(text, str):
        return str(text)
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    _, opened, rest = (xmp.encode() if isinstance(xmp, str) else xmp).partition(OPENED)
    text, closed, _ = rest.partition(CLOSED)
    return html.unescape(text.decode("utf-8", "replace")) if opened and closed else None
