"""The exercises, solved: one layer a file, in reading order.

What `numpygpt practice start` writes is made from these files: it leaves out what stands between
`# <answer>` and `# </answer>`, and the hints at the end.
"""
