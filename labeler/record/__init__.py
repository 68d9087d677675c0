"""What is remembered of a folder: on the disk before it is acknowledged.

Nothing here knows of the window. Each module imports only from those above it.

    disk.py         what a file system may lack: syncing a folder, locks
    table.py        labels.csv and splits.csv, for other programs
    journal.py      the journal, which gets every change at once
    classes.py      class names, and what renaming and merging them means
    session.py      labels, skips, classes, undo, counts
    autosave.py     writes labels.csv in the background, and reads it again after an edit elsewhere
"""
