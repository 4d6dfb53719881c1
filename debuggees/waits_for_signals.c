// Waits for a signal that it blocks but while a call waits for it, in a call
// with a mask of its own.
// Usage: waits_for_signals CALL ROUNDS   CALL: sigsuspend | ppoll | pselect | epoll_pwait
// Prints: handled=N values=N ended=N, of signals, of what they said and of waits

#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <unistd.h>

static int handled, values, ended;

static void on_signal(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    handled++; // @mark handler
    values += info->si_value.sival_int;
}

__attribute__((noinline)) static void turn(int result) {
    ended += result == -1 && errno == EINTR; // @mark turn
}

static int wait_in(const char *call, int epoll) {
    sigset_t none;
    sigemptyset(&none);
    struct epoll_event event;
    if (!strcmp(call, "sigsuspend"))
        return sigsuspend(&none);
    if (!strcmp(call, "ppoll"))
        return ppoll(NULL, 0, NULL, &none);
    if (!strcmp(call, "pselect"))
        return pselect(0, NULL, NULL, NULL, NULL, &none);
    return epoll_pwait(epoll, &event, 1, -1, &none);
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    if (sigaction(SIGUSR1, &action, NULL) || sigprocmask(SIG_BLOCK, &blocked, NULL))
        return 3;
    int epoll = epoll_create1(0);
    for (int round = 1; round <= atoi(argv[2]); round++) {
        union sigval value = {.sival_int = round};
        if (sigqueue(getpid(), SIGUSR1, value))
            return 4;
        turn(wait_in(argv[1], epoll));
    }
    printf("handled=%d values=%d ended=%d\n", handled, values, ended);
}
