// The names are the manual's.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

/// Numbers of Linux's socket interface (those of x86-64 and AArch64), by the names the manual has for them.
public enum Linux {
    /// AF_UNSPEC.
    public static let AF_UNSPEC: Int32 = 0
    /// AF_INET.
    public static let AF_INET: Int32 = 2
    /// AF_INET6.
    public static let AF_INET6: Int32 = 10

    /// SOCK_STREAM.
    public static let SOCK_STREAM: Int32 = 1
    /// SOCK_DGRAM.
    public static let SOCK_DGRAM: Int32 = 2
    /// SOCK_RAW.
    public static let SOCK_RAW: Int32 = 3
    /// SOCK_SEQPACKET.
    public static let SOCK_SEQPACKET: Int32 = 5
    /// SOCK_NONBLOCK.
    public static let SOCK_NONBLOCK: Int32 = 2048
    /// SOCK_CLOEXEC.
    public static let SOCK_CLOEXEC: Int32 = 0x80000

    /// IPPROTO_IP.
    public static let IPPROTO_IP: Int32 = 0
    /// IPPROTO_ICMP.
    public static let IPPROTO_ICMP: Int32 = 1
    /// IPPROTO_TCP.
    public static let IPPROTO_TCP: Int32 = 6
    /// IPPROTO_UDP.
    public static let IPPROTO_UDP: Int32 = 17
    /// IPPROTO_IPV6.
    public static let IPPROTO_IPV6: Int32 = 41
    /// IPPROTO_ICMPV6.
    public static let IPPROTO_ICMPV6: Int32 = 58
    /// IPPROTO_SCTP.
    public static let IPPROTO_SCTP: Int32 = 132
    /// IPPROTO_UDPLITE.
    public static let IPPROTO_UDPLITE: Int32 = 136
    /// IPPROTO_MPTCP.
    public static let IPPROTO_MPTCP: Int32 = 262

    /// SOL_IP.
    public static let SOL_IP: Int32 = 0
    /// SOL_SOCKET.
    public static let SOL_SOCKET: Int32 = 1
    /// SOL_TCP.
    public static let SOL_TCP: Int32 = 6
    /// SOL_UDP.
    public static let SOL_UDP: Int32 = 17
    /// SOL_IPV6.
    public static let SOL_IPV6: Int32 = 41

    /// SHUT_RD.
    public static let SHUT_RD: Int32 = 0
    /// SHUT_WR.
    public static let SHUT_WR: Int32 = 1
    /// SHUT_RDWR.
    public static let SHUT_RDWR: Int32 = 2

    /// SOMAXCONN.
    public static let SOMAXCONN: Int32 = 0x1000

