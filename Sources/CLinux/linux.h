// What Linux offers and the Glibc module does not: epoll, eventfd, signalfd, TUN, virtio's packet header, netlink.
// Header only. Names that start with `linux_` are made here: constants that are function-like macros in C, which Swift
// does not import, and calls that are variadic or newer than the oldest glibc served.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/virtio_net.h>

static const unsigned long linux_TUNSETIFF = TUNSETIFF;
static const unsigned long linux_TUNGETFEATURES = TUNGETFEATURES;
static const unsigned long linux_TUNSETOFFLOAD = TUNSETOFFLOAD;
static const unsigned long linux_TUNSETVNETHDRSZ = TUNSETVNETHDRSZ;

static const uint32_t linux_EPOLLIN = 0x001;
static const uint32_t linux_EPOLLOUT = 0x004;
static const uint32_t linux_EPOLLERR = 0x008;
static const uint32_t linux_EPOLLHUP = 0x010;
static const uint32_t linux_EPOLLONESHOT = 1u << 30;
static const int linux_EPOLL_CLOEXEC = O_CLOEXEC;
static const int linux_EFD_NONBLOCK_CLOEXEC = O_NONBLOCK | O_CLOEXEC;
static const int linux_SFD_NONBLOCK_CLOEXEC = O_NONBLOCK | O_CLOEXEC;
static const int linux_MSG_DONTWAIT = 0x40;
static const int linux_MSG_NOSIGNAL = 0x4000;
static const int linux_MSG_MORE = 0x8000;
static const int linux_SOCK_RAW = 3;
static const int linux_CLONE_NEWNET = 0x40000000;

// epoll_wait with a timeout in nanoseconds; negative waits for ever. Kernels before 5.11 get whole milliseconds, rounded
// up, so that a timer is never asked for before it is due.
static inline int linux_epoll_wait(int epoll, struct epoll_event *events, int count, int64_t nanoseconds) {
    if (nanoseconds <= 0) return epoll_wait(epoll, events, count, nanoseconds < 0 ? -1 : 0);
    struct timespec limit = { nanoseconds / 1000000000, nanoseconds % 1000000000 };
    int ready = (int)syscall(441 /* epoll_pwait2 */, epoll, events, count, &limit, (void *)0, (unsigned long)8);
    if (ready >= 0 || errno != ENOSYS) return ready;
    int64_t milliseconds = (nanoseconds + 999999) / 1000000;
    return epoll_wait(epoll, events, count, milliseconds > 1000000000 ? 1000000000 : (int)milliseconds);
}

// Moves the calling thread, and it alone, into the network namespace that `descriptor` names.
static inline int linux_enter_network_namespace(int descriptor) {
    return (int)syscall(SYS_setns, descriptor, linux_CLONE_NEWNET);
}
