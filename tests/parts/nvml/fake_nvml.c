/* A libnvidia-ml.so.1 for tests: the real pynvml loads it and gets the answers of a table.
 *
 * FAKE_NVML_TABLE      the table (see h100.table); what is not in it is NVML_ERROR_NOT_SUPPORTED, as on a real card
 * FAKE_NVML_COUNT      number of GPUs (default 2)
 * FAKE_NVML_INIT       what nvmlInit returns; FAKE_NVML_INIT_NO_GPUS the same for NVML_INIT_FLAG_NO_GPUS
 * FAKE_NVML_LOST       GPUs, "2,3": every call answers NVML_ERROR_GPU_IS_LOST; FAKE_NVML_LOST_HANDLE: already the handle does
 * FAKE_NVML_LOST_AFTER "gpu:calls": it falls off the bus after that many calls
 * FAKE_NVML_HANG       "function:gpu function:argument:gpu …" never return (gpu -1: any; function *: all): only SIGKILL ends it
 * FAKE_NVML_CRASH      the same form: these end the process by SIGSEGV
 * FAKE_NVML_SLOW_MS    milliseconds that each call of a device takes
 *
 * Layouts and numbers are those of nvml.h. A library without some functions is linked with a version script (see __init__.py).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct device { int index; int calls; } *nvmlDevice_t;
typedef unsigned long long ull;
enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, LOST = 15, VERSION_MISMATCH = 25 };
enum { MAX_GPUS = 64, MAX_ROWS = 2048, MAX_VALUES = 32 };

static struct device devices[MAX_GPUS];
static int references;

/* ---- environment */

static int number_in(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text && *text ? atoi(text) : otherwise;
}

static int in_list(const char *name, int wanted) {
    const char *text = getenv(name);
    while (text && *text) {
        if (atoi(text) == wanted) return 1;
        text = strchr(text, ',');
        if (text) text++;
    }
    return 0;
}

/* Say whether the environment's "function:gpu function:arguments:gpu" names this call. */
static int named(const char *variable, const char *function, int gpu) {
    const char *text = getenv(variable);
    while (text && *text) {
        size_t length = strcspn(text, " "), name = length;
        while (name && text[name] != ':') name--;
        int any = name == 1 && *text == '*', same = strlen(function) == name && !strncmp(text, function, name);
        int wanted = atoi(text + name + 1);
        if ((any || same) && (wanted == gpu || wanted == -1)) return 1;
        text += length + (text[length] == ' ');
    }
    return 0;
}

static void pause_s(double seconds) {
    struct timespec left = { (time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9) };
    while (nanosleep(&left, &left)) { }
}

static void misbehave(const char *function, int gpu) {
    if (named("FAKE_NVML_CRASH", function, gpu)) { signal(SIGSEGV, SIG_DFL); raise(SIGSEGV); }
    if (named("FAKE_NVML_HANG", function, gpu)) {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, NULL);
        pause_s(3600);
    }
}

/* ---- the table: function[:arguments] gpu|* return values… ("…" for text; {i} is the GPU in two hexadecimal digits) */

struct row { char key[96]; int gpu; int result; int count; char *value[MAX_VALUES]; };
static struct row rows[MAX_ROWS];
static int row_count = -1;

static char *word(char **at) {
    char *start = *at + strspn(*at, " \t\n");
    if (!*start) return NULL;
    char *end = *start == '"' ? strchr(++start, '"') : start + strcspn(start, " \t\n");
    if (!end) end = start + strlen(start);
    *at = *end ? end + 1 : end;
    *end = 0;
    return start;
}

static void load(void) {
    row_count = 0;
    const char *path = getenv("FAKE_NVML_TABLE");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[4096];
    while (file && row_count < MAX_ROWS && fgets(line, sizeof line, file)) {
        char *copy = strdup(line), *at = copy, *key = word(&at), *gpu = key ? word(&at) : NULL, *result = gpu ? word(&at) : NULL;
        if (!result || *key == '#') { free(copy); continue; }
        struct row *row = &rows[row_count++];
        snprintf(row->key, sizeof row->key, "%s", key);
        row->gpu = *gpu == '*' ? -1 : atoi(gpu);
        row->result = atoi(result);
        for (char *value = NULL; row->count < MAX_VALUES && (value = word(&at));) row->value[row->count++] = value;
    }
    if (file) fclose(file);
}

