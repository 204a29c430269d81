/* The front end of `redoxa run` and the compilers' wrappers: answers a reuse from a shortcut, and
 * leaves all else to Python. */
#ifndef FRONT_H
#define FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

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

/* The `redoxa` beside this program, whatever name led here; false with errno. */
bool find_python(char *path); /* room for PATH_MAX */
extern const char source_digest[];

/* From here on nothing may be left to Python: the command has begun. */
void no_way_back(void);

/* `redoxa run` answers instead: for whatever fails before the first byte is printed. */
_Noreturn void leave_to_python(void);

void add(struct bytes *to, const void *data, size_t length);
void add_text(struct bytes *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

void add_measured(struct bytes *to, const struct bytes *part); /* its length first */
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

/* Whether the standard input gives nothing to whoever reads it. */
bool input_is_empty(void);

/* What surrounds the compiler, in the terms of a shortcut's surroundings: docs/formats/home.md. */
bool add_surroundings(struct bytes *note, char **command);

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

/* One stream of a compiler that runs as a child: our end and its own, and where it goes, 1 or 2. */
struct channel {
    int from, child, stream;
};

bool open_channel(int stream, struct channel *channel);
void keep_printed(struct bytes *cuts, struct bytes *printed, int stream, const void *data,
                  size_t length);

/* A process that does the bookkeeping of a build's calls; `fd` is the conversation with it. */
struct keeper {
    int fd;
};

/* Asks the keeper of this build, which is started where there is none. False: there can be none. */
bool meet_keeper(const char *home, const unsigned char key[KEY_BYTES], struct keeper *keeper);

/* A message of a keeper, with a descriptor that may come along; -1 where none came in time. */
ssize_t hear_keeper(const struct keeper *keeper, void *text, size_t room, int *descriptor, int wait_ms);

/* One letter, and some bytes in a file that only the two can open. */
bool tell_keeper(const struct keeper *keeper, char letter, const struct bytes *bytes);

/* The compiler runs recorded, as our child, and the keeper does the rest. Returns where nothing was
 * begun, and Python is to do all of it. */
void run_with_keeper(const char *home, const unsigned char key[KEY_BYTES], char **command);

void print_all(int fd, const unsigned char *data, size_t length);

uint64_t clock_of(clockid_t clock); /* nanoseconds */

/* Rights and machine in words, as a shortcut's surroundings have them. */
bool add_machine(struct bytes *text);
mode_t current_umask(void);
bool one_file(int first, int second);

/* Writes down that the answer was given; false where it is not durable. */
bool tell_ledger(const char *home, const unsigned char key[KEY_BYTES], struct reader entry,
                 uint64_t wall_ns);

#endif