    /// SO_DEBUG.
    public static let SO_DEBUG: Int32 = 1
    /// SO_REUSEADDR.
    public static let SO_REUSEADDR: Int32 = 2
    /// SO_TYPE.
    public static let SO_TYPE: Int32 = 3
    /// SO_ERROR.
    public static let SO_ERROR: Int32 = 4
    /// SO_DONTROUTE.
    public static let SO_DONTROUTE: Int32 = 5
    /// SO_BROADCAST.
    public static let SO_BROADCAST: Int32 = 6
    /// SO_SNDBUF.
    public static let SO_SNDBUF: Int32 = 7
    /// SO_RCVBUF.
    public static let SO_RCVBUF: Int32 = 8
    /// SO_KEEPALIVE.
    public static let SO_KEEPALIVE: Int32 = 9
    /// SO_OOBINLINE.
    public static let SO_OOBINLINE: Int32 = 10
    /// SO_PRIORITY.
    public static let SO_PRIORITY: Int32 = 12
    /// SO_LINGER.
    public static let SO_LINGER: Int32 = 13
    /// SO_REUSEPORT.
    public static let SO_REUSEPORT: Int32 = 15
    /// SO_RCVLOWAT.
    public static let SO_RCVLOWAT: Int32 = 18
    /// SO_SNDLOWAT.
    public static let SO_SNDLOWAT: Int32 = 19
    /// SO_RCVTIMEO.
    public static let SO_RCVTIMEO: Int32 = 20
    /// SO_SNDTIMEO.
    public static let SO_SNDTIMEO: Int32 = 21
    /// SO_BINDTODEVICE.
    public static let SO_BINDTODEVICE: Int32 = 25
    /// SO_TIMESTAMP.
    public static let SO_TIMESTAMP: Int32 = 29
    /// SO_ACCEPTCONN.
    public static let SO_ACCEPTCONN: Int32 = 30
    /// SO_SNDBUFFORCE.
    public static let SO_SNDBUFFORCE: Int32 = 32
    /// SO_RCVBUFFORCE.
    public static let SO_RCVBUFFORCE: Int32 = 33
    /// SO_TIMESTAMPNS.
    public static let SO_TIMESTAMPNS: Int32 = 35
    /// SO_MARK.
    public static let SO_MARK: Int32 = 36
    /// SO_TIMESTAMPING.
    public static let SO_TIMESTAMPING: Int32 = 37
    /// SO_PROTOCOL.
    public static let SO_PROTOCOL: Int32 = 38
    /// SO_DOMAIN.
    public static let SO_DOMAIN: Int32 = 39
    /// SO_BUSY_POLL.
    public static let SO_BUSY_POLL: Int32 = 46
    /// SO_MAX_PACING_RATE.
    public static let SO_MAX_PACING_RATE: Int32 = 47
    /// SO_INCOMING_CPU.
    public static let SO_INCOMING_CPU: Int32 = 49
    /// SO_ZEROCOPY.
    public static let SO_ZEROCOPY: Int32 = 60

    /// TCP_NODELAY.
    public static let TCP_NODELAY: Int32 = 1
    /// TCP_MAXSEG.
    public static let TCP_MAXSEG: Int32 = 2
    /// TCP_CORK.
    public static let TCP_CORK: Int32 = 3
    /// TCP_KEEPIDLE.
    public static let TCP_KEEPIDLE: Int32 = 4
    /// TCP_KEEPINTVL.
    public static let TCP_KEEPINTVL: Int32 = 5
    /// TCP_KEEPCNT.
    public static let TCP_KEEPCNT: Int32 = 6
    /// TCP_SYNCNT.
    public static let TCP_SYNCNT: Int32 = 7
    /// TCP_LINGER2.
    public static let TCP_LINGER2: Int32 = 8
    /// TCP_DEFER_ACCEPT.
    public static let TCP_DEFER_ACCEPT: Int32 = 9
    /// TCP_WINDOW_CLAMP.
    public static let TCP_WINDOW_CLAMP: Int32 = 10
    /// TCP_INFO.
    public static let TCP_INFO: Int32 = 11
    /// TCP_QUICKACK.
    public static let TCP_QUICKACK: Int32 = 12
    /// TCP_CONGESTION.
    public static let TCP_CONGESTION: Int32 = 13
    /// TCP_MD5SIG.
    public static let TCP_MD5SIG: Int32 = 14
    /// TCP_THIN_LINEAR_TIMEOUTS.
    public static let TCP_THIN_LINEAR_TIMEOUTS: Int32 = 16
    /// TCP_THIN_DUPACK.
    public static let TCP_THIN_DUPACK: Int32 = 17
    /// TCP_USER_TIMEOUT.
    public static let TCP_USER_TIMEOUT: Int32 = 18
    /// TCP_REPAIR.
    public static let TCP_REPAIR: Int32 = 19
    /// TCP_FASTOPEN.
    public static let TCP_FASTOPEN: Int32 = 23
    /// TCP_TIMESTAMP.
    public static let TCP_TIMESTAMP: Int32 = 24
    /// TCP_NOTSENT_LOWAT.
    public static let TCP_NOTSENT_LOWAT: Int32 = 25
    /// TCP_CC_INFO.
    public static let TCP_CC_INFO: Int32 = 26
    /// TCP_SAVE_SYN.
    public static let TCP_SAVE_SYN: Int32 = 27
    /// TCP_SAVED_SYN.
    public static let TCP_SAVED_SYN: Int32 = 28
    /// TCP_FASTOPEN_CONNECT.
    public static let TCP_FASTOPEN_CONNECT: Int32 = 30
    /// TCP_ULP.
    public static let TCP_ULP: Int32 = 31
    /// TCP_FASTOPEN_KEY.
    public static let TCP_FASTOPEN_KEY: Int32 = 33
    /// TCP_FASTOPEN_NO_COOKIE.
    public static let TCP_FASTOPEN_NO_COOKIE: Int32 = 34
    /// TCP_INQ.
    public static let TCP_INQ: Int32 = 36
    /// TCP_CM_INQ.
    public static let TCP_CM_INQ: Int32 = 36
    /// TCP_TX_DELAY.
    public static let TCP_TX_DELAY: Int32 = 37

