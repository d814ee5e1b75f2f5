/* Sessions, what a GPU is, and its values. */

#include "nvml_state.h"

/* Sessions. */
Return nvmlInitWithFlags(uint flags) {
    (void)flags;
    Return failed = begin_call(__func__, NULL, NULL);
    if (failed && failed != UNINITIALIZED) return end_call(failed);
    if (!state.is_loaded) return end_call(DRIVER_NOT_LOADED);
    if (!opened++) session++;
    return end_call(SUCCESS);
}

Return nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

Return nvmlShutdown(void) {
    Return failed = begin_call(__func__, NULL, NULL);
    if (failed && failed != UNINITIALIZED) return end_call(failed);
    if (!opened) return end_call(UNINITIALIZED);
    opened--;
    return end_call(SUCCESS);
}

const char *nvmlErrorString(Return code) { (void)code; return "error of the lab's NVML"; }

Return nvmlSystemGetDriverVersion(char *to, uint size) { CALL(NULL); return end_call(text_to(state.driver, to, size)); }

Return nvmlSystemGetCudaDriverVersion_v2(int *version) { CALL(NULL); *version = state.cuda; return end_call(SUCCESS); }

Return nvmlDeviceGetCount_v2(uint *count) { CALL(NULL); *count = (uint)state.gpus; return end_call(SUCCESS); }

Return nvmlDeviceGetHandleByIndex_v2(uint index, Handle **to) {
    CALL(NULL);
    if ((int)index >= state.gpus) return end_call(INVALID_ARGUMENT);
    Gpu *found = &state.gpu[index];
    int code = fault_in(found->fault, found->faults, __func__);
    if (code) return end_call(code);
    if (is_lost(found)) return end_call(GPU_IS_LOST);
    Handle *handle = &handles[session % SESSIONS][index][PARTS];
    handle->session = session;
    handle->part = -1;
    copy(handle->uuid, found->uuid);
    *to = handle;
    return end_call(SUCCESS);
}

/* What a GPU is. */
Return nvmlDeviceGetUUID(Handle *handle, char *to, uint size) {
    CALL(handle);
    return end_call(text_to(handle->part < 0 ? gpu->uuid : gpu->part[handle->part].uuid, to, size));
}

Return nvmlDeviceGetName(Handle *handle, char *to, uint size) {
    CALL(handle);
    char name[2 * TEXT + 8];
    if (handle->part < 0) copy(name, gpu->name);
    else snprintf(name, sizeof name, "%s MIG %s", gpu->name, gpu->part[handle->part].profile);
    return end_call(text_to(name, to, size));
}

Return nvmlDeviceGetSerial(Handle *handle, char *to, uint size) { CALL(handle); return end_call(text_to(gpu->serial, to, size)); }

Return nvmlDeviceGetVbiosVersion(Handle *handle, char *to, uint size) { CALL(handle); return end_call(text_to(gpu->vbios, to, size)); }

Return nvmlDeviceGetMinorNumber(Handle *handle, uint *to) { CALL(handle); *to = (uint)gpu->minor; return end_call(SUCCESS); }

typedef struct { char legacy[16]; uint domain, bus, device, id, sub_system; char bus_id[32]; } Pci;
SAME_SIZE(Pci, 68, "nvmlPciInfo_t");

Return nvmlDeviceGetPciInfo_v3(Handle *handle, Pci *to) {
    CALL(handle);
    memset(to, 0, sizeof *to);
    snprintf(to->bus_id, sizeof to->bus_id, "%.31s", gpu->bus);
    uint_of(gpu, "pci_sub_system", &to->sub_system);
    return end_call(SUCCESS);
}

Return nvmlDeviceGetCudaComputeCapability(Handle *handle, int *major, int *minor) {
    CALL(handle);
    uint value;
    Return result = uint_of(gpu, "compute_capability", &value);
    if (!result) { *major = (int)value / 10; *minor = (int)value % 10; }
    return end_call(result);
}

/* Values with a getter of their own. */
#define GETTER(call, name) \
    Return call(Handle *handle, uint *to) { CALL(handle); return end_call(uint_of(gpu, name, to)); }
#define GETTER_LONG(call, name) \
    Return call(Handle *handle, ull *to) { CALL(handle); return end_call(ull_of(gpu, name, to)); }
#define GETTER_OF(call, names) \
    Return call(Handle *handle, uint kind, uint *to) { \
        static const char *const known[] = names; \
        CALL(handle); \
        if (kind >= sizeof known / sizeof *known || !known[kind]) return end_call(NOT_SUPPORTED); \
        return end_call(uint_of(gpu, known[kind], to)); \
    }
