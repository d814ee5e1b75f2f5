"""GPM: what the parts of a GPU do, on Hopper and newer, for each GPU and each MIG instance.

NVML computes the ratios between two samples (https://docs.nvidia.com/deploy/nvml-api/group__nvmlGpmFunctions.html),
so one sample is kept from each reading for the next one, and the first reading has none. Samples are memory
of the library: they are freed before the session ends.
"""

from typing import Any

from exporters.gpu.readings import Field, Number, Values

_METRICS: tuple[tuple[Field, str], ...] = (
    (Field.GPM_GRAPHICS, "NVML_GPM_METRIC_GRAPHICS_UTIL"),
    (Field.GPM_SM, "NVML_GPM_METRIC_SM_UTIL"),
    (Field.GPM_OCCUPANCY, "NVML_GPM_METRIC_SM_OCCUPANCY"),
    (Field.GPM_TENSOR, "NVML_GPM_METRIC_ANY_TENSOR_UTIL"),
    (Field.GPM_DRAM, "NVML_GPM_METRIC_DRAM_BW_UTIL"),
    (Field.GPM_FP64, "NVML_GPM_METRIC_FP64_UTIL"),
    (Field.GPM_FP32, "NVML_GPM_METRIC_FP32_UTIL"),
    (Field.GPM_FP16, "NVML_GPM_METRIC_FP16_UTIL"),
    (Field.GPM_PCIE_TRANSMIT, "NVML_GPM_METRIC_PCIE_TX_PER_SEC"),
    (Field.GPM_PCIE_RECEIVE, "NVML_GPM_METRIC_PCIE_RX_PER_SEC"),
    (Field.GPM_NVLINK_TRANSMIT, "NVML_GPM_METRIC_NVLINK_TOTAL_TX_PER_SEC"),
    (Field.GPM_NVLINK_RECEIVE, "NVML_GPM_METRIC_NVLINK_TOTAL_RX_PER_SEC"),
)

_Key = tuple[str, int | None]


class Gpm:
    """The samples of a session, by GPU and MIG instance. Each method raises the library's NVMLError."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._supported: dict[str, bool] = {}
        self._kept: dict[_Key, Any] = {}
        self._spare: list[Any] = []
        self._seen: set[_Key] = set()
        self._query: Any = None

    def is_supported(self, uuid: str, handle: Any) -> bool:
        """Whether the GPU has GPM; asked once a session."""
        known = self._supported.get(uuid)
        if known is None:
            nvml = self._nvml
            try:
                known = bool(nvml.nvmlGpmQueryDeviceSupport(handle).isSupportedDevice)
            except nvml.NVMLError as error:
                if error.value not in (nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_FUNCTION_NOT_FOUND):
                    raise
                known = False
            self._supported[uuid] = known
        return known

    def read(self, uuid: str, handle: Any, instance: int | None = None) -> Values:
        """The values since the last reading, of a GPU or of one of its MIG instances; none the first time."""
        nvml = self._nvml
        key = (uuid, instance)
        self._seen.add(key)
        sample = self._spare.pop() if self._spare else nvml.nvmlGpmSampleAlloc()
        try:
            if instance is None:
                nvml.nvmlGpmSampleGet(handle, sample)
            else:
                nvml.nvmlGpmMigSampleGet(handle, instance, sample)
        except nvml.NVMLError:
            self._spare.append(sample)
            raise
        before = self._kept.pop(key, None)
        self._kept[key] = sample
        if before is None:
            return {}
        self._spare.append(before)
        return self._between(before, sample)

    def prune(self) -> None:
        """After a reading of all GPUs: let go of the samples of instances that are not there any more."""
        for key in self._kept.keys() - self._seen:
            self._spare.append(self._kept.pop(key))
        self._seen.clear()

    def close(self) -> None:
        """Free the samples, as long as the session lasts."""
        samples = [*self._kept.values(), *self._spare]
        self._kept.clear()
        self._spare.clear()
        self._supported.clear()
        for sample in samples:
            self._nvml.nvmlGpmSampleFree(sample)

    def _between(self, before: Any, after: Any) -> Values:
        nvml = self._nvml
        query = self._query
        if query is None:
            query = self._query = nvml.c_nvmlGpmMetricsGet_t()
        query.version = nvml.NVML_GPM_METRICS_GET_VERSION
        query.numMetrics = len(_METRICS)
        query.sample1, query.sample2 = before, after
        for place, (_, metric) in enumerate(_METRICS):
            query.metrics[place].metricId = getattr(nvml, metric)
        nvml.nvmlGpmMetricsGet(query)
        values: dict[Field, Number] = {}
        for place, (name, _) in enumerate(_METRICS):
            answer = query.metrics[place]
            if answer.nvmlReturn == nvml.NVML_SUCCESS and answer.value == answer.value:
                values[name] = answer.value
        return values
