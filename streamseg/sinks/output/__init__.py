"""The output folder: whose it is, what an earlier run left in it, and how files are made there."""
