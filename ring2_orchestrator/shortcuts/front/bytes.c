/* Bytes written and bytes read, with every length checked. */
#include "front.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void make_room(struct bytes *to, size_t more) {
    if (to->room - to->length >= more) return;
    size_t room = to->room * 2 > to->length + more ? to->room * 2 : to->length + more;
    unsigned char *data = realloc(to->data, room);
    if (!data) leave_to_python();
    *to = (struct bytes){data, to->length, room};
}

void add(struct bytes *to, const void *data, size_t length) {
    if (!length) return;
    make_room(to, length);
    memcpy(to->data + to->length, data, length);
    to->length += length;
}

void add_text(struct bytes *to, const char *format, ...) {
    char text[1024];
    va_list values;
    va_start(values, format);
    int length = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (length < 0 || (size_t)length >= sizeof text) leave_to_python();
    add(to, text, (size_t)length);
}

void add_number(struct bytes *to, uint64_t value, size_t width) {
    for (size_t i = 0; i < width; i++) add(to, &(unsigned char){(unsigned char)(value >> (8 * i))}, 1);
}

uint64_t take(struct reader *from, size_t width) {
    uint64_t value = 0;
    if (from->bad || (size_t)(from->end - from->at) < width) {
        from->bad = true;
        return 0;
    }
    memcpy(&value, from->at, width);
    from->at += width;
    return le64toh(value);
}

struct reader take_part(struct reader *from) {
    size_t length = take(from, 4);
    if (from->bad || (size_t)(from->end - from->at) < length) {
        from->bad = true;
        return (struct reader){.bad = true};
    }
    struct reader part = {from->at, from->at + length, false};
    from->at += length;
    return part;
}

const unsigned char *take_bytes(struct reader *from, size_t length) {
    const unsigned char *at = from->at;
    if (from->bad || (size_t)(from->end - from->at) < length) {
        from->bad = true;
        return NULL;
    }
    from->at += length;
    return at;
}

bool read_own_file(const char *path, size_t limit, struct bytes *into) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return false;
    bool fine = !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
                !(st.st_mode & (S_IWGRP | S_IWOTH)) && (uint64_t)st.st_size <= limit;
    if (fine) {
        make_room(into, (size_t)st.st_size + 1);
        while (into->length < into->room) {
            ssize_t got = read(fd, into->data + into->length, into->room - into->length);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) fine = false;
            if (got <= 0) break;
            into->length += (size_t)got;
        }
        fine = fine && into->length == (size_t)st.st_size; /* else it is being changed */
    }
    close(fd);
    return fine;
}
