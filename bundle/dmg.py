"""What the disk image shows, for dmgbuild: the app, and a way into the folder of applications."""

files = ["dist/Flux Local.app", ("LICENSE", "Licence.txt")]
symlinks = {"Applications": "/Applications"}
icon = "assets/icons/app.icns"
icon_locations = {"Flux Local.app": (140, 120), "Applications": (420, 120), "Licence.txt": (280, 260)}
window_rect = ((200, 200), (560, 380))
icon_size = 96
format = "ULFO"
filesystem = "APFS"
