"""A scripted NVIDIA driver: an object with the functions and constants of NVIDIA's `pynvml` that the
exporters call.
"""

from lab.nvidia.driver import Driver

__all__ = ["Driver"]