    /// IP_TOS.
    public static let IP_TOS: Int32 = 1
    /// IP_TTL.
    public static let IP_TTL: Int32 = 2
    /// IP_HDRINCL.
    public static let IP_HDRINCL: Int32 = 3
    /// IP_OPTIONS.
    public static let IP_OPTIONS: Int32 = 4
    /// IP_RECVERR.
    public static let IP_RECVERR: Int32 = 11
    /// IP_MTU_DISCOVER.
    public static let IP_MTU_DISCOVER: Int32 = 10
    /// IP_RECVTOS.
    public static let IP_RECVTOS: Int32 = 13
    /// IP_MTU.
    public static let IP_MTU: Int32 = 14
    /// IP_FREEBIND.
    public static let IP_FREEBIND: Int32 = 15
    /// IP_MINTTL.
    public static let IP_MINTTL: Int32 = 21
    /// IP_BIND_ADDRESS_NO_PORT.
    public static let IP_BIND_ADDRESS_NO_PORT: Int32 = 24

    /// IPV6_UNICAST_HOPS.
    public static let IPV6_UNICAST_HOPS: Int32 = 16
    /// IPV6_MTU_DISCOVER.
    public static let IPV6_MTU_DISCOVER: Int32 = 23
    /// IPV6_MTU.
    public static let IPV6_MTU: Int32 = 24
    /// IPV6_RECVERR.
    public static let IPV6_RECVERR: Int32 = 25
    /// IPV6_V6ONLY.
    public static let IPV6_V6ONLY: Int32 = 26
    /// IPV6_TCLASS.
    public static let IPV6_TCLASS: Int32 = 67

    /// MSG_OOB.
    public static let MSG_OOB: Int32 = 1
    /// MSG_PEEK.
    public static let MSG_PEEK: Int32 = 2
    /// MSG_DONTROUTE.
    public static let MSG_DONTROUTE: Int32 = 4
    /// MSG_CTRUNC.
    public static let MSG_CTRUNC: Int32 = 8
    /// MSG_TRUNC.
    public static let MSG_TRUNC: Int32 = 32
    /// MSG_DONTWAIT.
    public static let MSG_DONTWAIT: Int32 = 64
    /// MSG_EOR.
    public static let MSG_EOR: Int32 = 128
    /// MSG_WAITALL.
    public static let MSG_WAITALL: Int32 = 256
    /// MSG_FIN.
    public static let MSG_FIN: Int32 = 512
    /// MSG_SYN.
    public static let MSG_SYN: Int32 = 1024
    /// MSG_CONFIRM.
    public static let MSG_CONFIRM: Int32 = 2048
    /// MSG_RST.
    public static let MSG_RST: Int32 = 0x1000
    /// MSG_ERRQUEUE.
    public static let MSG_ERRQUEUE: Int32 = 0x2000
    /// MSG_NOSIGNAL.
    public static let MSG_NOSIGNAL: Int32 = 0x4000
    /// MSG_MORE.
    public static let MSG_MORE: Int32 = 0x8000
    /// MSG_WAITFORONE.
    public static let MSG_WAITFORONE: Int32 = 0x10000
    /// MSG_ZEROCOPY.
    public static let MSG_ZEROCOPY: Int32 = 0x4000000
    /// MSG_FASTOPEN.
    public static let MSG_FASTOPEN: Int32 = 0x20000000
    /// MSG_CMSG_CLOEXEC.
    public static let MSG_CMSG_CLOEXEC: Int32 = 0x40000000

