/* A stand-in for NVIDIA's management library: the functions that pytest-gpuperf calls, scripted from a file.
 *
 * The file named by GPUPERF_NVML_SCRIPT holds one setting a line (standin.py writes it). It is read again whenever it
 * changes, so that a test can change the machine in the middle of a run. Times are seconds since `start`, a reading of
 * CLOCK_MONOTONIC. A trace is a list of TIME:VALUE, each value holding from its time on; `power_repeat` is the time
 * after which the trace of power begins again.
 *
 * -DOLD_DRIVER leaves out what drivers before 535 lack: the symbol is missing, as it is there.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { OK = 0, UNINITIALIZED = 1, INVALID = 2, UNSUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7 };
enum { DEVICES = 16, STEPS = 256, SPANS = 32, PIDS = 16, FAULTS = 32, NAMES = 64, LINKS = 18 };
typedef int ret;

typedef struct { double at[STEPS], value[STEPS], repeat; int count; } trace;
typedef struct { int policy; double from, to; } span;
typedef struct { unsigned pid; unsigned long long memory; } process;

/* One GPU, or one MIG instance of the GPU `parent`. */
typedef struct {
    char uuid[96], pci[32], name[96];
    int parent; /* -1: a whole GPU */
    trace power, memory_used, reasons, temperature, sm_clock, utilization;
    double counter_period, counter_offset, counter_reset_at, power_period;
    unsigned long long memory_total, ecc_errors;
    unsigned power_limit, default_limit, sm_clock_max, compute_mode, persistence, ecc, mig, nvlinks, major, minor,
        pcie_gen, pcie_width, pcie_gen_max, pcie_width_max;
    span spans[SPANS];
    process processes[PIDS];
    int span_count, process_count;
} device;

/* A function that fails: from its N-th call on, or from the T-th second on. "*" is every function of a device. */
typedef struct { char function[64]; int code; long calls; double seconds; } fault;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static device devices[DEVICES];
static int device_count, topology, initialized, fault_count, name_count;
static char driver[64], seen[NAMES][64];
static long calls[NAMES];
static fault faults[FAULTS];
static double start;
static struct timespec modified;
static ino_t inode; /* a replaced file may be as old, to the tick, as the one before */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9 - start;
}

/* ---- the script ---- */

static void read_trace(trace *t, char *text) {
    t->count = 0;
    for (char *word = strtok(text, " \n"); word && t->count < STEPS; word = strtok(NULL, " \n"))
        if (sscanf(word, "%lf:%lf", &t->at[t->count], &t->value[t->count]) == 2) t->count++;
}

static void read_line(char *line) {
    char key[64];
    int used = 0;
    if (sscanf(line, "%63s %n", key, &used) != 1) return;
    char *rest = line + used;
    rest[strcspn(rest, "\n")] = 0;
    device *d = device_count ? &devices[device_count - 1] : NULL;
    unsigned long long n = strtoull(rest, NULL, 0);
    double x = strtod(rest, NULL);
#define IS(word) (strcmp(key, word) == 0)
#define TEXT(field) if (IS(#field)) snprintf(d->field, sizeof d->field, "%s", rest)
#define NUMBER(field) if (IS(#field)) d->field = n
#define REAL(field) if (IS(#field)) d->field = x
#define TRACE(field) if (IS(#field)) read_trace(&d->field, rest)
    if (IS("start")) start = x;
    else if (IS("driver")) snprintf(driver, sizeof driver, "%s", rest);
    else if (IS("topology")) topology = (int)n;
    else if (IS("fault") && fault_count < FAULTS) {
        fault *f = &faults[fault_count++];
        f->calls = LONG_MAX;
        f->seconds = 1e300;
        char unit[16];
        double from;
        if (sscanf(rest, "%63s %d %15s %lf", f->function, &f->code, unit, &from) == 4) {
            if (unit[0] == 'c') f->calls = (long)from;
            else f->seconds = from;
        }
    } else if (IS("device") && device_count < DEVICES) {
        d = &devices[device_count++];
        memset(d, 0, sizeof *d);
        d->parent = (int)strtol(rest, NULL, 0);
        d->counter_reset_at = 1e300;
    } else if (d) {
        TEXT(uuid); else TEXT(pci); else TEXT(name);
        else TRACE(power); else TRACE(memory_used); else TRACE(reasons); else TRACE(temperature);
        else TRACE(sm_clock); else TRACE(utilization);
        else if (IS("power_repeat")) d->power.repeat = x;
        else REAL(counter_period); else REAL(counter_offset); else REAL(counter_reset_at); else REAL(power_period);
        else NUMBER(memory_total); else NUMBER(ecc_errors); else NUMBER(power_limit); else NUMBER(default_limit);
        else NUMBER(sm_clock_max); else NUMBER(compute_mode); else NUMBER(persistence); else NUMBER(ecc);
        else NUMBER(mig); else NUMBER(nvlinks); else NUMBER(major); else NUMBER(minor); else NUMBER(pcie_gen);
        else NUMBER(pcie_width); else NUMBER(pcie_gen_max); else NUMBER(pcie_width_max);
        else if (IS("violation") && d->span_count < SPANS) {
            span *s = &d->spans[d->span_count++];
            sscanf(rest, "%d %lf %lf", &s->policy, &s->from, &s->to);
        } else if (IS("process") && d->process_count < PIDS) {
            process *p = &d->processes[d->process_count++];
            sscanf(rest, "%u %llu", &p->pid, &p->memory);
        }
    }
}

