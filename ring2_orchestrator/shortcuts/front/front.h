/* The front end of `redoxa run`: answers a reuse from a shortcut, and leaves all else to Python. */
#ifndef FRONT_H
#define FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KEY_BYTES = 32, DIGEST_BYTES = 16 };

/* A growing row of bytes; never moved back to the system, for the process is over soon. */
struct bytes {
    unsigned char *data;
    size_t length, room;
};

/* What is left to read of a shortcut; `bad` once something did not fit. */
struct reader {
    const unsigned char *at, *end;
    bool bad;
};

/* One answer that a home knows: what is printed again, and what is said and written down of it. */
struct answer {
    uint32_t exit_code, outputs;
    uint64_t wall_ns; /* what running took */
    struct reader cuts, printed, entry;
};

/* `redoxa run` answers instead: for whatever fails before the first byte is printed. */
_Noreturn void leave_to_python(void);

void add(struct bytes *to, const void *data, size_t length);
void add_text(struct bytes *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

uint64_t take(struct reader *from, size_t width); /* little-endian, 1 to 8 bytes */
struct reader take_part(struct reader *from);      /* a length of 4 bytes, then as many */

/* BLAKE2b with a key, 16 bytes of digest: RFC 7693. */
void keyed_digest(const unsigned char key[KEY_BYTES], const void *data, size_t length,
                  unsigned char digest[DIGEST_BYTES]);

/* Whole plain file of at most `limit` bytes; false for links, others' files and whatever fails. */
bool read_own_file(const char *path, size_t limit, struct bytes *into);

/* Whether the three standard streams are open, and for what they are meant for. */
bool streams_serve(void);

/* Whether folder, rights, machine, variables and streams are those of the shortcut. */
bool surroundings_hold(struct reader *from, const unsigned char key[KEY_BYTES]);

/* Whether every path stands as the shortcut says. */
bool facts_hold(struct reader *from);

/* Whether an ancestor of this process is the recorder's helper, or may be. */
bool inside_recording(void);

/* Writes down that the answer was given; false where it is not durable. */
bool tell_ledger(const char *home, const unsigned char key[KEY_BYTES], struct reader entry,
                 uint64_t wall_ns);

#endif