    /// F_DUPFD.
    public static let F_DUPFD: Int32 = 0
    /// F_GETFD.
    public static let F_GETFD: Int32 = 1
    /// F_SETFD.
    public static let F_SETFD: Int32 = 2
    /// F_GETFL.
    public static let F_GETFL: Int32 = 3
    /// F_SETFL.
    public static let F_SETFL: Int32 = 4

    /// FD_CLOEXEC.
    public static let FD_CLOEXEC: Int32 = 1

    /// O_RDONLY.
    public static let O_RDONLY: Int32 = 0
    /// O_WRONLY.
    public static let O_WRONLY: Int32 = 1
    /// O_RDWR.
    public static let O_RDWR: Int32 = 2
    /// O_NONBLOCK.
    public static let O_NONBLOCK: Int32 = 2048
    /// O_CLOEXEC.
    public static let O_CLOEXEC: Int32 = 0x80000
    /// O_APPEND.
    public static let O_APPEND: Int32 = 1024
    /// O_ASYNC.
    public static let O_ASYNC: Int32 = 0x2000

    /// POLLIN.
    public static let POLLIN: Int16 = 1

    /// POLLPRI.
    public static let POLLPRI: Int16 = 2

    /// POLLOUT.
    public static let POLLOUT: Int16 = 4

    /// POLLERR.
    public static let POLLERR: Int16 = 8

    /// POLLHUP.
    public static let POLLHUP: Int16 = 16

    /// POLLNVAL.
    public static let POLLNVAL: Int16 = 32

    /// POLLRDNORM.
    public static let POLLRDNORM: Int16 = 64

    /// POLLRDBAND.
    public static let POLLRDBAND: Int16 = 128

    /// POLLWRNORM.
    public static let POLLWRNORM: Int16 = 256

    /// POLLWRBAND.
    public static let POLLWRBAND: Int16 = 512

    /// POLLMSG.
    public static let POLLMSG: Int16 = 1024

    /// POLLRDHUP.
    public static let POLLRDHUP: Int16 = 0x2000

    /// EPOLLIN.
    public static let EPOLLIN: UInt32 = 1

    /// EPOLLPRI.
    public static let EPOLLPRI: UInt32 = 2

    /// EPOLLOUT.
    public static let EPOLLOUT: UInt32 = 4

    /// EPOLLERR.
    public static let EPOLLERR: UInt32 = 8

    /// EPOLLHUP.
    public static let EPOLLHUP: UInt32 = 16

    /// EPOLLRDNORM.
    public static let EPOLLRDNORM: UInt32 = 64

    /// EPOLLRDBAND.
    public static let EPOLLRDBAND: UInt32 = 128

    /// EPOLLWRNORM.
    public static let EPOLLWRNORM: UInt32 = 256

    /// EPOLLWRBAND.
    public static let EPOLLWRBAND: UInt32 = 512

    /// EPOLLMSG.
    public static let EPOLLMSG: UInt32 = 1024

    /// EPOLLRDHUP.
    public static let EPOLLRDHUP: UInt32 = 0x2000

    /// EPOLLEXCLUSIVE.
    public static let EPOLLEXCLUSIVE: UInt32 = 0x10000000

    /// EPOLLWAKEUP.
    public static let EPOLLWAKEUP: UInt32 = 0x20000000

    /// EPOLLONESHOT.
    public static let EPOLLONESHOT: UInt32 = 0x40000000

    /// EPOLLET.
    public static let EPOLLET: UInt32 = 0x80000000