static void reload(void) {
    const char *path = getenv("GPUPERF_NVML_SCRIPT");
    struct stat file;
    if (!path || stat(path, &file)) return;
    if (file.st_mtim.tv_sec == modified.tv_sec && file.st_mtim.tv_nsec == modified.tv_nsec && file.st_ino == inode)
        return;
    FILE *script = fopen(path, "r");
    if (!script) return;
    modified = file.st_mtim;
    inode = file.st_ino;
    device_count = fault_count = 0;
    char line[8192];
    while (fgets(line, sizeof line, script)) read_line(line);
    fclose(script);
}

/* ---- what every function begins with ---- */

static ret begin(const char *function) {
    reload();
    int i = 0;
    while (i < name_count && strcmp(seen[i], function)) i++;
    if (i == name_count && name_count < NAMES) snprintf(seen[name_count++], sizeof seen[0], "%s", function);
    if (i < NAMES) calls[i]++;
    for (fault *f = faults; f < faults + fault_count; f++) {
        int every = strcmp(f->function, "*") == 0 && strncmp(function, "nvmlDevice", 10) == 0;
        if ((every || strcmp(f->function, function) == 0) && (calls[i] >= f->calls || now() >= f->seconds))
            return f->code;
    }
    return initialized ? OK : UNINITIALIZED;
}

/* How often the library was called since it was opened. */
long standin_calls(void) {
    long sum = 0;
    for (int i = 0; i < name_count; i++) sum += calls[i];
    return sum;
}

static void unlock(pthread_mutex_t **held) { pthread_mutex_unlock(*held); }
#define BEGIN                                                                        \
    __attribute__((cleanup(unlock))) pthread_mutex_t *held = &lock;                  \
    pthread_mutex_lock(held);                                                        \
    ret failed = begin(__func__);                                                    \
    if (failed) return failed;

/* ---- values over time ---- */

static double value(const trace *t, double at) {
    if (t->repeat > 0) at -= t->repeat * (long long)(at / t->repeat);
    double found = 0;
    for (int i = 0; i < t->count && t->at[i] <= at; i++) found = t->value[i];
    return found;
}

static double integral(const trace *t, double from, double to) {
    double sum = 0;
    if (t->repeat > 0 && (from != 0 || to > t->repeat)) { /* whole rounds, and what is left of the last one */
        trace once = *t;
        once.repeat = 0;
        long long a = (long long)(from / t->repeat), b = (long long)(to / t->repeat);
        return (b - a) * integral(&once, 0, t->repeat) + integral(&once, 0, to - b * t->repeat)
               - integral(&once, 0, from - a * t->repeat);
    }
    for (int i = 0; i < t->count; i++) {
        double a = t->at[i] > from ? t->at[i] : from;
        double b = i + 1 < t->count && t->at[i + 1] < to ? t->at[i + 1] : to;
        if (b > a) sum += (b - a) * t->value[i];
    }
    return sum;
}

