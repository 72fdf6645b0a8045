"""Exercises: the backward passes, to be written by the reader, checked, and trained with.

`numpygpt practice start` writes a file a layer, `numpygpt practice` says how far one is. Read in
this order: solutions/ (what exercises are made from), exercises, reader, cases,
explain, check, hints, model, train, command.
"""

from numpygpt.practice.exercises import EXERCISES as EXERCISES
from numpygpt.practice.exercises import exercise_text as exercise_text
