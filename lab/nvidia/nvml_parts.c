/* Links, MIG, processes, GPM, licenses, vGPUs and events. */

#include "nvml_state.h"

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

/* Compute instances are numbered within their GPU instance. */
Return nvmlDeviceGetComputeInstanceId(Handle *handle, uint *to) {
    CALL(handle);
    if (handle->part < 0) return end_call(INVALID_ARGUMENT);
    *to = 0;
    for (int i = 0; i < handle->part; i++) *to += gpu->part[i].instance == gpu->part[handle->part].instance;
    return end_call(SUCCESS);
}

/* Processes: lists of compute, graphics and MPS (0, 1, 2); with MIG those of the instance alone. */
typedef struct { uint pid; ull bytes; uint instance, compute_instance; } ProcessInfo;
SAME_SIZE(ProcessInfo, 24, "c_nvmlProcessInfo_v3_t");

static Return list(const Gpu *gpu, const Handle *handle, int which, uint *count, ProcessInfo *to) {
    uint found = 0, room = *count;
    for (int i = 0; i < gpu->processes; i++) {
        const Process *one = &gpu->process[i];
        if (!(one->list & 1 << which)) continue;
        if (handle->part >= 0 && one->part != handle->part) continue;
        if (to && found < room) to[found] = (ProcessInfo){one->pid, one->bytes, one->part < 0 ? ~0u : (uint)gpu->part[one->part].instance, 0};
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
SAME_SIZE(Sample, 32, "c_nvmlProcessUtilizationSample_t");

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
SAME_SIZE(Support, 8, "c_nvmlGpmSupport_t");
typedef struct { uint id; Return result; double value; const char *names[3]; } GpmMetric;
SAME_SIZE(GpmMetric, 40, "c_nvmlGpmMetric_t");
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
SAME_SIZE(Feature, 284, "c_nvmlGridLicensableFeature_v4_t");
typedef struct { int is_supported; uint count; Feature features[3]; } Features;
SAME_SIZE(Features, 860, "c_nvmlGridLicensableFeatures_v4_t");

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

/* vGPUs of a host: the instance is its place, counted over all GPUs; its type says the memory. */
typedef struct { uint instance; ull timestamp; ull sm, memory, encoder, decoder; } VgpuSample;
SAME_SIZE(VgpuSample, 48, "c_nvmlVgpuInstanceUtilizationSample_t");

static Vgpu *vgpu_of(uint instance) {
    for (int i = 0; i < state.gpus; i++) {
        if (instance < (uint)state.gpu[i].vgpus) return &state.gpu[i].vgpu[instance];
        instance -= (uint)state.gpu[i].vgpus;
    }
    return NULL;
}

static uint first_vgpu(const Gpu *gpu) {
    uint first = 0;
    for (const Gpu *one = state.gpu; one < gpu; one++) first += (uint)one->vgpus;
    return first;
}

Return nvmlDeviceGetActiveVgpus(Handle *handle, uint *count, uint *to) {
    CALL(handle);
    uint room = *count, found = (uint)gpu->vgpus;
    *count = found;
    if (!found) return end_call(NOT_SUPPORTED);
    if (!to || room < found) return end_call(INSUFFICIENT_SIZE);
    for (uint i = 0; i < found; i++) to[i] = first_vgpu(gpu) + i;
    return end_call(SUCCESS);
}

Return nvmlVgpuInstanceGetVmID(uint instance, char *to, uint size, uint *kind) {
    (void)size;
    CALL(NULL);
    Vgpu *one = vgpu_of(instance);
    if (!one) return end_call(NOT_FOUND);
    *kind = 1;
    return end_call(text_to(one->vm, to, 80));
}

Return nvmlVgpuInstanceGetType(uint instance, uint *to) { CALL(NULL); *to = instance; return end_call(vgpu_of(instance) ? SUCCESS : NOT_FOUND); }

Return nvmlVgpuTypeGetFramebufferSize(uint type, ull *to) {
    CALL(NULL);
    Vgpu *one = vgpu_of(type);
    if (one) *to = one->bytes;
    return end_call(one ? SUCCESS : NOT_FOUND);
}

Return nvmlDeviceGetVgpuUtilization(Handle *handle, ull since, uint *kind, uint *count, VgpuSample *to) {
    (void)since;
    CALL(handle);
    uint room = *count, found = (uint)gpu->vgpus;
    struct timeval now;
    gettimeofday(&now, NULL);
    *kind = 1;
    *count = found;
    if (!to || room < found) return end_call(found ? INSUFFICIENT_SIZE : SUCCESS);
    for (uint i = 0; i < found; i++)
        to[i] = (VgpuSample){first_vgpu(gpu) + i, (ull)now.tv_sec * 1000000 + (ull)now.tv_usec, (ull)gpu->vgpu[i].sm, 0, 0, 0};
    return end_call(SUCCESS);
}

/* Events: what happens after a GPU was registered is delivered once, in order. */
typedef struct { Handle *device; ull type, data; uint instance, compute_instance; } Event;
SAME_SIZE(Event, 32, "c_nvmlEventData_t");

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
    /* Longer and longer naps: the driver sleeps, and what it costs is not to be taken for what its user costs. */
    for (uint waited = 0, next = SHORTEST_NAP; !(has_event = next_event(to)) && waited < milliseconds && state.is_loaded;
         waited += next, next = next < LONGEST_NAP ? 2 * next : LONGEST_NAP) {
        pthread_mutex_unlock(&lock);
        nap(next);
        pthread_mutex_lock(&lock);
        refresh();
    }
    pthread_mutex_unlock(&lock);
    return has_event ? SUCCESS : state.is_loaded ? TIMEOUT : UNINITIALIZED;
}