#define GETTER_TWO(call, first, second) \
    Return call(Handle *handle, uint *one, uint *other) { \
        CALL(handle); \
        Return result = uint_of(gpu, first, one); \
        if (!result) result = uint_of(gpu, second, other); \
        return end_call(result); \
    }
#define NAMES(...) {__VA_ARGS__}

GETTER_OF(nvmlDeviceGetClockInfo, NAMES("graphics_clock_mhz", "sm_clock_mhz", "memory_clock_mhz", "video_clock_mhz"))
GETTER_OF(nvmlDeviceGetMaxClockInfo, NAMES("max_graphics_clock_mhz", "max_sm_clock_mhz", "max_memory_clock_mhz"))
GETTER_OF(nvmlDeviceGetApplicationsClock, NAMES("application_sm_clock_mhz", "application_sm_clock_mhz", "application_memory_clock_mhz"))
GETTER_OF(nvmlDeviceGetTemperature, NAMES("temperature_celsius"))
GETTER_OF(nvmlDeviceGetTemperatureThreshold, NAMES("shutdown_celsius", "slowdown_celsius"))
GETTER_OF(nvmlDeviceGetPcieThroughput, NAMES("pcie_tx_kb", "pcie_rx_kb"))
GETTER(nvmlDeviceGetPowerUsage, "power_mw")
GETTER(nvmlDeviceGetPowerManagementLimit, "power_limit_mw")
GETTER(nvmlDeviceGetPowerManagementDefaultLimit, "power_limit_default_mw")
GETTER(nvmlDeviceGetEnforcedPowerLimit, "power_limit_enforced_mw")
GETTER(nvmlDeviceGetPcieReplayCounter, "pcie_replays")
GETTER(nvmlDeviceGetCurrPcieLinkGeneration, "pcie_generation")
GETTER(nvmlDeviceGetMaxPcieLinkGeneration, "pcie_generation_max")
GETTER(nvmlDeviceGetCurrPcieLinkWidth, "pcie_width")
GETTER(nvmlDeviceGetMaxPcieLinkWidth, "pcie_width_max")
GETTER(nvmlDeviceGetFanSpeed, "fan_percent")
GETTER(nvmlDeviceGetPerformanceState, "performance_state")
GETTER(nvmlDeviceGetPersistenceMode, "persistence_mode")
GETTER(nvmlDeviceGetComputeMode, "compute_mode")
GETTER_LONG(nvmlDeviceGetTotalEnergyConsumption, "energy_mj")
GETTER_LONG(nvmlDeviceGetCurrentClocksEventReasons, "event_reasons")
GETTER_LONG(nvmlDeviceGetSupportedClocksEventReasons, "event_reasons_supported")
GETTER_TWO(nvmlDeviceGetPowerManagementLimitConstraints, "power_limit_min_mw", "power_limit_max_mw")
GETTER_TWO(nvmlDeviceGetEccMode, "ecc_mode", "ecc_mode_pending")

typedef struct { uint version, sensor; int temperature; } Temperature;
SAME_SIZE(Temperature, 12, "c_nvmlTemperature_v1_t");

Return nvmlDeviceGetTemperatureV(Handle *handle, Temperature *to) {
    CALL(handle);
    if (to->version != (sizeof *to | 1u << 24) || to->sensor) return end_call(INVALID_ARGUMENT);
    return end_call(uint_of(gpu, "temperature_celsius", (uint *)&to->temperature));
}

/* No utilisation of the whole GPU with MIG. */
#define UTILIZATION(call, name) \
    Return call(Handle *handle, uint *to, uint *period) { \
        CALL(handle); \
        *period = 167000; \
        return end_call(gpu->is_mig ? NOT_SUPPORTED : uint_of(gpu, name, to)); \
    }
UTILIZATION(nvmlDeviceGetEncoderUtilization, "encoder_utilization")
UTILIZATION(nvmlDeviceGetDecoderUtilization, "decoder_utilization")
UTILIZATION(nvmlDeviceGetJpgUtilization, "jpeg_utilization")
UTILIZATION(nvmlDeviceGetOfaUtilization, "ofa_utilization")

Return nvmlDeviceGetUtilizationRates(Handle *handle, uint *to) {
    CALL(handle);
    if (gpu->is_mig) return end_call(NOT_SUPPORTED);
    Return result = uint_of(gpu, "gpu_utilization", &to[0]);
    if (!result) result = uint_of(gpu, "memory_utilization", &to[1]);
    return end_call(result);
}