static const struct row *row_of(const char *key, int gpu) {
    const struct row *found = NULL;
    for (int i = 0; i < row_count; i++)
        if (!strcmp(rows[i].key, key) && (rows[i].gpu == gpu || (rows[i].gpu == -1 && !found))) {
            found = &rows[i];
            if (found->gpu == gpu) return found;
        }
    return found;
}

static ull number(const struct row *row, int i) { return i < row->count ? strtoull(row->value[i], NULL, 0) : 0; }

static void text_of(const struct row *row, int i, int gpu, char *out, size_t size) {
    const char *from = i < row->count ? row->value[i] : "";
    size_t used = 0;
    while (*from && used + 1 < size) {
        if (!strncmp(from, "{i}", 3) && used + 3 <= size) { used += (size_t)snprintf(out + used, 3, "%02x", gpu); from += 3; }
        else out[used++] = *from++;
    }
    out[used] = 0;
}

/* ---- a call of a device: what every function does first */

static int enter(const char *function, const char *key, nvmlDevice_t device, const struct row **row) {
    if (!references) return UNINITIALIZED;
    if (!device) return INVALID_ARGUMENT;
    int slow = number_in("FAKE_NVML_SLOW_MS", 0), gpu = device->index;
    if (slow) pause_s(slow / 1e3);
    misbehave(function, gpu);
    if (strcmp(key, function)) misbehave(key, gpu);
    const char *after = getenv("FAKE_NVML_LOST_AFTER");
    device->calls++;
    if (after && strchr(after, ':') && atoi(after) == gpu && device->calls > atoi(strchr(after, ':') + 1)) return LOST;
    if (in_list("FAKE_NVML_LOST", gpu)) return LOST;
    *row = row_of(key, gpu);
    return *row ? (*row)->result : NOT_SUPPORTED;
}

#define ENTER_AS(key) const struct row *row = NULL; int result = enter(__func__, key, device, &row); if (result) return result
#define ENTER ENTER_AS(__func__)
#define ENTER_WITH(...) char key[160]; int used = snprintf(key, sizeof key, "%s:", __func__); \
    snprintf(key + used, sizeof key - (size_t)used, __VA_ARGS__); ENTER_AS(key)
#define TEXT(name) int name(nvmlDevice_t device, char *out, unsigned size) { ENTER; text_of(row, 0, device->index, out, size); return SUCCESS; }
#define UINT(name) int name(nvmlDevice_t device, unsigned *out) { ENTER; *out = (unsigned)number(row, 0); return SUCCESS; }
#define UINTS(name) int name(nvmlDevice_t device, unsigned *a, unsigned *b) { ENTER; \
    *a = (unsigned)number(row, 0); *b = (unsigned)number(row, 1); return SUCCESS; }
#define UINT_OF(name) int name(nvmlDevice_t device, unsigned kind, unsigned *out) { ENTER_WITH("%u", kind); \
    *out = (unsigned)number(row, 0); return SUCCESS; }
#define ULL(name) int name(nvmlDevice_t device, ull *out) { ENTER; *out = number(row, 0); return SUCCESS; }

/* ---- library and system */

static int init(const char *variable) {
    misbehave("nvmlInit", -1);
    int result = number_in(variable, SUCCESS);
    if (result) return result;
    if (row_count < 0) load();
    for (int i = 0; i < MAX_GPUS; i++) devices[i].index = i;
    references++;
    return SUCCESS;
}

int nvmlInitWithFlags(unsigned flags) { return init(flags & 1 ? "FAKE_NVML_INIT_NO_GPUS" : "FAKE_NVML_INIT"); }
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return references ? (references--, SUCCESS) : UNINITIALIZED; }
const char *nvmlErrorString(int result) { static char text[64]; snprintf(text, sizeof text, "error %d of the test library", result); return text; }

static int system_text(const char *function, char *out, unsigned size) {
    if (!references) return UNINITIALIZED;
    misbehave(function, -1);
    const struct row *row = row_of(function, -1);
    if (!row || row->result) return row ? row->result : NOT_SUPPORTED;
    text_of(row, 0, 0, out, size);
    return SUCCESS;
}
int nvmlSystemGetDriverVersion(char *out, unsigned size) { return system_text(__func__, out, size); }
int nvmlSystemGetNVMLVersion(char *out, unsigned size) { return system_text(__func__, out, size); }

