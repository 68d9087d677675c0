"""The labeler's window: everything that needs Tk.

Each module imports only from those above it.

    theme.py          colours, fonts, the scale of the display, how a class is shown
    widgets.py        class buttons, progress bar, thumbnails
    picture_view.py   the picture itself: fit, zoom, flash
    keyboard.py       which key was pressed, under any keyboard layout
    keys.py           which key runs which command
    layout.py         all widgets of the window, from top to bottom
    stage.py          puts the current picture, its label and the counts into the layout
    panels.py         keys, jump, export, information
    class_panels.py   the list of classes, and their names
    commands.py       what each command does
    window.py         ties them together
"""
