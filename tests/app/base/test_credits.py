"""Whose licence stands in for what a wheel leaves out."""

from importlib import metadata

import pytest

from app.base import credits


@pytest.mark.parametrize(("said", "found"), [("Apache-2.0", True), ("MIT", False), ("../LICENSE", False)])
def test_a_wheel_that_only_names_its_licence_comes_with_its_text_where_that_names_no_author(tmp_path, said, found):
    """Of sentencepiece 0.2.3 the wheel has a name alone, so that no bundle could be built."""
    folder = tmp_path / "bare-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: bare\nVersion: 1\nLicense-Expression: {said}\n")
    library = credits._describe("bare", metadata.Distribution.at(folder))
    assert ("Apache License" in library.text) == found
