"""What the tools of `flux-local mcp` refuse in words, without a model."""

import asyncio

import pytest


@pytest.mark.parametrize(
    ("tool", "given", "said"),
    [
        ("edit", {"pictures": [], "prompt": "x"}, "no picture to edit"),
        ("edit", {"pictures": ["~no-such-person/a.png"], "prompt": "x"}, "begins with ~"),
        ("generate", {"prompt": "x", "save_to": "~no-such-person/a.png"}, "begins with ~"),
        ("board_list", {"board": "~no-such-person/a.fluxboard"}, "begins with ~"),
        ("generate", {"prompt": "x", "sead": 3}, "does not take sead, but prompt, model, size"),
        ("board_render", {"board": "a.fluxboard", "panel": "1A"}, "does not take panel, but board, panels"),
        ("write", {"words": " "}, "no words to write out"),
        ("write", {"words": "a fox"}, "No language model is here"),
        ("enlarge", {"picture": "~no-such-person/a.png", "save_to": "a.png"}, "begins with ~"),
        ("enlarge", {"picture": "a.png", "save_to": "a.jpg"}, "no name of a PNG file"),
        ("generate", {}, r"^prompt is lacking\.$"),
        ("generate", {"prompt": "x", "seed": "abc"}, r"^seed can't be 'abc'\.$"),
        ("edit", {"pictures": "a.png", "prompt": 3}, r"^pictures can't be 'a.png'\. prompt can't be '3'\.$"),
    ],
)
def test_what_can_not_be_done_is_said(tool, given, said):
    pytest.importorskip("mcp")  # here, for its seconds of importing would be every worker's
    from mcp.server.mcpserver.exceptions import ToolError

    from app.serving.tools import make_server

    with pytest.raises(ToolError, match=said):
        asyncio.run(make_server(None).call_tool(tool, given))
