/* Programs starting and ending: what the kernel loads for an exec, and what must not be trusted. */
#include "trace.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define HEAD_ROOM 256 /* the kernel, too, looks at no more of a script's first line */
#define BEGINNING_ROOM 1024
#define NESTING_MAX 5

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#define CLONE_NAMESPACES                                                                       \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
     CLONE_NEWNET | CLONE_NEWTIME)

static void tell_exec(const struct request *r, struct place *place, uint32_t flags) {
    struct event event = {.kind = EVENT_EXEC, .flags = flags, .pid = r->process->pid,
                          .program = r->process->exe, .path = place->word,
                          .before = place_before(place)};
    place_seen(place);
    stream_event(&event);
}

static void doubt_privileges(const struct place *place) {
    const struct stat *st = &place->st;
    char capability[64];
    bool user = (st->st_mode & S_ISUID) && st->st_uid != geteuid();
    bool group = (st->st_mode & S_ISGID) && (st->st_mode & S_IXGRP) && st->st_gid != getegid();
    bool granted = geteuid() != 0 &&
                   getxattr(place->word->text, "security.capability", capability,
                            sizeof capability) > 0;
    if (user || group || granted)
        stream_doubt("setuid-exec",
                     "%s would gain privileges, which a recorded program is not given",
                     place->word->text);
}

static void exec_file(const struct request *r, struct place *place, uint32_t flags, int depth);

static void exec_named(const struct request *r, char *name, int depth) {
    struct place place;
    char text[PATH_ROOM];
    ssize_t base = 0;
    if (name[0] != '/') base = tracee_link(r->tid, "cwd", text, sizeof text - HEAD_ROOM - 1);
    if (base < 0) return;
    if (base) text[base++] = '/';
    memcpy(text + base, name, strlen(name) + 1);
    place_of_text(r, text, PLACE_FOLLOW, &place);
    exec_file(r, &place, FLAG_KERNEL, depth + 1);
}

static void exec_script(const struct request *r, char *line, int depth) {
    line += 2 + strspn(line + 2, " \t");
    line[strcspn(line, " \t\n")] = 0;
    if (line[0]) exec_named(r, line, depth);
}

/* The beginning of a file, of which most that is asked for lies in what was read first. */
struct beginning {
    int fd;
    size_t length;
    _Alignas(16) char bytes[BEGINNING_ROOM];
};

static bool copy_part(const struct beginning *file, void *into, size_t length, uint64_t at) {
    if (at <= file->length && length <= file->length - at) {
        memcpy(into, file->bytes + at, length);
        return true;
    }
    return pread(file->fd, into, length, (off_t)at) == (ssize_t)length;
}

#define ELF_LOADER(BITS)                                                                       \
    static void elf##BITS##_loader(const struct beginning *file, char *name, size_t room) {    \
        const Elf##BITS##_Ehdr *header = (const void *)file->bytes;                            \
        for (unsigned i = 0; i < header->e_phnum && i < 128; i++) {                            \
            Elf##BITS##_Phdr part;                                                             \
            if (!copy_part(file, &part, sizeof part, header->e_phoff + i * sizeof part)) return; \
            if (part.p_type != PT_INTERP || part.p_filesz > room || !part.p_filesz) continue;  \
            if (!copy_part(file, name, part.p_filesz, part.p_offset)) name[0] = 0;             \
            name[part.p_filesz - 1] = 0;                                                       \
            return;                                                                            \
        }                                                                                      \
    }
ELF_LOADER(32)
ELF_LOADER(64)

static void exec_contents(const struct request *r, int fd, int depth) {
    struct beginning file = {.fd = fd};
    char loader[HEAD_ROOM] = "";
    ssize_t got = pread(fd, file.bytes, sizeof file.bytes, 0);
    if (got < 0) return;
    file.length = (size_t)got;
    if (got >= 2 && file.bytes[0] == '#' && file.bytes[1] == '!') {
        file.bytes[HEAD_ROOM] = 0;
        exec_script(r, file.bytes, depth);
    } else if (got > (ssize_t)sizeof(Elf64_Ehdr) && !memcmp(file.bytes, ELFMAG, SELFMAG)) {
        if (file.bytes[EI_CLASS] == ELFCLASS64) elf64_loader(&file, loader, sizeof loader);
        else elf32_loader(&file, loader, sizeof loader);
        struct place place;
        if (!loader[0]) return;
        place_of_text(r, loader, PLACE_FOLLOW, &place);
        tell_exec(r, &place, FLAG_KERNEL);
    }
}

static void exec_file(const struct request *r, struct place *place, uint32_t flags, int depth) {
    char host[PATH_ROOM];
    tell_exec(r, place, flags);
    if (!place->found || !S_ISREG(place->st.st_mode) || depth > NESTING_MAX) return;
    /* The last one in the chain is what /proc/PID/exe will show. */
    r->process->expected[depth ? 1 : 0] = place->word;
    doubt_privileges(place);
    int fd = open(place_host_path(r, place->word, host), O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return; /* executable, not readable: what it becomes is seen at its next call */
    exec_contents(r, fd, depth);
    close(fd);
}

void on_exec(struct request *r) {
    struct place place;
    memory_changes(r);
    bool at = r->number == SYS_execveat;
    uint64_t flags = at ? r->arg[4] : 0;
    int how = (flags & AT_SYMLINK_NOFOLLOW ? 0 : PLACE_FOLLOW) | (flags & 0x1000 ? PLACE_EMPTY : 0);
    if (!place_named(r, at ? (int)r->arg[0] : AT_FDCWD, r->arg[at ? 1 : 0], how, &place)) return;
    struct word *argv = tracee_argv(r, r->arg[at ? 2 : 1]);
    if (!request_is_live(r)) return;
    if (place.magic)
        stream_doubt("memfd-exec", "%s executes a file without a name",
                     r->process->exe->text);
    struct process *process = r->process;
    process->expected[0] = process->expected[1] = NULL;
    exec_file(r, &place, 0, 0);
    if (!place.found) return;
    process->pending_argv = argv;
    if (process->expected[1]) process->expected[0] = NULL;
}

void on_end(struct request *r) {
    if (r->number == SYS_exit_group) process_ends(r);
    else thread_ends(r->tid);
}

void on_clone3(struct request *r) {
    uint64_t flags = 0;
    if (tracee_read(r, r->arg[0], &flags, sizeof flags) != (ssize_t)sizeof flags) return;
    if (request_is_live(r) && (flags & CLONE_NAMESPACES))
        stream_doubt("namespace", "%s asks for a namespace of its own", r->process->exe->text);
}
