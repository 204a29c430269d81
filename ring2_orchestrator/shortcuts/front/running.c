/* Runs that go on at the same time: whoever writes is present among them (docs/formats/home.md). */
#include "front.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* A number in the name of a run's file; 0 where there is none. */
static uint64_t number(const char **text) {
    char *end;
    if (**text < '0' || **text > '9') return 0;
    uint64_t value = strtoull(*text, &end, 10);
    *text = end;
    return value;
}

/* The greatest of all numbers, and whether any run goes on. */
static bool look_around(int folder, uint64_t *greatest, bool *others) {
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *found = copy < 0 ? NULL : fdopendir(copy);
    if (!found) return false;
    for (struct dirent *entry; (entry = readdir(found));) {
        const char *at = entry->d_name;
        uint64_t came = number(&at), went = 0;
        if (!came) continue;
        if (*at == '-') at++, went = number(&at);
        if (!went) *others = true;
        if (came > *greatest) *greatest = came;
        if (went > *greatest) *greatest = went;
    }
    closedir(found);
    return true;
}

static void add_short_text(struct bytes *to, const char *text) {
    add_number(to, 0xa0 | strlen(text), 1);
    add(to, text, strlen(text));
}

static void add_big_endian(struct bytes *to, uint64_t value, size_t width) {
    for (size_t i = width; i-- > 0;) add_number(to, value >> (8 * i) & 0xff, 1);
}

/* Bytes in the shortest form, as a node has them. */
static void add_binary(struct bytes *to, const struct bytes *data) {
    size_t width = data->length < 1 << 8 ? 1 : data->length < 1 << 16 ? 2 : 4;
    add_number(to, width == 1 ? 0xc4 : width == 2 ? 0xc5 : 0xc6, 1);
    add_big_endian(to, data->length, width);
    add(to, data->data, data->length);
}

static int by_bytes(const void *a, const void *b) {
    return strcmp((const char *)((const struct bytes *)a)->data,
                  (const char *)((const struct bytes *)b)->data);
}

/* The node `touched` of a run that wrote these paths. */
static struct bytes touched(const struct bytes paths[], size_t count) {
    struct bytes node = {0}, wrote = {0}, *sorted = calloc(count + 1, sizeof *sorted);
    static const struct bytes nothing = {0};
    if (!sorted) leave_to_python();
    memcpy(sorted, paths, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_bytes);
    for (size_t i = 0; i < count; i++) {
        if (i) add(&wrote, "", 1);
        add(&wrote, sorted[i].data, sorted[i].length - 1);
    }
    add_number(&node, 0x86, 1); /* a map of six, in the order of its keys */
    add_short_text(&node, "made"), add_binary(&node, &nothing);
    add_short_text(&node, "missed"), add_binary(&node, &nothing);
    add_short_text(&node, "read"), add_binary(&node, &nothing);
    add_short_text(&node, "type"), add_short_text(&node, "touched");
    add_short_text(&node, "v"), add_number(&node, 1, 1);
    add_short_text(&node, "wrote"), add_binary(&node, &wrote);
    return node;
}

/* Under a name that nobody reads, and then its own: a note without bytes would harm everybody. */
static bool leave_note(int folder, uint64_t came, const struct bytes *node) {
    char name[64], temporary[64];
    snprintf(name, sizeof name, "%llu-%llu", (unsigned long long)came, (unsigned long long)came + 1);
    snprintf(temporary, sizeof temporary, "note-%d", getpid());
    int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool done = fd >= 0 && write(fd, node->data, node->length) == (ssize_t)node->length;
    if (fd >= 0) close(fd);
    return done && !renameat(folder, temporary, folder, name);
}

bool be_present(const char *home, const struct bytes paths[], size_t count) {
    char path[PATH_MAX];
    uint64_t greatest = 0;
    bool others = false;
    if (snprintf(path, sizeof path, "%s/running", home) >= (int)sizeof path) return false;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    int gate = folder < 0 ? -1 : openat(folder, "gate", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (gate < 0 || flock(gate, LOCK_EX) || !look_around(folder, &greatest, &others)) return false;
    /* Nobody comes or goes while the gate is held, so it is met by those alone that are there now. */
    if (others) {
        struct bytes node = touched(paths, count);
        if (!leave_note(folder, greatest + 1, &node)) return false;
    }
    close(folder);
    return true; /* the gate opens when this process ends */
}
