public import TCPWire

/// A call into the virtual kernel. Numbers (flags, options, commands) are Linux's, named in `Linux`; descriptors are those
/// that earlier calls gave.
public enum SystemCall: Sendable {
    /// `socket(domain, type, protocol)`; `type` may hold SOCK_NONBLOCK and SOCK_CLOEXEC.
    case socket(domain: Int32, type: Int32, protocol: Int32)
    /// `bind`.
    case bind(Int32, SocketAddress)
    /// `listen`.
    case listen(Int32, backlog: Int32)
    /// `accept` (no flags) and `accept4` (SOCK_NONBLOCK, SOCK_CLOEXEC). Brings `address`.
    case accept(Int32, flags: Int32 = 0)
    /// `connect`.
    case connect(Int32, SocketAddress)
    /// `getsockname`. Brings `address`.
    case getsockname(Int32)
    /// `getpeername`. Brings `address`.
    case getpeername(Int32)

    /// `read`. Brings `octets`.
    case read(Int32, count: Int)
    /// `readv` into buffers of these sizes. Brings `octets`, all buffers' together.
    case readv(Int32, counts: [Int])
    /// `recv`, and `recvfrom` with an address asked for. Brings `octets`, and `address` where the protocol has one: TCP has not.
    case recv(Int32, count: Int, flags: Int32)
    /// `recvmsg` into buffers of these sizes, with that much room for control messages. Brings `octets`, `control`, `messageFlags`.
    case recvmsg(Int32, counts: [Int], controlRoom: Int, flags: Int32)

    /// `write`.
    case write(Int32, [UInt8])
    /// `writev`.
    case writev(Int32, [[UInt8]])
    /// `send`, and `sendto` with an address.
    case send(Int32, [UInt8], flags: Int32, to: SocketAddress? = nil)
    /// `sendmsg`.
    case sendmsg(Int32, [[UInt8]], flags: Int32, to: SocketAddress? = nil, control: [UInt8] = [])

    /// `fcntl`: F_GETFL, F_SETFL, F_GETFD, F_SETFD.
    case fcntl(Int32, command: Int32, argument: Int32 = 0)
    /// `ioctl`. Requests that write an `int` bring it in `integer`; FIONBIO reads its `int` from `argument`.
    case ioctl(Int32, request: UInt, argument: Int32 = 0)
    /// `close`.
    case close(Int32)
    /// `shutdown`: SHUT_RD, SHUT_WR, SHUT_RDWR.
    case shutdown(Int32, how: Int32)
    /// `getsockopt` with room for `length` octets. Brings `option`, which may be shorter.
    case getsockopt(Int32, level: Int32, name: Int32, length: Int)
    /// `setsockopt` with the option's octets.
    case setsockopt(Int32, level: Int32, name: Int32, value: [UInt8])

    /// `poll`; `timeout` is milliseconds, negative without end. Brings `polled`.
    case poll([PollDescriptor], timeout: Int32)
    /// `epoll_create` and `epoll_create1`.
    case epollCreate(flags: Int32 = 0)
    /// `epoll_ctl`.
    case epollControl(Int32, operation: Int32, descriptor: Int32, event: EpollEvent?)
    /// `epoll_wait`; `timeout` is milliseconds, negative without end. Brings `events`.
    case epollWait(Int32, maximum: Int, timeout: Int32)
    /// `pipe` and `pipe2`. Brings `descriptors`: the end that reads, then the end that writes.
    case pipe(flags: Int32 = 0)
    /// `splice`; offsets are for files that have a position, which none here has.
    case splice(from: Int32, fromOffset: Int64? = nil, to: Int32, toOffset: Int64? = nil, count: Int, flags: Int32)
}

/// A `struct pollfd`.
public struct PollDescriptor: Hashable, Sendable {
    /// The descriptor; negative is passed over.
    public var descriptor: Int32
    /// What is waited for: POLLIN, POLLOUT …
    public var events: Int16
    /// What was found.
    public var returned: Int16

    /// Makes one to ask with.
    public init(_ descriptor: Int32, events: Int16, returned: Int16 = 0) {
        self.descriptor = descriptor
        self.events = events
        self.returned = returned
    }
}

/// A `struct epoll_event`.
public struct EpollEvent: Hashable, Sendable {
    /// EPOLLIN, EPOLLOUT … with EPOLLET, EPOLLONESHOT.
    public var events: UInt32
    /// What the caller wants back.
    public var data: UInt64

    /// Makes one.
    public init(events: UInt32, data: UInt64) {
        self.events = events
        self.data = data
    }
}

/// Names a call that was submitted.
public struct CallID: Hashable, Sendable {
    package var number: Int

    package init(number: Int) { self.number = number }
}

/// What a call came to.
public struct CallResult: Hashable, Sendable {
    /// What the function returns: −1 with `errno`.
    public var value: Int
    /// Zero unless `value` is −1.
    public var errno: Errno = .none
    /// When the call returned.
    public var time = Instant.zero
    /// Octets that were read.
    public var octets: [UInt8] = []
    /// An address that was asked for.
    public var address: SocketAddress?
    /// What `poll` was given, with what it found.
    public var polled: [PollDescriptor] = []
    /// What `epoll_wait` found.
    public var events: [EpollEvent] = []
    /// An option's octets.
    public var option: [UInt8] = []
    /// `ioctl`'s number.
    public var integer: Int32 = 0
    /// Control messages of `recvmsg`, in Linux's layout of `struct cmsghdr`.
    public var control: [UInt8] = []
    /// `msg_flags` of `recvmsg`.
    public var messageFlags: Int32 = 0
    /// `pipe`'s two descriptors.
    public var descriptors: [Int32] = []

    /// A call that went well.
    public init(_ value: Int) { self.value = value }

    /// A call that failed.
    public init(_ errno: Errno) {
        value = -1
        self.errno = errno
    }

    /// The option as the `int` most options are; nil when it is shorter.
    public var optionValue: Int32? {
        guard option.count >= 4 else { return nil }
        return Int32(
            bitPattern: UInt32(option[0]) | UInt32(option[1]) << 8 | UInt32(option[2]) << 16 | UInt32(option[3]) << 24)
    }
}

/// A packet that left the virtual kernel.
public struct OutgoingPacket: Hashable, Sendable {
    /// From the IP version octet on.
    public var octets: [UInt8]
    /// When it left.
    public var time: Instant

    /// Makes one.
    public init(octets: [UInt8], time: Instant) {
        self.octets = octets
        self.time = time
    }
}