/* The moment of the last update of something that moves once a period. */
static double updated(double period, double at) {
    if (period <= 0) return at;
    long long periods = (long long)(at / period);
    return periods * period;
}

/* A MIG instance has no sensors of its own. */
#define WHOLE_GPU if (d->parent >= 0) return UNSUPPORTED

/* ---- the library ---- */

ret nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    pthread_mutex_lock(&lock);
    if (!initialized++) {
        memset(&modified, 0, sizeof modified);
        memset(calls, 0, sizeof calls);
        name_count = 0;
        topology = 50;
    }
    int failed = begin(__func__);
    if (failed) initialized--;
    pthread_mutex_unlock(&lock);
    return failed;
}
ret nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
ret nvmlInit(void) { return nvmlInitWithFlags(0); }
ret nvmlShutdown(void) { BEGIN initialized--; return OK; }
const char *nvmlErrorString(ret code) { return code ? "scripted error" : "Success"; }

static ret copied(char *to, unsigned size, const char *text) {
    if (strlen(text) >= size) return TOO_SMALL;
    strcpy(to, text);
    return OK;
}
ret nvmlSystemGetDriverVersion(char *to, unsigned size) { BEGIN return copied(to, size, driver); }
ret nvmlSystemGetNVMLVersion(char *to, unsigned size) { BEGIN return copied(to, size, driver); }
ret nvmlSystemGetCudaDriverVersion_v2(int *version) { BEGIN *version = 12040; return OK; }

/* Whole GPUs come first in the script, their instances after all of them. */
ret nvmlDeviceGetCount_v2(unsigned *count) {
    BEGIN
    *count = 0;
    for (int i = 0; i < device_count; i++) *count += devices[i].parent < 0;
    return OK;
}
ret nvmlDeviceGetHandleByIndex_v2(unsigned index, device **d) {
    BEGIN
    if (index >= (unsigned)device_count || devices[index].parent >= 0) return INVALID;
    *d = &devices[index];
    return OK;
}
ret nvmlDeviceGetHandleByUUID(const char *uuid, device **d) {
    BEGIN
    for (int i = 0; i < device_count; i++)
        if (strcmp(devices[i].uuid, uuid) == 0) { *d = &devices[i]; return OK; }
    return NOT_FOUND;
}
ret nvmlDeviceGetHandleByPciBusId_v2(const char *pci, device **d) {
    BEGIN
    for (int i = 0; i < device_count; i++)
        if (strcasecmp(devices[i].pci, pci) == 0) { *d = &devices[i]; return OK; }
    return NOT_FOUND;
}

ret nvmlDeviceGetUUID(device *d, char *to, unsigned size) { BEGIN return copied(to, size, d->uuid); }
ret nvmlDeviceGetName(device *d, char *to, unsigned size) { BEGIN return copied(to, size, d->name); }
ret nvmlDeviceGetIndex(device *d, unsigned *index) { BEGIN *index = (unsigned)(d - devices); return OK; }
ret nvmlDeviceGetCudaComputeCapability(device *d, int *major, int *minor) {
    BEGIN *major = (int)d->major; *minor = (int)d->minor; return OK;
}
ret nvmlDeviceGetArchitecture(device *d, unsigned *architecture) { BEGIN (void)d; *architecture = 7; return OK; }
typedef struct { char legacy[16]; unsigned domain, bus, slot, id, subsystem; char bus_id[32]; } pci_info;
ret nvmlDeviceGetPciInfo_v3(device *d, pci_info *info) {
    BEGIN
    memset(info, 0, sizeof *info);
    snprintf(info->bus_id, sizeof info->bus_id, "%s", d->pci);
    return OK;
}

