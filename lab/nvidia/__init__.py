"""A scripted NVIDIA driver: a small libnvidia-ml, which NVIDIA's own Python binding loads, and its script."""

from lab.nvidia.errors import CompilerError, ScriptError
from lab.nvidia.script import Gpu, Link, MigInstance, Process, Script
from lab.nvidia.stub import Stub, compiler, environment

__all__ = [
    "CompilerError",
    "Gpu",
    "Link",
    "MigInstance",
    "Process",
    "Script",
    "ScriptError",
    "Stub",
    "compiler",
    "environment",
]
