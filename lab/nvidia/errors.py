"""The errors of the scripted driver: classes and codes as in NVIDIA's Python binding."""

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
    "UNKNOWN": 999,
}
"""Return codes of NVML by the end of their names (nvml.h, nvmlReturn_t)."""


class ScriptError(LabError):
    """The script of the driver describes no machine."""


class NVMLError(Exception):
    """What a call raises; `value` is NVML's return code."""

    def __init__(self, value: int) -> None:
        super().__init__(_NAMES.get(value, f"NVML error {value}"))
        self.value = value


_NAMES = {code: name.replace("_", " ").capitalize() for name, code in ERRORS.items()}


def error(name: str) -> NVMLError:
    """The error of a name in `ERRORS`."""
    return NVMLError(ERRORS[name])
