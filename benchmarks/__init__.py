"""Benchmarks: anygql beside its peers and beside the floor of each layer, in one run.

``python -m benchmarks --help``; ``docs/performance.md`` says what is measured and how.
"""