static int system_number(const char *function, unsigned *out) {
    if (!references) return UNINITIALIZED;
    const struct row *row = row_of(function, -1);
    if (!row || row->result) return row ? row->result : NOT_SUPPORTED;
    *out = (unsigned)number(row, 0);
    return SUCCESS;
}
int nvmlSystemGetCudaDriverVersion_v2(int *out) { return system_number(__func__, (unsigned *)out); }
int nvmlGetExcludedDeviceCount(unsigned *out) { return system_number(__func__, out); }

struct branch { unsigned version; char branch[80]; };
int nvmlSystemGetDriverBranch(struct branch *info, unsigned size) { return info->version == 0x1000054 ? system_text(__func__, info->branch, size) : VERSION_MISMATCH; }

struct pci { char legacy[16]; unsigned domain, bus, device, ids, subsystem; char bus_id[32]; };
static void fill_pci(struct pci *pci, const struct row *row) {  /* values: domain bus device ids subsystem */
    memset(pci, 0, sizeof *pci);
    pci->domain = (unsigned)number(row, 0); pci->bus = (unsigned)number(row, 1); pci->device = (unsigned)number(row, 2);
    pci->ids = (unsigned)number(row, 3); pci->subsystem = (unsigned)number(row, 4);
    snprintf(pci->legacy, sizeof pci->legacy, "%04X:%02X:%02X.0", pci->domain & 0xffff, pci->bus & 0xff, pci->device & 0xff);
    snprintf(pci->bus_id, sizeof pci->bus_id, "%08X:%02X:%02X.0", pci->domain, pci->bus, pci->device);
}

struct excluded { struct pci pci; char uuid[80]; };
int nvmlGetExcludedDeviceInfoByIndex(unsigned index, struct excluded *info) {
    const struct row *row = row_of(__func__, (int)index);
    if (!row) return INVALID_ARGUMENT;
    fill_pci(&info->pci, row);
    text_of(row, 5, (int)index, info->uuid, sizeof info->uuid);
    return row->result;
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    if (!references) return UNINITIALIZED;
    misbehave(__func__, -1);
    *count = (unsigned)number_in("FAKE_NVML_COUNT", 2);
    return SUCCESS;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device) {
    if (!references) return UNINITIALIZED;
    if (index >= MAX_GPUS || (int)index >= number_in("FAKE_NVML_COUNT", 2)) return INVALID_ARGUMENT;
    misbehave(__func__, (int)index);
    *device = &devices[index];
    return in_list("FAKE_NVML_LOST_HANDLE", (int)index) ? LOST : SUCCESS;
}

/* ---- identity and firmware */

TEXT(nvmlDeviceGetName)
TEXT(nvmlDeviceGetUUID)
TEXT(nvmlDeviceGetSerial)
TEXT(nvmlDeviceGetBoardPartNumber)
TEXT(nvmlDeviceGetVbiosVersion)
TEXT(nvmlDeviceGetInforomImageVersion)
UINT(nvmlDeviceGetMinorNumber)
UINT(nvmlDeviceGetModuleId)
UINT(nvmlDeviceGetBoardId)
UINT(nvmlDeviceGetArchitecture)
UINTS(nvmlDeviceGetCudaComputeCapability)
UINT(nvmlDeviceGetInforomConfigurationChecksum)
UINTS(nvmlDeviceGetGspFirmwareMode)

int nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, struct pci *pci) { ENTER; fill_pci(pci, row); return SUCCESS; }
int nvmlDeviceGetInforomVersion(nvmlDevice_t device, unsigned object, char *out, unsigned size) {
    ENTER_WITH("%u", object); text_of(row, 0, device->index, out, size); return SUCCESS;
}
int nvmlDeviceValidateInforom(nvmlDevice_t device) { ENTER; return SUCCESS; }
int nvmlDeviceGetLastBBXFlushTime(nvmlDevice_t device, ull *at, unsigned long *took) {
    ENTER; *at = number(row, 0); *took = (unsigned long)number(row, 1); return SUCCESS;
}
int nvmlDeviceGetBBXTimeData_v1(nvmlDevice_t device, unsigned *seconds) { ENTER; *seconds = (unsigned)number(row, 0); return SUCCESS; }
int nvmlDeviceGetGspFirmwareVersion(nvmlDevice_t device, char *out) { ENTER; text_of(row, 0, device->index, out, 64); return SUCCESS; }

