"""Embeddings: what a frozen backbone makes of each picture, computed once and kept.

engines.py   ways to compute them on the machine at hand, and which is the fastest
store.py     the folder where they are kept, by the content of pictures and backbone
"""
