/* The front end of `redoxa run` and the compilers' wrappers: answers a reuse from a shortcut, and
 * leaves all else to Python. */
#ifndef FRONT_H
#define FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

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
    struct reader restored_entry; /* written down where outputs are put back; empty: Python's work */
    struct reader left;           /* the rows of the outputs that may be put back */
};

/* What a look finds, in the numbers of a shortcut. */
struct stamp {
    uint64_t dev, ino, size;
    uint32_t mode;
    int64_t mtime, ctime;
};

/* What the facts of an answer came to. */
struct findings {
    bool renewed;    /* a file was written anew with the bytes it had */
    int64_t newest;  /* of the times of all files whose bytes count */
};

/* `redoxa run` answers instead: for whatever fails before the first byte is printed. */
_Noreturn void leave_to_python(void);

void add(struct bytes *to, const void *data, size_t length);
void add_text(struct bytes *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

void add_number(struct bytes *to, uint64_t value, size_t width); /* little-endian */

uint64_t take(struct reader *from, size_t width); /* little-endian, 1 to 8 bytes */
struct reader take_part(struct reader *from);      /* a length of 4 bytes, then as many */
const unsigned char *take_bytes(struct reader *from, size_t length); /* NULL where there are fewer */

/* BLAKE2b with a key, 16 bytes of digest: RFC 7693. */
void keyed_digest(const unsigned char key[KEY_BYTES], const void *data, size_t length,
                  unsigned char digest[DIGEST_BYTES]);

/* Whole plain file of at most `limit` bytes; false for links, others' files and whatever fails. */
bool read_own_file(const char *path, size_t limit, struct bytes *into);

/* Whether the three standard streams are open, and for what they are meant for. */
bool streams_serve(void);

/* Whether rights, machine and variables are those of the shortcut; the `streams`, too, if they count. */
bool surroundings_hold(struct reader *from, const unsigned char key[KEY_BYTES], bool streams);

/* Whether there is a hint kept to this question, in this state of the ledger, under the shortcut of
 * that MAC. Where it is to be `printed`, that ends the process. */
bool say_hint(const char *home, const unsigned char key[KEY_BYTES], const char *shortcut,
              const unsigned char mac[DIGEST_BYTES], const char *question, bool printed);

/* Whether every path stands as the shortcut says. */
bool facts_hold(struct reader *from, const unsigned char key[KEY_BYTES], struct findings *found);

struct stamp take_stamp(struct reader *from);
bool same_stamp(const struct stamp *wanted, const struct stat *st);

/* Whether the file that was looked at holds bytes of that digest, read while it stood still. */
bool same_content(const char *path, const struct stat *st, const unsigned char key[KEY_BYTES],
                  const unsigned char *digest);

/* Makes every output what the shortcut says, or leaves everything to Python. True where any had to
 * be written: all of them are then, as the command itself would do it. */
bool put_back(const struct answer *answer, const char *home, const unsigned char key[KEY_BYTES],
              const struct findings *found);

/* Keeps runs from coming and going until this process ends, and tells those that go on which paths
 * are about to be written. */
bool be_present(const char *home, const struct bytes paths[], size_t count);

/* The compiler that the wrapper stands for, found on PATH, with the words it is given; NULL where
 * this program was not called as a wrapper. Ends the process where there is no such compiler. */
char **wrapped_command(int count, char **words);

/* The compiler runs as if there were no wrapper. */
_Noreturn void run_plainly(char **command);

/* Whether an ancestor of this process is the recorder's helper, or may be. */
bool inside_recording(void);

/* The process number of that helper; 0 where there is none, -1 where it cannot be said. */
int recorder_above(void);

/* Whether this process may answer, or run its compiler, as a leaf of the recorded run it is in. The
 * home is then that of the recording, which sees the files that an answer rests on as the compiler's:
 * every one is looked at as deeply as the compiler did. */
bool begin_leaf(char *home); /* room for PATH_MAX */
bool in_leaf(void);

/* Whether the recorded run wants answers, and not all to be done anew. */
bool leaf_may_answer(void);

/* The compiler runs as a leaf. */
_Noreturn void run_leaf(char **command);

/* What became of a compiler that ran as a child; `lost`: not all that it printed is known. */
struct relayed {
    int pid, code;
    bool lost;
    struct bytes cuts, printed;
};

/* Runs it, and hands on what it prints. */
void relay(char **command, struct relayed *relayed);

void print_all(int fd, const unsigned char *data, size_t length);

/* Rights and machine in words, as a shortcut's surroundings have them. */
bool add_machine(struct bytes *text);
mode_t current_umask(void);
bool one_file(int first, int second);

/* Writes down that the answer was given; false where it is not durable. */
bool tell_ledger(const char *home, const unsigned char key[KEY_BYTES], struct reader entry,
                 uint64_t wall_ns);

#endif
