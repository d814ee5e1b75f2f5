/* A libnvidia-ml.so.1 without a driver: NVIDIA's own Python binding loads it and talks to it as to the real one.

   What the machine has comes from the text file named by STEWARD_LAB_NVML (written by lab/nvidia/stub.py),
   which is read again whenever it was replaced, so that faults can be played while a program runs. Structures
   have the shape of NVIDIA's published nvml.h. A value that the file does not give is NOT_SUPPORTED. */

#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6,
       INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, TIMEOUT = 10, GPU_IS_LOST = 15 };
enum { GPUS = 32, PARTS = 8, VALUES = 160, PROCESSES = 512, LINKS = 18, FAULTS = 64, XIDS = 4096, SESSIONS = 4,
       COUNTED = 256, TEXT = 96 };
#define XID_EVENT 8ULL
#define ALL_LINKS 0xFFFFFFFFu

typedef int Return;
typedef unsigned int uint;
typedef unsigned long long ull;

typedef struct { char name[TEXT]; double value; } Value;
typedef struct { uint pid; ull bytes; int sm; int list; int instance; } Process;
typedef struct { char call[TEXT]; int code; } Fault;                     /* code < 0: the call hangs */
typedef struct { char uuid[TEXT], profile[TEXT]; int instance; ull total, reserved, used; } Part;
typedef struct { int up; ull errors[5]; } Link;
typedef struct { char uuid[TEXT], name[TEXT], bus[TEXT], serial[TEXT], vbios[TEXT]; int minor, lost, is_mig;
                 int values, processes, faults, parts, links;
                 Value value[VALUES]; Process process[PROCESSES]; Fault fault[FAULTS]; Part part[PARTS];
                 Link link[LINKS]; } Gpu;
typedef struct { int gpu; uint code; ull number; } Xid;
typedef struct { int is_loaded, cuda, gpus, faults, xids; char driver[TEXT]; Gpu gpu[GPUS];
                 Fault fault[FAULTS]; Xid xid[XIDS]; } State;
typedef struct { int session, part; char uuid[TEXT]; } Handle;           /* part < 0: the GPU itself */

static State state, fresh;
static Handle handles[SESSIONS][GPUS][PARTS + 1];
static struct stat seen;
static int opened, session, has_read;
static char lost_uuid[GPUS][TEXT];
static int lost_session[GPUS], lost_count;
static ull delivered;
static char registered[GPUS][TEXT];
static int registered_count;
static struct { char name[TEXT]; int count; } counted[COUNTED];
static int counted_names, inside, most_inside;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void copy(char *to, const char *from) { snprintf(to, TEXT, "%s", from); }

static void nap(void) { struct timespec pause = {0, 2000000}; nanosleep(&pause, NULL); }

static void parse_gpu_line(Gpu *gpu, const char *word, char *rest) {
    if (!strcmp(word, "name")) copy(gpu->name, rest);
    else if (!strcmp(word, "bus")) copy(gpu->bus, rest);
    else if (!strcmp(word, "serial")) copy(gpu->serial, rest);
    else if (!strcmp(word, "vbios")) copy(gpu->vbios, rest);
    else if (!strcmp(word, "minor")) gpu->minor = atoi(rest);
    else if (!strcmp(word, "lost")) gpu->lost = atoi(rest);
    else if (!strcmp(word, "mig")) gpu->is_mig = atoi(rest);
    else if (!strcmp(word, "value") && gpu->values < VALUES) {
        Value *one = &gpu->value[gpu->values];
        if (sscanf(rest, "%95s %lf", one->name, &one->value) == 2) gpu->values++;
    } else if (!strcmp(word, "process") && gpu->processes < PROCESSES) {
        Process *one = &gpu->process[gpu->processes];
        if (sscanf(rest, "%u %llu %d %d %d", &one->pid, &one->bytes, &one->sm, &one->list, &one->instance) == 5)
            gpu->processes++;
    } else if (!strcmp(word, "fault") && gpu->faults < FAULTS) {
        Fault *one = &gpu->fault[gpu->faults];
        if (sscanf(rest, "%95s %d", one->call, &one->code) == 2) gpu->faults++;
    } else if (!strcmp(word, "part") && gpu->parts < PARTS) {
        Part *one = &gpu->part[gpu->parts];
        if (sscanf(rest, "%95s %d %95s %llu %llu %llu", one->uuid, &one->instance, one->profile, &one->total,
                   &one->reserved, &one->used) == 6) gpu->parts++;
    } else if (!strcmp(word, "link") && gpu->links < LINKS) {
        Link *one = &gpu->link[gpu->links];
        if (sscanf(rest, "%d %llu %llu %llu %llu %llu", &one->up, &one->errors[0], &one->errors[1],
                   &one->errors[2], &one->errors[3], &one->errors[4]) == 6) gpu->links++;
    }
}

