"""Signals as a terminal gives them: what starts the tests may have them ignored (nohup, `&`)."""

import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
    signal.signal(number, signal.SIG_DFL)
