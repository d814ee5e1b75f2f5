/* The script of the machine, the calls that are under way, and how each must end. */

#include "nvml_state.h"

State state;
int session, opened;
Handle handles[SESSIONS][GPUS][PARTS + 1];
char registered[GPUS][TEXT];
int registered_count;
ull delivered;
pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static State fresh;
static struct stat seen;
static int has_read;
static char lost_uuid[GPUS][TEXT];
static int lost_session[GPUS], lost_count;
static struct { char name[TEXT]; int count; } counted[COUNTED];
static int counted_names, inside, most_inside;

void copy(char *to, const char *from) { snprintf(to, TEXT, "%s", from); }

void nap(uint milliseconds) {
    struct timespec pause = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    nanosleep(&pause, NULL);
}

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
        if (sscanf(rest, "%63s %lf", one->name, &one->value) == 2) gpu->values++;
    } else if (!strcmp(word, "process") && gpu->processes < PROCESSES) {
        Process *one = &gpu->process[gpu->processes];
        if (sscanf(rest, "%u %llu %d %d %d", &one->pid, &one->bytes, &one->sm, &one->list, &one->part) == 5)
            gpu->processes++;
    } else if (!strcmp(word, "fault") && gpu->faults < FAULTS) {
        Fault *one = &gpu->fault[gpu->faults];
        if (sscanf(rest, "%95s %d", one->call, &one->code) == 2) gpu->faults++;
    } else if (!strcmp(word, "part") && gpu->parts < PARTS) {
        Part *one = &gpu->part[gpu->parts];
        if (sscanf(rest, "%95s %d %95s %llu %llu %llu", one->uuid, &one->instance, one->profile, &one->total,
                   &one->reserved, &one->used) == 6) gpu->parts++;
    } else if (!strcmp(word, "vgpu") && gpu->vgpus < VGPUS) {
        Vgpu *one = &gpu->vgpu[gpu->vgpus];
        if (sscanf(rest, "%95s %llu %d", one->vm, &one->bytes, &one->sm) == 3) gpu->vgpus++;
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
void refresh(void) {
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

int fault_in(const Fault *faults, int count, const char *call) {
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

Gpu *find(const char *uuid) {
    for (int i = 0; i < state.gpus; i++)
        if (!strcmp(state.gpu[i].uuid, uuid)) return &state.gpu[i];
    return NULL;
}

int is_lost(const Gpu *gpu) {
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
Return begin_call(const char *call, const Handle *handle, Gpu **gpu) {
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
        nap(SHORTEST_NAP);
        pthread_mutex_lock(&lock);
        refresh();
    }
}

Return end_call(Return result) {
    __atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&lock);
    return result;
}

int value_of(const Gpu *gpu, const char *name, double *value) {
    for (int i = 0; i < gpu->values; i++)
        if (!strcmp(gpu->value[i].name, name)) { *value = gpu->value[i].value; return 1; }
    return 0;
}

Return uint_of(const Gpu *gpu, const char *name, uint *to) {
    double value;
    if (!value_of(gpu, name, &value)) return NOT_SUPPORTED;
    *to = (uint)value;
    return SUCCESS;
}

Return ull_of(const Gpu *gpu, const char *name, ull *to) {
    double value;
    if (!value_of(gpu, name, &value)) return NOT_SUPPORTED;
    *to = (ull)value;
    return SUCCESS;
}

Return text_to(const char *from, char *to, uint size) {
    if (!*from) return NOT_SUPPORTED;
    snprintf(to, size, "%s", from);
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