static void parse_line(State *to, char *line) {
    char *rest = strchr(line, ' ');
    if (!rest) return;
    *rest++ = 0;
    if (!strcmp(line, "library")) to->is_loaded = !strcmp(rest, "present");
    else if (!strcmp(line, "driver")) copy(to->driver, rest);
    else if (!strcmp(line, "cuda")) to->cuda = atoi(rest);
    else if (!strcmp(line, "gpu") && to->gpus < GPUS) copy(to->gpu[to->gpus++].uuid, rest);
    else if (!strcmp(line, "everywhere") && to->faults < FAULTS) {
        Fault *one = &to->fault[to->faults];
        if (sscanf(rest, "%95s %d", one->call, &one->code) == 2) to->faults++;
    } else if (!strcmp(line, "xid") && to->xids < XIDS) {
        Xid *one = &to->xid[to->xids];
        if (sscanf(rest, "%d %u %llu", &one->gpu, &one->code, &one->number) == 3) to->xids++;
    } else if (to->gpus) parse_gpu_line(&to->gpu[to->gpus - 1], line, rest);
}

/* Reads the file where it is another one than last time. Called with the lock held. */
static void refresh(void) {
    const char *path = getenv("STEWARD_LAB_NVML");
    struct stat now;
    if (!path || stat(path, &now)) return;
    if (has_read && now.st_ino == seen.st_ino && now.st_size == seen.st_size
        && now.st_mtim.tv_sec == seen.st_mtim.tv_sec && now.st_mtim.tv_nsec == seen.st_mtim.tv_nsec) return;
    FILE *file = fopen(path, "r");
    if (!file) return;
    memset(&fresh, 0, sizeof fresh);
    char line[512];
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        parse_line(&fresh, line);
    }
    fclose(file);
    state = fresh;
    seen = now;
    has_read = 1;
}

static int fault_in(const Fault *faults, int count, const char *call) {
    for (int i = 0; i < count; i++)
        if (!strcmp(faults[i].call, call)) return faults[i].code;
    return 0;
}

static void count_call(const char *call) {
    for (int i = 0; i < counted_names; i++)
        if (!strcmp(counted[i].name, call)) { counted[i].count++; return; }
    if (counted_names < COUNTED) {
        copy(counted[counted_names].name, call);
        counted[counted_names++].count = 1;
    }
}

static Gpu *find(const char *uuid) {
    for (int i = 0; i < state.gpus; i++)
        if (!strcmp(state.gpu[i].uuid, uuid)) return &state.gpu[i];
    return NULL;
}

static int is_lost(const Gpu *gpu) {
    for (int i = 0; i < lost_count; i++)
        if (!strcmp(lost_uuid[i], gpu->uuid)) {
            if (gpu->lost) lost_session[i] = session;
            return lost_session[i] == session;
        }
    if (!gpu->lost) return 0;
    if (lost_count < GPUS) {
        copy(lost_uuid[lost_count], gpu->uuid);
        lost_session[lost_count++] = session;
    }
    return 1;
}

/* Begins a call: counts it, waits while the script hangs it, answers what it must fail with. Leaves with the
   lock held, which end_call lets go. */
