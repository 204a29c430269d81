/* The ends of what a compiler prints through, where it runs as a child of its wrapper.
 *
 * A stream that is a terminal stays one for the compiler, which may colour what it says. */
#include "front.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* In the place of a closed stream it would be taken for that. */
static int above(int fd) {
    if (fd < 0 || fd > 2) return fd;
    int higher = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    close(fd);
    return higher;
}

static bool open_terminal(int like, struct channel *channel) {
    struct termios mode;
    struct winsize size;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    const char *name = master < 0 || grantpt(master) || unlockpt(master) ? NULL : ptsname(master);
    int slave = name ? open(name, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
    if (slave < 0 || tcgetattr(like, &mode)) return false;
    mode.c_oflag &= (tcflag_t)~OPOST; /* the terminal behind does that */
    tcsetattr(slave, TCSANOW, &mode);
    if (!ioctl(like, TIOCGWINSZ, &size)) ioctl(slave, TIOCSWINSZ, &size);
    *channel = (struct channel){above(master), above(slave), like};
    return true;
}

bool open_channel(int stream, struct channel *channel) {
    int ends[2];
    if (isatty(stream)) return open_terminal(stream, channel);
    if (pipe2(ends, O_CLOEXEC)) return false;
    *channel = (struct channel){above(ends[0]), above(ends[1]), stream};
    return true;
}

void keep_printed(struct bytes *cuts, struct bytes *printed, int stream, const void *data,
                  size_t length) {
    add(printed, data, length);
    add_number(cuts, (uint64_t)stream, 1);
    add_number(cuts, length, 8);
}
