"""How fast numpygpt is on this machine, against the machine's limits and against PyTorch.

`python -m benchmarks` from the repository's folder; `--help` lists the rest. Nothing here imports
NumPy before the number of threads is set.
"""