    /// EPOLL_CTL_ADD.
    public static let EPOLL_CTL_ADD: Int32 = 1
    /// EPOLL_CTL_DEL.
    public static let EPOLL_CTL_DEL: Int32 = 2
    /// EPOLL_CTL_MOD.
    public static let EPOLL_CTL_MOD: Int32 = 3
    /// EPOLL_CLOEXEC.
    public static let EPOLL_CLOEXEC: Int32 = 0x80000

    /// FIONREAD.
    public static let FIONREAD: UInt = 0x541b

    /// SIOCINQ.
    public static let SIOCINQ: UInt = 0x541b

    /// TIOCOUTQ.
    public static let TIOCOUTQ: UInt = 0x5411

    /// SIOCOUTQ.
    public static let SIOCOUTQ: UInt = 0x5411

    /// SIOCOUTQNSD.
    public static let SIOCOUTQNSD: UInt = 0x894b

    /// FIONBIO.
    public static let FIONBIO: UInt = 0x5421

    /// FIOASYNC.
    public static let FIOASYNC: UInt = 0x5452

    /// FIOCLEX.
    public static let FIOCLEX: UInt = 0x5451

    /// FIONCLEX.
    public static let FIONCLEX: UInt = 0x5450

    /// SIOCATMARK.
    public static let SIOCATMARK: UInt = 0x8905

    /// SPLICE_F_MOVE.
    public static let SPLICE_F_MOVE: Int32 = 1
    /// SPLICE_F_NONBLOCK.
    public static let SPLICE_F_NONBLOCK: Int32 = 2
    /// SPLICE_F_MORE.
    public static let SPLICE_F_MORE: Int32 = 4
    /// SPLICE_F_GIFT.
    public static let SPLICE_F_GIFT: Int32 = 8

    /// TCP_ESTABLISHED.
    public static let TCP_ESTABLISHED: Int32 = 1
    /// TCP_SYN_SENT.
    public static let TCP_SYN_SENT: Int32 = 2
    /// TCP_SYN_RECV.
    public static let TCP_SYN_RECV: Int32 = 3
    /// TCP_FIN_WAIT1.
    public static let TCP_FIN_WAIT1: Int32 = 4
    /// TCP_FIN_WAIT2.
    public static let TCP_FIN_WAIT2: Int32 = 5
    /// TCP_TIME_WAIT.
    public static let TCP_TIME_WAIT: Int32 = 6
    /// TCP_CLOSE.
    public static let TCP_CLOSE: Int32 = 7
    /// TCP_CLOSE_WAIT.
    public static let TCP_CLOSE_WAIT: Int32 = 8
    /// TCP_LAST_ACK.
    public static let TCP_LAST_ACK: Int32 = 9
    /// TCP_LISTEN.
    public static let TCP_LISTEN: Int32 = 10
    /// TCP_CLOSING.
    public static let TCP_CLOSING: Int32 = 11
    /// TCP_NEW_SYN_RECV.
    public static let TCP_NEW_SYN_RECV: Int32 = 12
    /// TCP_CA_Open.
    public static let TCP_CA_Open: Int32 = 0
    /// TCP_CA_Disorder.
    public static let TCP_CA_Disorder: Int32 = 1
    /// TCP_CA_CWR.
    public static let TCP_CA_CWR: Int32 = 2
    /// TCP_CA_Recovery.
    public static let TCP_CA_Recovery: Int32 = 3
    /// TCP_CA_Loss.
    public static let TCP_CA_Loss: Int32 = 4

    /// TCPI_OPT_TIMESTAMPS.
    public static let TCPI_OPT_TIMESTAMPS: Int32 = 1
    /// TCPI_OPT_SACK.
    public static let TCPI_OPT_SACK: Int32 = 2
    /// TCPI_OPT_WSCALE.
    public static let TCPI_OPT_WSCALE: Int32 = 4
    /// TCPI_OPT_ECN.
    public static let TCPI_OPT_ECN: Int32 = 8
    /// TCPI_OPT_ECN_SEEN.
    public static let TCPI_OPT_ECN_SEEN: Int32 = 16
    /// TCPI_OPT_SYN_DATA.
    public static let TCPI_OPT_SYN_DATA: Int32 = 32
}