struct platform { unsigned version; unsigned char guid[16]; char chassis[16]; unsigned char slot, tray, host, peer, module; };
int nvmlDeviceGetPlatformInfo(nvmlDevice_t device, struct platform *info) {  /* values: chassis slot tray host peer module, 16 GUID bytes */
    if (info->version != 0x200002c) return VERSION_MISMATCH;
    ENTER;
    char chassis[20];
    text_of(row, 0, device->index, chassis, sizeof chassis);
    memcpy(info->chassis, chassis, 16);
    info->slot = (unsigned char)number(row, 1); info->tray = (unsigned char)number(row, 2); info->host = (unsigned char)number(row, 3);
    info->peer = (unsigned char)number(row, 4); info->module = (unsigned char)number(row, 5);
    for (int i = 0; i < 16; i++) info->guid[i] = (unsigned char)number(row, 6 + i);
    return SUCCESS;
}

/* ---- ECC and repair */

UINTS(nvmlDeviceGetEccMode)
UINT(nvmlDeviceGetDefaultEccMode)
UINT(nvmlDeviceGetRetiredPagesPendingStatus)

int nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, unsigned type, unsigned counter, ull *out) {
    ENTER_WITH("%u,%u", type, counter); *out = number(row, 0); return SUCCESS;
}
int nvmlDeviceGetMemoryErrorCounter(nvmlDevice_t device, unsigned type, unsigned counter, unsigned location, ull *out) {
    ENTER_WITH("%u,%u,%u", type, counter, location); *out = number(row, 0); return SUCCESS;
}

struct sram { unsigned version; ull count[11]; unsigned exceeded; };  /* values in the order of nvmlEccSramErrorStatus_v1_t */
int nvmlDeviceGetSramEccErrorStatus(nvmlDevice_t device, struct sram *status) {
    if (status->version != 0x1000068) return VERSION_MISMATCH;
    ENTER;
    for (int i = 0; i < 11; i++) status->count[i] = number(row, i);
    status->exceeded = (unsigned)number(row, 11);
    return SUCCESS;
}

struct unique { unsigned unit, location, sublocation, extlocation, address, parity, count; };
struct uniques { unsigned version, count; struct unique *entries; };
int nvmlDeviceGetSramUniqueUncorrectedEccErrorCounts(nvmlDevice_t device, struct uniques *counts) {  /* values: 7 numbers each */
    if (counts->version != 0x1000010) return VERSION_MISMATCH;
    ENTER;
    unsigned have = (unsigned)row->count / 7;
    if (row->count == 1) have = (unsigned)number(row, 0);  /* a driver that lies about their number */
    if (!have) { counts->count = 0; return SUCCESS; }
    if (!counts->entries || counts->count < have) { counts->count = have; return INSUFFICIENT_SIZE; }
    for (unsigned i = 0; i < have; i++) {
        unsigned *to = (unsigned *)&counts->entries[i];
        for (int j = 0; j < 7; j++) to[j] = (unsigned)number(row, (int)i * 7 + j);
    }
    return SUCCESS;
}

struct repair { unsigned version, channel, tpc; };
int nvmlDeviceGetRepairStatus(nvmlDevice_t device, struct repair *status) {
    ENTER; status->channel = (unsigned)number(row, 0); status->tpc = (unsigned)number(row, 1); return SUCCESS;
}
struct unrepairable { unsigned version, flag; };
int nvmlDeviceGetUnrepairableMemoryFlag_v1(nvmlDevice_t device, struct unrepairable *status) {
    ENTER; status->flag = (unsigned)number(row, 0); return SUCCESS;
}

