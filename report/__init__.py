"""The website: its own pages, its look, and `python -m report`, which renders it."""
