"""Day columns: what the roll-ups of a closed day say, once more, in a form that is read a hundred times faster.

They need numpy, of the extra `analytics`, and are imported by `arouter.store.sqlite.folded` alone.
"""
