/* A libnvidia-ml.so.1 without a driver: NVIDIA's own Python binding loads it and talks to it as to the real one.

   What the machine has comes from the text file named by STEWARD_LAB_NVML (written by lab/nvidia/stub.py),
   which is read again whenever it was replaced, so that faults can be played while a program runs. Structures
   have the shape of NVIDIA's published nvml.h. A value that the file does not give is NOT_SUPPORTED. */

#ifndef NVML_STATE_H
#define NVML_STATE_H

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
enum { GPUS = 16, PARTS = 8, VALUES = 160, PROCESSES = 256, LINKS = 18, VGPUS = 16, FAULTS = 64, XIDS = 4096, SESSIONS = 4,
       COUNTED = 256, TEXT = 96, NAME = 64 };
#define XID_EVENT 8ULL
#define ALL_LINKS 0xFFFFFFFFu
#define SHORTEST_NAP 2u /* milliseconds */
#define LONGEST_NAP 128u

typedef int Return;
typedef unsigned int uint;
typedef unsigned long long ull;

typedef struct { char name[NAME]; double value; } Value;
typedef struct { uint pid; ull bytes; int sm; int list; int part; } Process;  /* part < 0: of no MIG instance */
typedef struct { char call[TEXT]; int code; } Fault;                     /* code < 0: the call hangs */
typedef struct { char uuid[TEXT], profile[TEXT]; int instance; ull total, reserved, used; } Part;
typedef struct { int up; ull errors[5]; } Link;
typedef struct { char vm[TEXT]; ull bytes; int sm; } Vgpu;
typedef struct { char uuid[TEXT], name[TEXT], bus[TEXT], serial[TEXT], vbios[TEXT]; int minor, lost, is_mig;
                 int values, processes, faults, parts, links, vgpus;
                 Value value[VALUES]; Process process[PROCESSES]; Fault fault[FAULTS]; Part part[PARTS];
                 Link link[LINKS]; Vgpu vgpu[VGPUS]; } Gpu;
typedef struct { int gpu; uint code; ull number; } Xid;
typedef struct { int is_loaded, cuda, gpus, faults, xids; char driver[TEXT]; Gpu gpu[GPUS];
                 Fault fault[FAULTS]; Xid xid[XIDS]; } State;
typedef struct { int session, part; char uuid[TEXT]; } Handle;           /* part < 0: the GPU itself */

/* What the parts of this library share; programs that load it see none of it. */
#pragma GCC visibility push(hidden)
extern State state;
extern int session, opened;
extern Handle handles[SESSIONS][GPUS][PARTS + 1];
extern char registered[GPUS][TEXT];
extern int registered_count;
extern ull delivered;
extern pthread_mutex_t lock;

void copy(char *to, const char *from);
void nap(uint milliseconds);
void refresh(void);
int fault_in(const Fault *faults, int count, const char *call);
Gpu *find(const char *uuid);
int is_lost(const Gpu *gpu);
Return begin_call(const char *call, const Handle *handle, Gpu **gpu);
Return end_call(Return result);
int value_of(const Gpu *gpu, const char *name, double *value);
Return uint_of(const Gpu *gpu, const char *name, uint *to);
Return ull_of(const Gpu *gpu, const char *name, ull *to);
Return text_to(const char *from, char *to, uint size);
#pragma GCC visibility pop

#define CALL(handle) \
    Gpu *gpu = NULL; \
    Return failed = begin_call(__func__, (handle), &gpu); \
    if (failed) return end_call(failed)

/* A structure has the size that NVIDIA's binding gives it (tests/lab/test_nvidia.py compares). */
#define SAME_SIZE(shape, size, name) _Static_assert(sizeof(shape) == (size), name)

#endif
