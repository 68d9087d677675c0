"""Data: a name or a folder of pictures becomes three splits of uint8 pictures.

    picture_structure.py   what a file announces, from its header
    picture_files.py       which files are pictures, and how one is opened
    names.py               which files of a folder count, and what they are called
    tables.py              `labels.csv` and `splits.csv`
    folders.py             what a folder of labelled pictures lists
    sources.py             what a dataset's name means, and a key of its content
    pictures.py            one file to RGB pixels
    decoding.py            many files to one array, in parallel processes
    splits.py              train, val and test, and their order
    cache.py               decoded pictures, stored for the next start
    dataset.py             `load`: a source to a `Dataset`

The first four need the standard library and Pillow alone, since the labeler goes by the same
rules. Only `dataset` imports torch: a study asks for a content key before it starts anything, and
decoding processes should start quickly.
"""
