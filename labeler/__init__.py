"""The desktop labeler: a folder of pictures in, `labels.csv` and `splits.csv` out.

Needs the standard library (with Tk), Pillow, and of `lib` the rules that it shares with the study
(`lib.data.picture_files`, `names`, `tables`), which need no more. Start it with
`python -m labeler [FOLDER]`. Each module imports only from those above it.

    errors.py       what can go wrong, one line each
    folder.py       which pictures a folder holds, in which order
    record/         labels, skips, classes and undo; the journal; labels.csv
    order.py        which picture comes next: filters, next unlabelled, jumps
    pictures.py     decodes pictures before they are needed
    pace.py         labels per minute and time left
    suggestions.py  a model's predictions, least confident first (only with --suggest)
    desk.py         all of these for the open folder
    splits.py       train, val and test, with no copies across splits
    window/         the window and its keys: everything that needs Tk
    recording.py    records a video of the real window at work
"""
