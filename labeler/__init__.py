"""The desktop labeler: a folder of pictures in, `labels.csv` and `splits.csv` out.

Needs the standard library (with Tk) and Pillow, nothing else of this project. Start it with
`python -m labeler [FOLDER]`.

    record/         labels, skips, classes and undo; the journal; labels.csv
    folder.py       which pictures a folder holds, in which order
    order.py        which picture comes next: filters, next unlabelled, jumps
    pictures.py     decoding ahead of the eye
    pace.py         how fast it goes
    desk.py         all of these for the open folder
    window/         the window and its keys: everything that needs Tk
    splits.py       train, val and test, without copies on both sides
    suggestions.py  a model's hints, most doubtful first (only with --suggest)
    recording.py    films the real window at work
"""
