"""Boards in and out of other programs' formats, one small file each; formats.py lists them."""