static Return begin_call(const char *call, const Handle *handle, Gpu **gpu) {
    int is_wait = !strcmp(call, "nvmlEventSetWait_v2");  /* to be made beside others is what it is for */
    int now = is_wait ? 0 : __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&lock);
    refresh();
    count_call(call);
    if (now > most_inside) most_inside = now;
    for (;;) {
        int code = fault_in(state.fault, state.faults, call);
        Gpu *found = handle ? find(handle->uuid) : NULL;
        if (!code && found) code = fault_in(found->fault, found->faults, call);
        if (code >= 0) {
            if (gpu) *gpu = found;
            if (code) return code;
            if (!opened || !state.is_loaded) return UNINITIALIZED;
            if (!handle) return SUCCESS;
            if (handle->session != session || !found) return INVALID_ARGUMENT;
            return is_lost(found) ? GPU_IS_LOST : SUCCESS;
        }
        pthread_mutex_unlock(&lock);
        nap();
        pthread_mutex_lock(&lock);
        refresh();
    }
}

static Return end_call(Return result) {
    __atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&lock);
    return result;
}

#define CALL(handle) \
    Gpu *gpu = NULL; \
    Return failed = begin_call(__func__, (handle), &gpu); \
    if (failed) return end_call(failed)

static int value_of(const Gpu *gpu, const char *name, double *value) {
    for (int i = 0; i < gpu->values; i++)
        if (!strcmp(gpu->value[i].name, name)) { *value = gpu->value[i].value; return 1; }
    return 0;
}

static Return uint_of(const Gpu *gpu, const char *name, uint *to) {
    double value;
    if (!value_of(gpu, name, &value)) return NOT_SUPPORTED;
    *to = (uint)value;
    return SUCCESS;
}

static Return ull_of(const Gpu *gpu, const char *name, ull *to) {
    double value;
    if (!value_of(gpu, name, &value)) return NOT_SUPPORTED;
    *to = (ull)value;
    return SUCCESS;
}

/* For the lab itself. */
int stub_calls(const char *call) {
    int count = 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < counted_names; i++)
        if (!strcmp(counted[i].name, call)) count = counted[i].count;
    pthread_mutex_unlock(&lock);
    return count;
}

int stub_most_calls_at_once(void) { return most_inside; }

/* As if the program had just started; whoever is in a call finds itself without a session. */
void stub_restart(void) {
    pthread_mutex_lock(&lock);
    counted_names = most_inside = opened = lost_count = registered_count = 0;
    pthread_mutex_unlock(&lock);
}

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

static Return text_to(const char *from, char *to, uint size) {
    if (!*from) return NOT_SUPPORTED;
    snprintf(to, size, "%s", from);
    return SUCCESS;
}

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
typedef struct { uint version; ull total, reserved, free, used; } Memory2;

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

/* Links. */
Return nvmlDeviceGetNvLinkState(Handle *handle, uint link, uint *to) {
    CALL(handle);
    if ((int)link >= gpu->links) return end_call(gpu->links ? INVALID_ARGUMENT : NOT_SUPPORTED);
    *to = (uint)gpu->link[link].up;
    return end_call(SUCCESS);
}

Return nvmlDeviceGetNvLinkErrorCounter(Handle *handle, uint link, uint counter, ull *to) {
    CALL(handle);
    if ((int)link >= gpu->links || counter > 4) return end_call(INVALID_ARGUMENT);
    *to = gpu->link[link].errors[counter];
    return end_call(*to == ~0ULL ? NOT_SUPPORTED : SUCCESS);
}

/* MIG. */
Return nvmlDeviceGetMigMode(Handle *handle, uint *current, uint *pending) {
    CALL(handle);
    Return result = uint_of(gpu, "mig_mode", current);
    *pending = *current;
    return end_call(result);
}

Return nvmlDeviceGetMaxMigDeviceCount(Handle *handle, uint *to) { CALL(handle); *to = gpu->is_mig ? 7 : 0; return end_call(SUCCESS); }

Return nvmlDeviceGetMigDeviceHandleByIndex(Handle *handle, uint index, Handle **to) {
    CALL(handle);
    if ((int)index >= gpu->parts) return end_call(NOT_FOUND);
    Handle *part = &handles[session % SESSIONS][gpu - state.gpu][index];
    part->session = session;
    part->part = (int)index;
    copy(part->uuid, gpu->uuid);
    *to = part;
    return end_call(SUCCESS);
}

