"""Short words for the XID codes that operators meet most, after NVIDIA's catalogue of XID errors.

https://docs.nvidia.com/deploy/xid-errors/. The words are ours; a code that is not here is called by its
number.
"""

_WORDS = {
    0: "No error",
    13: "Graphics engine exception",
    31: "Memory page fault",
    32: "Corrupted push buffer",
    38: "Driver firmware error",
    43: "Processing stopped",
    45: "Work was ended early",
    48: "Double-bit ECC error",
    61: "Microcontroller breakpoint",
    62: "Microcontroller halt",
    63: "Row remapping recorded",
    64: "Row remapping failed",
    68: "Video processor exception",
    69: "Graphics class error",
    74: "NVLink error",
    79: "GPU has fallen off the bus",
    92: "Many single-bit ECC errors",
    94: "Contained ECC error",
    95: "Uncontained ECC error",
    109: "Context switch timeout",
    119: "GSP firmware timeout",
    120: "GSP firmware error",
    121: "Chip-to-chip link error",
}

ACTION_CODES = (48, 62, 64, 74, 79, 95, 119, 120)
"""Codes after which the GPU or the host wants a reset, a reboot or a look."""


def describe(code: int) -> str:
    """A few words for a code."""
    return _WORDS.get(code, f"XID {code}")
