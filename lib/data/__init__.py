"""Data: a name or a folder of pictures becomes three splits of uint8 pictures.

    sources.py    what a dataset's name means, and a key of its content
    folders.py    what a folder of labelled pictures lists
    pictures.py   one file to RGB pixels
    decoding.py   many files to one array, in parallel processes
    splits.py     train, val and test, and their order
    cache.py      decoded pictures, stored for the next start
    dataset.py    `load`: a source to a `Dataset`

Only `dataset` imports torch: a study asks for a content key before it starts anything, and decoding
processes should start quickly.
"""