Return nvmlDeviceGetEncoderStats(Handle *handle, uint *sessions, uint *fps, uint *latency) {
    CALL(handle);
    Return result = uint_of(gpu, "encoder_sessions", sessions);
    if (!result) result = uint_of(gpu, "encoder_fps", fps);
    if (!result) result = uint_of(gpu, "encoder_latency_us", latency);
    return end_call(result);
}

typedef struct { ull total, free, used; } Memory;
SAME_SIZE(Memory, 24, "c_nvmlMemory_t");
typedef struct { uint version; ull total, reserved, free, used; } Memory2;
SAME_SIZE(Memory2, 40, "c_nvmlMemory_v2_t");

static Return memory_of(const Gpu *gpu, const Handle *handle, Memory2 *to) {
    if (handle->part >= 0) {
        const Part *part = &gpu->part[handle->part];
        to->total = part->total; to->reserved = part->reserved; to->used = part->used;
    } else if (ull_of(gpu, "memory_total", &to->total) || ull_of(gpu, "memory_reserved", &to->reserved)
               || ull_of(gpu, "memory_used", &to->used)) return NOT_SUPPORTED;
    to->free = to->total - to->reserved - to->used;
    return SUCCESS;
}

Return nvmlDeviceGetMemoryInfo(Handle *handle, Memory *to) {
    CALL(handle);
    Memory2 info = {0};
    Return result = memory_of(gpu, handle, &info);
    to->total = info.total; to->free = info.free; to->used = info.used + info.reserved;
    return end_call(result);
}

Return nvmlDeviceGetMemoryInfo_v2(Handle *handle, Memory2 *to) {
    CALL(handle);
    if (to->version != (sizeof *to | 2u << 24)) return end_call(INVALID_ARGUMENT);
    return end_call(memory_of(gpu, handle, to));
}

Return nvmlDeviceGetBAR1MemoryInfo(Handle *handle, Memory *to) {
    CALL(handle);
    Return result = ull_of(gpu, "bar1_total", &to->total);
    if (!result) result = ull_of(gpu, "bar1_used", &to->used);
    to->free = to->total - to->used;
    return end_call(result);
}

Return nvmlDeviceGetTotalEccErrors(Handle *handle, uint kind, uint counter, ull *to) {
    static const char *const names[2][2] = {{"ecc_corrected_volatile", "ecc_corrected_aggregate"},
                                            {"ecc_uncorrected_volatile", "ecc_uncorrected_aggregate"}};
    CALL(handle);
    if (kind > 1 || counter > 1) return end_call(INVALID_ARGUMENT);
    return end_call(ull_of(gpu, names[kind][counter], to));
}

Return nvmlDeviceGetRemappedRows(Handle *handle, uint *correctable, uint *uncorrectable, uint *pending, uint *failure) {
    CALL(handle);
    Return result = uint_of(gpu, "remapped_correctable", correctable);
    if (!result) result = uint_of(gpu, "remapped_uncorrectable", uncorrectable);
    if (!result) result = uint_of(gpu, "remap_pending", pending);
    if (!result) result = uint_of(gpu, "remap_failure", failure);
    return end_call(result);
}

typedef struct { ull reference, violation; } Violation;
SAME_SIZE(Violation, 16, "c_nvmlViolationTime_t");

Return nvmlDeviceGetViolationStatus(Handle *handle, uint policy, Violation *to) {
    static const char *const names[] = {"power_violation_ns", "thermal_violation_ns", "sync_boost_violation_ns",
                                        "board_limit_violation_ns", "low_utilization_violation_ns",
                                        "reliability_violation_ns"};
    CALL(handle);
    if (policy >= sizeof names / sizeof *names) return end_call(NOT_SUPPORTED);
    return end_call(ull_of(gpu, names[policy], &to->violation));
}

/* Values by number. */
typedef union { double d; uint u; ull l; } Union;
typedef struct { uint id, scope; long long timestamp, latency; uint type; Return result; Union value; } FieldValue;
SAME_SIZE(FieldValue, 40, "c_nvmlFieldValue_t");

Return nvmlDeviceGetFieldValues(Handle *handle, int count, FieldValue *fields) {
    CALL(handle);
    for (int i = 0; i < count; i++) {
        char name[TEXT];
        double value;
        snprintf(name, sizeof name, fields[i].scope == ALL_LINKS ? "field_%u_all" : "field_%u", fields[i].id);
        fields[i].result = value_of(gpu, name, &value) ? SUCCESS : NOT_SUPPORTED;
        if (fields[i].result) continue;
        fields[i].type = value > 4294967295.0 ? 3 : 1;
        if (fields[i].type == 3) fields[i].value.l = (ull)value;
        else fields[i].value.u = (uint)value;
    }
    return end_call(SUCCESS);
}
