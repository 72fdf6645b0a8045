"""Gradient checks: is a hand-written backward pass the derivative of its forward pass?

    report = check_layer(MyLayer(7), x)         every entry of every parameter, and of x
    report = check_model(model, ids, targets)   a whole model, along random directions
    print(report)                               one row an array; report.passed, report.worst

README.md says how to check a layer of one's own, and what a report may say. Read in this order:
oracles, expect, subject, report, layer, model, sweep, table (what `numpygpt gradcheck` prints);
then what is wrong: wrong, evidence, axes, terms, bugs, known, diagnosis.
"""

from numpygpt.gradcheck.layer import check_layer
from numpygpt.gradcheck.model import check_model, check_preset
from numpygpt.gradcheck.report import Report, Row
from numpygpt.gradcheck.sweep import sweep_steps
from numpygpt.gradcheck.table import gradcheck_command

__all__ = [
    "Report",
    "Row",
    "check_layer",
    "check_model",
    "check_preset",
    "gradcheck_command",
    "sweep_steps",
]
