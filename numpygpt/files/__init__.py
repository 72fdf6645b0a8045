"""Files that are whole or not there: how they are written, and the checkpoint of a run.

Read in this order: whole (one file, in one instant), archive (named arrays in one file),
checkpoint (all of a run).
"""