Return nvmlDeviceGetGpuInstanceId(Handle *handle, uint *to) {
    CALL(handle);
    if (handle->part < 0) return end_call(INVALID_ARGUMENT);
    *to = (uint)gpu->part[handle->part].instance;
    return end_call(SUCCESS);
}

/* Processes: lists of compute, graphics and MPS (0, 1, 2); with MIG those of the instance alone. */
typedef struct { uint pid; ull bytes; uint instance, compute_instance; } ProcessInfo;

static Return list(const Gpu *gpu, const Handle *handle, int which, uint *count, ProcessInfo *to) {
    uint found = 0, room = *count;
    for (int i = 0; i < gpu->processes; i++) {
        const Process *one = &gpu->process[i];
        if (!(one->list & 1 << which)) continue;
        if (handle->part >= 0 && one->instance != gpu->part[handle->part].instance) continue;
        if (to && found < room) to[found] = (ProcessInfo){one->pid, one->bytes, (uint)one->instance, 0};
        found++;
    }
    *count = found;
    return found > (to ? room : 0) ? INSUFFICIENT_SIZE : SUCCESS;
}

#define LIST(call, which) \
    Return call(Handle *handle, uint *count, ProcessInfo *to) { \
        CALL(handle); \
        return end_call(list(gpu, handle, which, count, to)); \
    }
LIST(nvmlDeviceGetComputeRunningProcesses_v3, 0)
LIST(nvmlDeviceGetGraphicsRunningProcesses_v3, 1)
LIST(nvmlDeviceGetMPSComputeRunningProcesses_v3, 2)

typedef struct { uint pid; ull timestamp; uint sm, memory, encoder, decoder; } Sample;

Return nvmlDeviceGetProcessUtilization(Handle *handle, Sample *to, uint *count, ull since) {
    CALL(handle);
    if (gpu->is_mig) return end_call(NOT_SUPPORTED);
    struct timeval now;
    gettimeofday(&now, NULL);
    ull stamp = (ull)now.tv_sec * 1000000 + (ull)now.tv_usec;
    uint found = 0, room = *count;
    for (int i = 0; i < gpu->processes; i++) {
        if (gpu->process[i].sm < 0) continue;
        if (to && found < room) to[found] = (Sample){gpu->process[i].pid, stamp, (uint)gpu->process[i].sm, 0, 0, 0};
        found++;
    }
    (void)since;
    *count = found;
    if (!found) return end_call(NOT_FOUND);
    return end_call(found > (to ? room : 0) ? INSUFFICIENT_SIZE : SUCCESS);
}

/* GPM: a sample is a serial number; the metrics between two come from the script as gpm_ID. */
typedef struct { uint version, supported; } Support;
typedef struct { uint id; Return result; double value; const char *names[3]; } GpmMetric;
typedef struct { uint version, count; int *first, *second; GpmMetric metrics[]; } GpmQuery;

static char gpm_uuid[TEXT];
static int gpm_instance = -1, samples_alive;

int stub_samples_alive(void) { return samples_alive; }

Return nvmlGpmQueryDeviceSupport(Handle *handle, Support *to) {
    CALL(handle);
    double value;
    to->supported = value_of(gpu, "gpm_supported", &value) && value;
    return end_call(SUCCESS);
}

Return nvmlGpmSampleAlloc(int **to) { CALL(NULL); *to = calloc(1, sizeof **to); samples_alive++; return end_call(SUCCESS); }

Return nvmlGpmSampleFree(int *sample) { CALL(NULL); free(sample); samples_alive--; return end_call(SUCCESS); }

static Return take(const Gpu *gpu, int instance, int *sample) {
    static int serial;
    double value;
    if (!value_of(gpu, "gpm_supported", &value) || !value) return NOT_SUPPORTED;
    *sample = ++serial;
    copy(gpm_uuid, gpu->uuid);
    gpm_instance = instance;
    return SUCCESS;
}

