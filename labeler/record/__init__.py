"""What is remembered of a folder, on the disk before it is acknowledged.

session.py      labels, skips, classes, undo, counts
journal.py      the journal that gets every change at once, and the lock
table.py        labels.csv and splits.csv, for other programs
autosave.py     writes labels.csv on a pause, and reads it back when it was edited elsewhere
"""
