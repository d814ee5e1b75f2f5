"""The NVLinks of a GPU: which are up, the error counters of each, and the bandwidth of all together.

https://docs.nvidia.com/deploy/nvml-api/group__NvLink.html
"""

from typing import Any

from exporters.gpu.readings import Field, LinkReading, Values

_BYTES_PER_KIB = 1024
_BYTES_PER_MB = 1_000_000
_BYTES_PER_MIB = 1 << 20
_COUNTERS = (
    ("replay", "NVML_NVLINK_ERROR_DL_REPLAY"),
    ("recovery", "NVML_NVLINK_ERROR_DL_RECOVERY"),
    ("crc_flit", "NVML_NVLINK_ERROR_DL_CRC_FLIT"),
    ("crc_data", "NVML_NVLINK_ERROR_DL_CRC_DATA"),
    ("ecc_data", "NVML_NVLINK_ERROR_DL_ECC_DATA"),
)


class Links:
    """Reads links; remembers for a session which links and counters a GPU does not have."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._count: dict[str, int] = {}
        self._counters: dict[str, tuple[tuple[str, str], ...]] = {}
        self._sent: dict[str, tuple[float, float]] = {}

    def forget(self) -> None:
        """A new session begins: ask anew what each GPU has."""
        self._count.clear()
        self._counters.clear()

    def read(self, uuid: str, handle: Any) -> tuple[LinkReading, ...]:
        """The links of a GPU; none where it has none. Raises the library's NVMLError."""
        nvml = self._nvml
        most = self._count.get(uuid, nvml.NVML_NVLINK_MAX_LINKS)
        found = []
        for link in range(most):
            try:
                is_up = bool(nvml.nvmlDeviceGetNvLinkState(handle, link))
            except nvml.NVMLError as error:
                if error.value not in self._absent:
                    raise
                self._count[uuid] = link
                break
            found.append(LinkReading(link, is_up, self._errors(uuid, handle, link) if is_up else {}))
        return tuple(found)

    def bandwidth(self, uuid: str, values: Values, steady: float) -> Values:
        """Both directions of all links since the last reading, in MB/s; none the first time, and none where a
        counter went backwards (the driver came up anew). Where there are no counters (Blackwell) GPM's rates
        are taken. `steady` is a clock in seconds.
        """
        if Field.NVLINK_TRANSMIT not in values or Field.NVLINK_RECEIVE not in values:
            if Field.GPM_NVLINK_TRANSMIT not in values or Field.GPM_NVLINK_RECEIVE not in values:
                return {}
            both = values[Field.GPM_NVLINK_TRANSMIT] + values[Field.GPM_NVLINK_RECEIVE]
            return {Field.NVLINK_BANDWIDTH: round(both * _BYTES_PER_MIB / _BYTES_PER_MB, 3)}
        sent = float(values[Field.NVLINK_TRANSMIT] + values[Field.NVLINK_RECEIVE])
        before, read_at = self._sent.get(uuid, (sent, steady))
        self._sent[uuid] = (sent, steady)
        if steady <= read_at or sent < before:
            return {}
        rate = (sent - before) * _BYTES_PER_KIB / _BYTES_PER_MB / (steady - read_at)
        return {Field.NVLINK_BANDWIDTH: round(rate, 3)}

    @property
    def _absent(self) -> tuple[int, ...]:
        nvml = self._nvml
        return (
            nvml.NVML_ERROR_NOT_SUPPORTED,
            nvml.NVML_ERROR_INVALID_ARGUMENT,
            nvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        )

    def _errors(self, uuid: str, handle: Any, link: int) -> dict[str, int]:
        nvml = self._nvml
        errors = {}
        for kind, counter in self._counters.get(uuid, _COUNTERS):
            try:
                errors[kind] = nvml.nvmlDeviceGetNvLinkErrorCounter(handle, link, getattr(nvml, counter))
            except nvml.NVMLError as error:
                if error.value not in self._absent:
                    raise
        if uuid not in self._counters:
            self._counters[uuid] = tuple(pair for pair in _COUNTERS if pair[0] in errors)
        return errors