ret nvmlDeviceGetMigMode(device *d, unsigned *current, unsigned *pending) {
    BEGIN WHOLE_GPU; *current = *pending = d->mig; return OK;
}
ret nvmlDeviceIsMigDeviceHandle(device *d, unsigned *is) { BEGIN *is = d->parent >= 0; return OK; }
ret nvmlDeviceGetMaxMigDeviceCount(device *d, unsigned *count) { BEGIN *count = d->mig ? 7 : 0; return OK; }
ret nvmlDeviceGetMigDeviceHandleByIndex(device *d, unsigned index, device **instance) {
    BEGIN
    for (int i = 0; i < device_count; i++)
        if (devices[i].parent == d - devices && index-- == 0) { *instance = &devices[i]; return OK; }
    return NOT_FOUND;
}
ret nvmlDeviceGetDeviceHandleFromMigDeviceHandle(device *d, device **parent) {
    BEGIN
    if (d->parent < 0) return INVALID;
    *parent = &devices[d->parent];
    return OK;
}

typedef struct { unsigned long long total, free, used; } memory;
ret nvmlDeviceGetMemoryInfo(device *d, memory *m) {
    BEGIN
    m->total = d->memory_total;
    m->used = (unsigned long long)value(&d->memory_used, now());
    m->free = m->total - m->used;
    return OK;
}

/* Milliwatts, the mean of the last second. */
ret nvmlDeviceGetPowerUsage(device *d, unsigned *milliwatts) {
    BEGIN WHOLE_GPU;
    double at = updated(d->power_period, now()), from = at > 1 ? at - 1 : 0;
    double mean = at > from ? integral(&d->power, from, at) / (at - from) : value(&d->power, at);
    *milliwatts = (unsigned)(1e3 * mean);
    return OK;
}

/* Millijoules; it moves once a period, and begins again at zero after a reset. */
ret nvmlDeviceGetTotalEnergyConsumption(device *d, unsigned long long *millijoules) {
    BEGIN WHOLE_GPU;
    if (d->counter_period <= 0) return UNSUPPORTED;
    double at = updated(d->counter_period, now());
    double since = at >= d->counter_reset_at ? d->counter_reset_at : 0;
    *millijoules = (unsigned long long)(1e3 * ((since > 0 ? 0 : d->counter_offset) + integral(&d->power, since, at)));
    return OK;
}

typedef struct {
    uint32_t field, scope;
    int64_t timestamp, latency;
    unsigned type, result;
    union { double d; unsigned ui; unsigned long long ull; } value;
} field_value;
enum { POWER_INSTANT = 186, UNSIGNED = 1 };
ret nvmlDeviceGetFieldValues(device *d, int count, field_value *values) {
    BEGIN
    for (field_value *v = values; v < values + count; v++) {
        int known = v->field == POWER_INSTANT && d->parent < 0;
#ifdef OLD_DRIVER
        known = 0;
#endif
        v->result = known ? OK : UNSUPPORTED;
        v->type = UNSIGNED;
        v->value.ui = known ? (unsigned)(1e3 * value(&d->power, updated(d->power_period, now()))) : 0;
    }
    return OK;
}

#ifndef OLD_DRIVER
ret nvmlDeviceGetCurrentClocksEventReasons(device *d, unsigned long long *reasons) {
    BEGIN WHOLE_GPU; *reasons = (unsigned long long)value(&d->reasons, now()); return OK;
}
#endif
ret nvmlDeviceGetCurrentClocksThrottleReasons(device *d, unsigned long long *reasons) {
    BEGIN WHOLE_GPU; *reasons = (unsigned long long)value(&d->reasons, now()); return OK;
}

typedef struct { unsigned long long reference, violation; } violation;
ret nvmlDeviceGetViolationStatus(device *d, unsigned policy, violation *v) {
    BEGIN WHOLE_GPU;
    double at = now(), sum = 0;
    for (span *s = d->spans; s < d->spans + d->span_count; s++) {
        double to = s->to < at ? s->to : at;
        if (s->policy == (int)policy && to > s->from) sum += to - s->from;
    }
    v->reference = (unsigned long long)(1e6 * at);
    v->violation = (unsigned long long)(1e9 * sum);
    return OK;
}

