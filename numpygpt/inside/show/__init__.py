"""The ways to see it: one object, which is JSON, a page, or text in a terminal.

looking (what is gathered, and for how large a model), near (words), within (the other panels),
kept (earlier checkpoints), panels (which identity proves which panel); as_json, page with web/,
described with told and terminal; command.
"""
