"""The window: everything that needs Tk.

theme.py          colours, fonts and the scale of the display
widgets.py        class buttons, progress bar, thumbnails
picture_view.py   the picture itself: fit, zoom, flash
keys.py           which key runs which command
layout.py         all widgets of the window, from top to bottom
stage.py          brings the current picture and its words into the layout
panels.py         keys, jump, class names, export, information
commands.py       what each command does
window.py         ties them together
"""
