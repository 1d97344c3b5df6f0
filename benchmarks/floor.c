/* The floor: what a relay between processes costs when nothing is decided.
 *
 *   floor relay PATH                              every byte goes to all other connections
 *   floor echo PATH                               sends back what it receives
 *   floor ping PATH COUNT SECONDS BYTES           round trips; prints their times in ns
 *   floor publish PATH SECONDS BYTES MOST         as many messages as fit, joined to 64 KiB
 *   floor subscribe PATH BYTES                    counts messages until no publisher is left
 *
 * Each client prints "ready", waits for a line on stdin, prints its figures on one line and stays
 * until it is ended; the clock is CLOCK_MONOTONIC everywhere, so that times of different processes
 * may be compared.  Who shuts its reading side is sent nothing.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024, CLIENTS = 128 };

static void die(const char *what) { perror(what); exit(1); }

static long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void address(struct sockaddr_un *at, const char *path) {
    memset(at, 0, sizeof *at);
    at->sun_family = AF_UNIX;
    strncpy(at->sun_path, path, sizeof at->sun_path - 1);
}

static int dial(const char *path) {
    struct sockaddr_un at;
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    address(&at, path);
    if (s < 0 || connect(s, (struct sockaddr *)&at, sizeof at)) die("connect");
    return s;
}

/* Write all of it; 0 when nobody reads there. */
static int write_all(int to, const char *bytes, size_t size) {
    while (size) {
        ssize_t n = write(to, bytes, size);
        if (n <= 0) return 0;
        bytes += n, size -= n;
    }
    return 1;
}

/* Read exactly `size` bytes; 0 at the end of the stream. */
static int read_all(int from, char *bytes, size_t size) {
    while (size) {
        ssize_t n = read(from, bytes, size);
        if (n <= 0) return 0;
        bytes += n, size -= n;
    }
    return 1;
}

static void wait_for_go(void) {
    puts("ready");
    fflush(stdout);
    if (getchar() == EOF) exit(1);
}

static void stay(void) {
    fflush(stdout);
    for (;;) pause();
}

/* It ends with the last connection that has sent anything: so subscribers learn of the end. */
static void relay(const char *path) {
    static char chunk[CHUNK];
    struct pollfd fds[CLIENTS + 1];
    int deaf[CLIENTS + 1] = {0}, sender[CLIENTS + 1] = {0};
    struct sockaddr_un at;
    int clients = 0, senders = 0;
    address(&at, path);
    fds[0] = (struct pollfd){.fd = socket(AF_UNIX, SOCK_STREAM, 0), .events = POLLIN};
    if (bind(fds[0].fd, (struct sockaddr *)&at, sizeof at) || listen(fds[0].fd, CLIENTS)) die(path);
    puts("ready");
    fflush(stdout);
    for (;;) {
        if (poll(fds, clients + 1, -1) < 0) die("poll");
        if (fds[0].revents && clients < CLIENTS)
            fds[++clients] = (struct pollfd){.fd = accept(fds[0].fd, 0, 0), .events = POLLIN};
        for (int i = 1; i <= clients; i++) {
            if (!(fds[i].revents & (POLLIN | POLLHUP | POLLERR))) continue;
            ssize_t n = read(fds[i].fd, chunk, CHUNK);
            if (n <= 0) {
                if (sender[i] && --senders == 0) exit(0);
                fds[i].fd = -1; /* poll passes over it */
                continue;
            }
            if (!sender[i]) sender[i] = 1, senders++;
            for (int j = 1; j <= clients; j++)
                if (j != i && fds[j].fd >= 0 && !deaf[j] && !write_all(fds[j].fd, chunk, n))
                    deaf[j] = 1;
        }
    }
}

static void echo(const char *path) {
    static char chunk[CHUNK];
    ssize_t n;
    int s = dial(path);
    puts("ready");
    fflush(stdout);
    while ((n = read(s, chunk, CHUNK)) > 0) write_all(s, chunk, n);
}

static void ping(const char *path, int count, double seconds, int bytes) {
    char *message = calloc(1, bytes);
    long long *took = calloc(count, sizeof *took), end;
    int s = dial(path), done = 0;
    wait_for_go();
    end = now_ns() + (long long)(seconds * 1e9);
    for (; done < count && now_ns() < end; done++) {
        long long sent = now_ns();
        if (!write_all(s, message, bytes) || !read_all(s, message, bytes)) die("relay");
        took[done] = now_ns() - sent;
    }
    for (int i = 0; i < done; i++) printf("%lld ", took[i]);
    puts("");
    stay();
}

static void publish(const char *path, double seconds, int bytes, long long most) {
    if (!bytes) {
        puts("cannot nothing: it knows bytes, not messages");
        stay();
    }
    int joined = bytes < CHUNK ? CHUNK / bytes : 1;
    char *chunk = calloc(joined, bytes);
    long long sent = 0, start, end;
    int s = dial(path);
    shutdown(s, SHUT_RD);
    wait_for_go();
    start = now_ns(), end = start + (long long)(seconds * 1e9);
    for (; sent < most && now_ns() < end; sent += joined)
        if (!write_all(s, chunk, (size_t)joined * bytes)) die("relay");
    close(s);
    printf("%lld %lld\n", start, sent);
    stay();
}

static void subscribe(const char *path, int bytes) {
    static char chunk[CHUNK];
    long long received = 0, last = 0;
    ssize_t n;
    int s = dial(path);
    wait_for_go();
    while ((n = read(s, chunk, CHUNK)) > 0) received += n, last = now_ns();
    printf("%lld %lld\n", last, bytes ? received / bytes : 0);
    stay();
}

int main(int argc, char **argv) {
    const char *role = argc > 2 ? argv[1] : "";
    signal(SIGPIPE, SIG_IGN);
    if (!strcmp(role, "relay")) relay(argv[2]);
    else if (!strcmp(role, "echo")) echo(argv[2]);
    else if (!strcmp(role, "ping") && argc > 5)
        ping(argv[2], atoi(argv[3]), atof(argv[4]), atoi(argv[5]));
    else if (!strcmp(role, "publish") && argc > 5)
        publish(argv[2], atof(argv[3]), atoi(argv[4]), atoll(argv[5]));
    else if (!strcmp(role, "subscribe") && argc > 3) subscribe(argv[2], atoi(argv[3]));
    else return fprintf(stderr, "see the top of floor.c\n"), 2;
    return 0;
}
