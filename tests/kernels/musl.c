/* The allocator and a kernel of the library, called by a program of musl. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { BASE, NEXT, FILE_, FREE_, SPILLED, PEAK, LOCK, MUTEX = 8, FIRST_SLOT = 16 };
#define RESERVED (8LL << 40)
#define SLOTS (RESERVED / (128 << 10))

int main(int count, char **arguments) {
    void *library = dlopen(arguments[1], RTLD_NOW);
    if (!library) return puts(dlerror()), 1;
    int64_t (*get)(int64_t *, int64_t) = dlsym(library, "vxlanalyze_malloc");
    int64_t (*get_zeros)(int64_t *, int64_t, int64_t) = dlsym(library, "vxlanalyze_calloc");
    int64_t (*change)(int64_t *, int64_t, int64_t) = dlsym(library, "vxlanalyze_realloc");
    int64_t (*give)(int64_t *, int64_t, int64_t) = dlsym(library, "vxlanalyze_free");
    int64_t *state = calloc(FIRST_SLOT + SLOTS, 8);
    state[BASE] = (int64_t)mmap(0, RESERVED, 0, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    state[FILE_] = fileno(tmpfile());
    state[FREE_] = 1 << 20;
    state[LOCK] = (int64_t)&state[MUTEX];

    char *small = (char *)get(state, 100), *within = (char *)get(state, 300 << 10);
    memset(within, 1, 300 << 10);
    if (state[SPILLED]) return puts("spilled within the budget"), 1;
    char *above = (char *)get(state, 4 << 20);
    memset(above, 2, 4 << 20);
    if (state[SPILLED] != 4 << 20) return puts("not spilled above the budget"), 1;
    char *zeros = (char *)get_zeros(state, 2 << 20, 2);
    for (int at = 0; at < 4 << 20; at += 4096) if (zeros[at]) return puts("no zeros"), 1;
    within = (char *)change(state, (int64_t)within, 6 << 20);
    if (within[0] != 1 || within[(300 << 10) - 1] != 1) return puts("moved wrongly"), 1;
    above = (char *)change(state, (int64_t)above, 1 << 10);
    if (above[1023] != 2) return puts("moved back wrongly"), 1;
    give(state, (int64_t)small, 100);
    give(state, (int64_t)within, 6 << 20);
    give(state, (int64_t)above, 1 << 10);
    give(state, (int64_t)zeros, 4 << 20);
    if (state[SPILLED] || state[FREE_] != 1 << 20) return puts("not all came back"), 1;

    /* capture.blocks.section_is_big: "u1[] i8"; the magic number of a little-endian section. */
    int32_t (*kernel)(int64_t *, void **, void *, void *, int64_t, int64_t, void *, int64_t, int64_t, int64_t) =
        dlsym(library, "capture_blocks_section_is_big");
    uint8_t data[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0x4D, 0x3C, 0x2B, 0x1A};
    int64_t result = -7;
    void *exception = 0;
    kernel(&result, &exception, 0, 0, 12, 1, data, 12, 1, 0);
    if (result != 0) return puts("a wrong answer"), 1;
    puts("well");
    return 0;
}