/* values: address time, address time… pynvml's first call passes no third pointer: it must not be touched */
static int pages(const struct row *row, unsigned *count, ull *address, ull *at) {
    unsigned have = (unsigned)row->count / 2, room = *count;
    *count = have;
    if (!address) return have ? INSUFFICIENT_SIZE : SUCCESS;
    if (room < have) return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < have; i++) { address[i] = number(row, (int)i * 2); if (at) at[i] = number(row, (int)i * 2 + 1); }
    return SUCCESS;
}
int nvmlDeviceGetRetiredPages_v2(nvmlDevice_t device, unsigned cause, unsigned *count, ull *address, ull *at) {
    ENTER_WITH("%u", cause); return pages(row, count, address, address ? at : NULL);
}
int nvmlDeviceGetRetiredPages(nvmlDevice_t device, unsigned cause, unsigned *count, ull *address) {
    ENTER_WITH("%u", cause); return pages(row, count, address, NULL);
}

int nvmlDeviceGetRemappedRows(nvmlDevice_t device, unsigned *correctable, unsigned *uncorrectable, unsigned *pending, unsigned *failure) {
    ENTER;
    *correctable = (unsigned)number(row, 0); *uncorrectable = (unsigned)number(row, 1);
    *pending = (unsigned)number(row, 2); *failure = (unsigned)number(row, 3);
    return SUCCESS;
}
static int numbers(const struct row *row, unsigned *out, int count) { for (int i = 0; i < count; i++) out[i] = (unsigned)number(row, i); return SUCCESS; }
int nvmlDeviceGetRemappedRows_v2(nvmlDevice_t device, unsigned *info) { ENTER; return numbers(row, info, 6); }
int nvmlDeviceGetRowRemapperHistogram(nvmlDevice_t device, unsigned *histogram) { ENTER; return numbers(row, histogram, 5); }
int nvmlDeviceGetBankRemapperStatus_v1(nvmlDevice_t device, unsigned *status) { ENTER; return numbers(row, status, 5); }

/* ---- clocks, heat, power, PCIe */

UINT(nvmlDeviceGetPerformanceState)
UINT_OF(nvmlDeviceGetClockInfo)
UINT_OF(nvmlDeviceGetMaxClockInfo)
ULL(nvmlDeviceGetCurrentClocksEventReasons)
ULL(nvmlDeviceGetCurrentClocksThrottleReasons)
ULL(nvmlDeviceGetSupportedClocksEventReasons)
ULL(nvmlDeviceGetSupportedClocksThrottleReasons)
UINT_OF(nvmlDeviceGetTemperature)
UINT_OF(nvmlDeviceGetTemperatureThreshold)
UINT(nvmlDeviceGetPowerUsage)
UINT(nvmlDeviceGetPowerManagementLimit)
UINT(nvmlDeviceGetPowerManagementDefaultLimit)
UINTS(nvmlDeviceGetPowerManagementLimitConstraints)
UINT(nvmlDeviceGetEnforcedPowerLimit)
UINT(nvmlDeviceGetPowerSource)
ULL(nvmlDeviceGetTotalEnergyConsumption)
UINT(nvmlDeviceGetCurrPcieLinkGeneration)
UINT(nvmlDeviceGetMaxPcieLinkGeneration)
UINT(nvmlDeviceGetGpuMaxPcieLinkGeneration)
UINT(nvmlDeviceGetCurrPcieLinkWidth)
UINT(nvmlDeviceGetMaxPcieLinkWidth)
UINT(nvmlDeviceGetPcieReplayCounter)

int nvmlDeviceGetViolationStatus(nvmlDevice_t device, unsigned policy, ull *time) {  /* values: reference, violation */
    ENTER_WITH("%u", policy); time[0] = number(row, 0); time[1] = number(row, 1); return SUCCESS;
}
struct temperature { unsigned version, sensor; int temperature; };
int nvmlDeviceGetTemperatureV(nvmlDevice_t device, struct temperature *out) {
    if (out->version != 0x100000c) return VERSION_MISMATCH;
    ENTER_WITH("%u", out->sensor); out->temperature = (int)strtol(row->value[0], NULL, 0); return SUCCESS;
}
struct margin { unsigned version; int temperature; };
int nvmlDeviceGetMarginTemperature(nvmlDevice_t device, struct margin *out) {
    if (out->version != 0x1000008) return VERSION_MISMATCH;
    ENTER; out->temperature = (int)strtol(row->value[0], NULL, 0); return SUCCESS;
}

/* ---- field values: rows "nvmlDeviceGetFieldValues:field,scope", or ":field" for every scope; value type, then value */