typedef struct { unsigned pid; unsigned long long memory; unsigned gpu_instance, compute_instance; } process_info;
static ret listed(device *d, unsigned *count, process_info *infos) {
    unsigned room = *count;
    *count = (unsigned)d->process_count;
    if (!d->process_count) return OK;
    if (!infos || room < *count) return TOO_SMALL;
    for (unsigned i = 0; i < *count; i++)
        infos[i] = (process_info){d->processes[i].pid, d->processes[i].memory, ~0u, ~0u};
    return OK;
}
#ifndef OLD_DRIVER
ret nvmlDeviceGetComputeRunningProcesses_v3(device *d, unsigned *count, process_info *infos) {
    BEGIN return listed(d, count, infos);
}
ret nvmlDeviceGetGraphicsRunningProcesses_v3(device *d, unsigned *count, process_info *infos) {
    BEGIN (void)d; (void)infos; *count = 0; return OK;
}
#endif
ret nvmlDeviceGetComputeRunningProcesses_v2(device *d, unsigned *count, process_info *infos) {
    BEGIN return listed(d, count, infos);
}

ret nvmlDeviceGetEccMode(device *d, unsigned *current, unsigned *pending) {
    BEGIN *current = *pending = d->ecc; return OK;
}
ret nvmlDeviceGetTotalEccErrors(device *d, unsigned kind, unsigned counter, unsigned long long *count) {
    BEGIN (void)counter; *count = kind == 1 ? d->ecc_errors : 0; return d->ecc ? OK : UNSUPPORTED;
}
ret nvmlDeviceGetPersistenceMode(device *d, unsigned *mode) { BEGIN *mode = d->persistence; return OK; }
ret nvmlDeviceGetComputeMode(device *d, unsigned *mode) { BEGIN *mode = d->compute_mode; return OK; }
ret nvmlDeviceGetEnforcedPowerLimit(device *d, unsigned *limit) { BEGIN WHOLE_GPU; *limit = d->power_limit; return OK; }
ret nvmlDeviceGetPowerManagementLimit(device *d, unsigned *limit) { BEGIN *limit = d->power_limit; return OK; }
ret nvmlDeviceGetPowerManagementDefaultLimit(device *d, unsigned *limit) { BEGIN *limit = d->default_limit; return OK; }
ret nvmlDeviceGetClockInfo(device *d, unsigned kind, unsigned *mhz) {
    BEGIN WHOLE_GPU; (void)kind; *mhz = (unsigned)value(&d->sm_clock, now()); return OK;
}
ret nvmlDeviceGetMaxClockInfo(device *d, unsigned kind, unsigned *mhz) {
    BEGIN (void)kind; *mhz = d->sm_clock_max; return OK;
}
ret nvmlDeviceGetTemperature(device *d, unsigned sensor, unsigned *celsius) {
    BEGIN WHOLE_GPU; (void)sensor; *celsius = (unsigned)value(&d->temperature, now()); return OK;
}
typedef struct { unsigned gpu, memory; } rates;
ret nvmlDeviceGetUtilizationRates(device *d, rates *r) {
    BEGIN WHOLE_GPU; r->gpu = (unsigned)value(&d->utilization, now()); r->memory = 0; return OK;
}
ret nvmlDeviceGetNvLinkState(device *d, unsigned link, unsigned *active) {
    BEGIN
    if (link >= LINKS) return INVALID;
    if (!d->nvlinks) return UNSUPPORTED;
    *active = link < d->nvlinks;
    return OK;
}
ret nvmlDeviceGetTopologyCommonAncestor(device *a, device *b, unsigned *level) {
    BEGIN *level = a == b ? 0 : (unsigned)topology; return OK;
}
ret nvmlDeviceGetCurrPcieLinkGeneration(device *d, unsigned *n) { BEGIN *n = d->pcie_gen; return OK; }
ret nvmlDeviceGetCurrPcieLinkWidth(device *d, unsigned *n) { BEGIN *n = d->pcie_width; return OK; }
ret nvmlDeviceGetMaxPcieLinkGeneration(device *d, unsigned *n) { BEGIN *n = d->pcie_gen_max; return OK; }
ret nvmlDeviceGetMaxPcieLinkWidth(device *d, unsigned *n) { BEGIN *n = d->pcie_width_max; return OK; }
