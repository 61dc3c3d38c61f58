"""Indexes measured: recall against speed, in faiss, in Milvus Lite and on a Milvus server.

    python -m workshop.bench                 the grid of default.toml, beside this file
    python -m workshop.bench mine.toml       your vectors, your grid; default.toml explains each key

What makes its numbers worth comparing: an index is searched only once it covers every row; every
search is warmed up, repeated and shuffled among the others, so that a busy moment hits all; threads
are pinned; each index is built in a process of its own; recall is against the exact answer; and
each figure is the median of its repeats, with the smallest and the largest beside it.
"""