struct field { unsigned field, scope; long long at, latency; unsigned type; int result; union { double d; unsigned ui; ull ull; long long sll; int si; unsigned short us; } value; };
static void answer(struct field *field, int gpu) {
    char key[96];
    snprintf(key, sizeof key, "nvmlDeviceGetFieldValues:%u,%u", field->field, field->scope);
    const struct row *row = row_of(key, gpu);
    if (!row) { snprintf(key, sizeof key, "nvmlDeviceGetFieldValues:%u", field->field); row = row_of(key, gpu); }
    field->result = row ? row->result : NOT_SUPPORTED;
    if (field->result || !row->count) return;  /* a success without values: an old driver that leaves the item as it was */
    field->at = 1700000000000000LL;
    field->type = (unsigned)number(row, 0);
    const char *value = row->count > 1 ? row->value[1] : "0";
    switch (field->type) {
        case 0: field->value.d = strtod(value, NULL); break;
        case 4: field->value.sll = strtoll(value, NULL, 0); break;
        case 5: field->value.si = (int)strtol(value, NULL, 0); break;
        default: field->value.ull = strtoull(value, NULL, 0);
    }
}
int nvmlDeviceGetFieldValues(nvmlDevice_t device, int count, struct field *fields) {
    const struct row *row = NULL;
    int result = enter(__func__, "nvmlDeviceGetFieldValues", device, &row);
    if (result && result != NOT_SUPPORTED) return result;  /* a row of the bare name makes the whole call fail */
    for (int i = 0; i < count; i++) {
        char one[96];
        snprintf(one, sizeof one, "field%u", fields[i].field);
        misbehave(one, device->index);
        answer(&fields[i], device->index);
    }
    return SUCCESS;
}

/* ---- NVLink and fabric */

UINT_OF(nvmlDeviceGetNvLinkVersion)
UINT_OF(nvmlDeviceGetNvLinkRemoteDeviceType)

int nvmlDeviceGetNvLinkState(nvmlDevice_t device, unsigned link, unsigned *state) {
    ENTER_WITH("%u", link); *state = (unsigned)number(row, 0); return SUCCESS;
}
int nvmlDeviceGetNvLinkRemotePciInfo_v2(nvmlDevice_t device, unsigned link, struct pci *pci) { ENTER_WITH("%u", link); fill_pci(pci, row); return SUCCESS; }
int nvmlDeviceGetNvLinkErrorCounter(nvmlDevice_t device, unsigned link, unsigned counter, ull *out) {
    ENTER_WITH("%u,%u", link, counter); *out = number(row, 0); return SUCCESS;
}

struct fabric1 { unsigned char cluster[16]; int status; unsigned clique, state; };
struct fabric2 { unsigned version; unsigned char cluster[16]; int status; unsigned clique, state, health; };
struct fabric3 { unsigned version; unsigned char cluster[16]; int status; unsigned clique, state, health; unsigned char summary; };
static void cluster(unsigned char *to, const struct row *row) { for (int i = 0; i < 16; i++) to[i] = (unsigned char)number(row, 5 + i); }
/* values: status clique state health summary, 16 bytes of the cluster's UUID; "version" rows say which structure the driver knows */
int nvmlDeviceGetGpuFabricInfoV(nvmlDevice_t device, struct fabric3 *info) {
    ENTER;
    const struct row *newest = row_of("fabric_version", -1);
    unsigned known = newest ? (unsigned)number(newest, 0) : 3, wanted = info->version >> 24;
    if (wanted > known || wanted < 2) return VERSION_MISMATCH;
    cluster(info->cluster, row);
    info->status = (int)number(row, 0); info->clique = (unsigned)number(row, 1); info->state = (unsigned)number(row, 2); info->health = (unsigned)number(row, 3);
    if (wanted >= 3) info->summary = (unsigned char)number(row, 4);
    return SUCCESS;
}
int nvmlDeviceGetGpuFabricInfo(nvmlDevice_t device, struct fabric1 *info) {
    ENTER_AS("nvmlDeviceGetGpuFabricInfoV");
    cluster(info->cluster, row);
    info->status = (int)number(row, 0); info->clique = (unsigned)number(row, 1); info->state = (unsigned)number(row, 2);
    return SUCCESS;
}

/* ---- use */

