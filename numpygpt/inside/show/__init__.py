"""The ways to see it: one object, which is JSON, a page, or text in a terminal.

near (words), within (the other panels), findings (both, and what else there is), panels (which
identity proves which panel); as_json, page with web/, described with told and terminal; looking
(for how large a model what is gathered), kept (earlier checkpoints); command.
"""
