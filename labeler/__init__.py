"""The desktop labeler: a folder of pictures in, `labels.csv` and `splits.csv` out.

Needs the standard library (with Tk) and Pillow, nothing else of this project. Start it with
`python -m labeler [FOLDER]`.

    record/         labels, skips, classes and undo; the journal; labels.csv
    folder.py       which pictures a folder holds, in which order
    order.py        which picture comes next: filters, next unlabelled, jumps
    pictures.py     decoding ahead of the eye
    pace.py         how fast it goes
    desk.py         all of these for the open folder
    theme.py        colours, type and scale
    widgets.py      class buttons, progress, thumbnails
    view.py         the picture itself: fit, zoom, flash
    layout.py       where everything stands
    stage.py        how the current picture comes onto the screen
    panels.py       keys, jump, class names, export
    keys.py         which key stands for which command
    commands.py     what each command does
    window.py       what holds them together
    splits.py       train, val and test, without copies on both sides
    suggestions.py  a model's hints, most doubtful first (only with --suggest)
    recording.py    films the real window at work
"""
