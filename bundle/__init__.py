"""How what is handed out is built: a Mac's app and disk image, a Debian package. See docs/PACKAGING.md."""
