"""Pictures as they are meant to be seen: upright, in SDR colour, on a ground where they are clear.

Each file owns one thing that metadata says of a picture; none knows of streams, time or epochs.
"""
