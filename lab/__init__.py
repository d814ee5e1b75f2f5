"""A data centre on a laptop: simulated servers with state, faults on demand, and the demonstration.

The lab imports nothing of the product: what it says is what the real servers said.
"""
