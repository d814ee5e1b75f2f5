"""Errors of the scripted driver, and the return codes that it can be told to answer."""

from lab.errors import LabError

ERRORS = {
    "UNINITIALIZED": 1,
    "INVALID_ARGUMENT": 2,
    "NOT_SUPPORTED": 3,
    "NO_PERMISSION": 4,
    "NOT_FOUND": 6,
    "DRIVER_NOT_LOADED": 9,
    "TIMEOUT": 10,
    "LIBRARY_NOT_FOUND": 12,
    "FUNCTION_NOT_FOUND": 13,
    "GPU_IS_LOST": 15,
    "RESET_REQUIRED": 16,
    "LIB_RM_VERSION_MISMATCH": 18,
    "UNKNOWN": 999,
}
"""Return codes of NVML by the end of their names (nvml.h, nvmlReturn_t)."""

HANG = "HANG"
"""In place of a code: the call does not come back as long as the script says so."""


class ScriptError(LabError):
    """The script of the driver describes no machine."""


class CompilerError(LabError):
    """There is no C compiler here, or it could not build the library."""