Return nvmlGpmSampleGet(Handle *handle, int *sample) { CALL(handle); return end_call(take(gpu, -1, sample)); }

Return nvmlGpmMigSampleGet(Handle *handle, uint instance, int *sample) { CALL(handle); return end_call(take(gpu, (int)instance, sample)); }

Return nvmlGpmMetricsGet(GpmQuery *query) {
    CALL(NULL);
    Gpu *last = find(gpm_uuid);
    if (query->version != 1 || !last || *query->first >= *query->second) return end_call(INVALID_ARGUMENT);
    for (uint i = 0; i < query->count; i++) {
        char name[TEXT];
        if (gpm_instance < 0) snprintf(name, sizeof name, "gpm_%u", query->metrics[i].id);
        else snprintf(name, sizeof name, "gpm_%u_mig_%d", query->metrics[i].id, gpm_instance);
        query->metrics[i].result = value_of(last, name, &query->metrics[i].value) ? SUCCESS : NOT_SUPPORTED;
    }
    return end_call(SUCCESS);
}

/* vGPU license of a guest. */
typedef struct { uint year; unsigned short month, day, hour, minute, second; unsigned char status; } Expiry;
typedef struct { uint code, state; char license[128], product[128]; uint enabled; Expiry expiry; } Feature;
typedef struct { int is_supported; uint count; Feature features[3]; } Features;

Return nvmlDeviceGetGridLicensableFeatures_v4(Handle *handle, Features *to) {
    CALL(handle);
    uint licensed;
    if (uint_of(gpu, "vgpu_licensed", &licensed)) return end_call(NOT_SUPPORTED);
    memset(to, 0, sizeof *to);
    to->is_supported = 1;
    to->count = 1;
    to->features[0].code = 1;
    to->features[0].enabled = licensed;
    return end_call(SUCCESS);
}

/* Events: what happens after a GPU was registered is delivered once, in order. */
typedef struct { Handle *device; ull type, data; uint instance, compute_instance; } Event;

Return nvmlEventSetCreate(int **to) {
    static int set;
    CALL(NULL);
    registered_count = 0;
    delivered = 0;
    for (int i = 0; i < state.xids; i++)
        if (state.xid[i].number > delivered) delivered = state.xid[i].number;
    *to = &set;
    return end_call(SUCCESS);
}

Return nvmlDeviceRegisterEvents(Handle *handle, ull types, int *set) {
    (void)set;
    CALL(handle);
    if (!(types & XID_EVENT)) return end_call(NOT_SUPPORTED);
    if (registered_count < GPUS) copy(registered[registered_count++], gpu->uuid);
    return end_call(SUCCESS);
}

Return nvmlEventSetFree(int *set) { (void)set; CALL(NULL); registered_count = 0; return end_call(SUCCESS); }

static int is_registered(const char *uuid) {
    for (int i = 0; i < registered_count; i++)
        if (!strcmp(registered[i], uuid)) return 1;
    return 0;
}

static int next_event(Event *to) {
    for (int i = 0; i < state.xids; i++) {
        Xid *xid = &state.xid[i];
        if (xid->number <= delivered || xid->gpu >= state.gpus) continue;
        delivered = xid->number;
        if (!is_registered(state.gpu[xid->gpu].uuid)) continue;
        to->device = &handles[session % SESSIONS][xid->gpu][PARTS];
        to->type = XID_EVENT;
        to->data = xid->code;
        return 1;
    }
    return 0;
}

Return nvmlEventSetWait_v2(int *set, Event *to, uint milliseconds) {
    (void)set;
    Return failed = begin_call(__func__, NULL, NULL);
    if (failed) {
        pthread_mutex_unlock(&lock);
        return failed;
    }
    int has_event = 0;
    for (uint waited = 0; !(has_event = next_event(to)) && waited < milliseconds && state.is_loaded; waited += 2) {
        pthread_mutex_unlock(&lock);
        nap();
        pthread_mutex_lock(&lock);
        refresh();
    }
    pthread_mutex_unlock(&lock);
    return has_event ? SUCCESS : state.is_loaded ? TIMEOUT : UNINITIALIZED;
}