UINT(nvmlDeviceGetPersistenceMode)
UINTS(nvmlDeviceGetMigMode)
UINT(nvmlDeviceGetComputeMode)
UINT(nvmlDeviceGetNumFans)

int nvmlDeviceGetUtilizationRates(nvmlDevice_t device, unsigned *rates) { ENTER; return numbers(row, rates, 2); }
struct memory2 { unsigned version; ull total, reserved, free, used; };
int nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, struct memory2 *memory) {  /* values: total reserved free used */
    if (memory->version != 0x2000028) return VERSION_MISMATCH;
    ENTER;
    memory->total = number(row, 0); memory->reserved = number(row, 1); memory->free = number(row, 2); memory->used = number(row, 3);
    return SUCCESS;
}
int nvmlDeviceGetMemoryInfo(nvmlDevice_t device, ull *memory) {
    ENTER_AS("nvmlDeviceGetMemoryInfo_v2");
    memory[0] = number(row, 0); memory[1] = number(row, 2); memory[2] = number(row, 3) + number(row, 1);
    return SUCCESS;
}
int nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, ull *memory) {  /* values: total free used */
    ENTER; for (int i = 0; i < 3; i++) memory[i] = number(row, i); return SUCCESS;
}
int nvmlDeviceGetFanSpeed_v2(nvmlDevice_t device, unsigned fan, unsigned *out) { ENTER_WITH("%u", fan); *out = (unsigned)number(row, 0); return SUCCESS; }
struct fan { unsigned version, fan, speed; };
int nvmlDeviceGetFanSpeedRPM(nvmlDevice_t device, struct fan *info) {
    if (info->version != 0x100000c) return VERSION_MISMATCH;
    ENTER_WITH("%u", info->fan); info->speed = (unsigned)number(row, 0); return SUCCESS;
}

struct process { unsigned pid; ull used; unsigned gpu_instance, compute_instance; };
static int list_of(const struct row *row, unsigned *count, struct process *out) {  /* values: pid used gpu_instance compute_instance, … */
    unsigned have = (unsigned)row->count / 4, room = *count;
    *count = have;
    if (!have) return SUCCESS;
    if (!out || room < have) return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < have; i++) {
        out[i].pid = (unsigned)number(row, (int)i * 4); out[i].used = number(row, (int)i * 4 + 1);
        out[i].gpu_instance = (unsigned)number(row, (int)i * 4 + 2); out[i].compute_instance = (unsigned)number(row, (int)i * 4 + 3);
    }
    return SUCCESS;
}
#define PROCESSES(kind) \
    int nvmlDeviceGet##kind##RunningProcesses_v3(nvmlDevice_t device, unsigned *count, struct process *out) { ENTER; return list_of(row, count, out); } \
    int nvmlDeviceGet##kind##RunningProcesses_v2(nvmlDevice_t device, unsigned *count, struct process *out) { ENTER; return list_of(row, count, out); }
PROCESSES(Compute)
PROCESSES(Graphics)
PROCESSES(MPSCompute)

/* ---- CPER: rows "nvmlSystemGetCPER_v1" by GPU, each value a record of one byte after another: 43,50,45,52 is "CPER" */

struct cper { struct { unsigned types; char uuid[80]; ull handle; } cursor; unsigned char *buffer; unsigned size; };
int nvmlSystemGetCPER_v1(struct cper *query) {
    int gpu = -1;
    char uuid[96];
    for (int i = 0; i < number_in("FAKE_NVML_COUNT", 2); i++) {
        const struct row *name = row_of("nvmlDeviceGetUUID", i);
        if (name) text_of(name, 0, i, uuid, sizeof uuid);
        if (name && !strcmp(uuid, query->cursor.uuid)) gpu = i;
    }
    if (gpu < 0) return NOT_FOUND;
    const struct row *row = row_of(__func__, gpu);
    if (!row || row->result) return row ? row->result : NOT_SUPPORTED;
    if ((int)query->cursor.handle >= row->count) { query->size = 0; return SUCCESS; }
    const char *at = row->value[query->cursor.handle++];
    unsigned used = 0;
    for (; *at && used < query->size; used++) { query->buffer[used] = (unsigned char)strtoul(at, (char **)&at, 16); if (*at == ',') at++; }
    query->size = used;
    return SUCCESS;
}
