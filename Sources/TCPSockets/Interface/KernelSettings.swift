public import TCPEngine
public import TCPWire

/// What a virtual kernel is told when it is made: what `sysctl` and the interface's set-up are for a real one.
public struct KernelSettings: Sendable {
    /// Whose habits the socket calls have where systems differ.
    public enum Flavour: Sendable, CaseIterable {
        /// As Linux.
        case linux
        /// As FreeBSD.
        case freeBSD
    }

    /// When a segment that needs no immediate acknowledgment is acknowledged.
    public enum AcknowledgmentPolicy: Sendable, CaseIterable {
        /// RFC 1122 and RFC 5681: every second full segment, others after `delayedAcknowledgment`.
        case rfc
        /// As Linux: the first sixteen at once ("quick acknowledgments"), unless the program answers; then as the RFC says.
        case linux
    }

    /// Whose habits the socket calls have.
    public var flavour = Flavour.linux
    /// This host's addresses, of both families.
    public var addresses: [AddressPrefix] = []
    /// The interface's MTU in octets: 68...65535.
    public var mtu = 1500
    /// Octets a connection may hold for reading: the largest window it advertises. `SO_RCVBUF` changes it for one socket.
    public var receiveBuffer = 1 << 20
    /// What a connection holds at first, if that follows what is read in a round trip, up to `receiveBuffer`; `nil` is a fixed
    /// size. `SO_RCVBUF` fixes it for one socket.
    public var initialReceiveBuffer: Int?
    /// Octets a connection may hold for sending. `SO_SNDBUF` changes it for one socket.
    public var sendBuffer = 1 << 20
    /// The window scale offered, 0...14; `nil` is the least that can tell `receiveBuffer`.
    public var windowScale: UInt8?
    /// The initial congestion window in segments; `nil` is RFC 6928's ten segments or 14,600 octets.
    public var initialWindow: Int?
    /// When acknowledgments are sent.
    public var acknowledgmentPolicy = AcknowledgmentPolicy.rfc
    /// How long an acknowledgment may wait: below 500 ms.
    public var delayedAcknowledgment: Duration = .milliseconds(40)
    /// The retransmission timeout before the first measurement.
    public var initialRTO: Duration = .seconds(1)
    /// The least retransmission timeout.
    public var minimumRTO: Duration = .milliseconds(200)
    /// The greatest retransmission timeout.
    public var maximumRTO: Duration = .seconds(60)
    /// Whether timestamps are offered and taken.
    public var timestamps = true
    /// Whether selective acknowledgments are offered and taken.
    public var selectiveAcknowledgment = true
    /// Whether window scaling is offered and taken.
    public var windowScaling = true
    /// The congestion control of sockets that choose none: `net.ipv4.tcp_congestion_control`.
    public var congestionControl = CongestionControl.newReno
    /// Whether what a window allows leaves over the round trip instead of at once; BBR always has it so.
    public var pacing = false
    /// Whether a tail loss probe is sent where nothing tells that the end of a flight was lost (RFC 8985 §7): Linux's
    /// `net.ipv4.tcp_early_retrans`, 0 is off, 3 is on.
    public var tailLossProbes = true
    /// Whether what arrives after a timeout tells that it was spurious (RFC 5682): `net.ipv4.tcp_frto`.
    public var forwardRTO = true
    /// Whether duplicates are reported (RFC 2883): `net.ipv4.tcp_dsack`.
    public var duplicateReports = true
    /// What is done about paths that drop large packets without a word, as Linux numbers it: 0 nothing, 1 smaller segments
    /// once large ones time out in a row, 2 small segments from the start; with 1 and 2 probes look for larger ones.
    public var mtuProbing = 1
    /// What segments fall to then, or start with, in octets.
    public var baseSegmentSize = 1024
    /// MSL: half of what TIME-WAIT lasts.
    public var maximumSegmentLifetime: Duration = .seconds(30)
    /// How long a SYN may go unanswered before `connect` fails with ETIMEDOUT.
    public var openTimeout: Duration = .seconds(180)
    /// How long data may go unacknowledged; `TCP_USER_TIMEOUT` changes it for one socket.
    public var userTimeout: Duration = .seconds(924)
    /// TCP Fast Open as Linux numbers it in `net.ipv4.tcp_fastopen`: 1 connects with it, 2 listens with it where `TCP_FASTOPEN`
    /// says how many may be pending, 0x400 listens with it everywhere.
    public var fastOpen = 1
    /// The key of its cookies, 16 octets; without one the kernel makes its own.
    public var fastOpenKey: [UInt8] = []
    /// The key that packetdrill's own tests set.
    public static let fastOpenTestKey: [UInt8] = [
        0xA1, 0xA1, 0xA1, 0xA1, 0xB2, 0xB2, 0xB2, 0xB2, 0xC3, 0xC3, 0xC3, 0xC3, 0xD4, 0xD4, 0xD4, 0xD4,
    ]
    /// Explicit Congestion Notification as Linux numbers it in `net.ipv4.tcp_ecn`: 0 none; RFC 3168 with 1, and with 2 where the
    /// peer asks for it; accurate ECN (RFC 9768) with 3; with 4 and 5 where the peer asks for it, while 4 asks for RFC 3168.
    public var explicitCongestionNotification = 0
    /// How often a SYN-ACK is sent again.
    public var synAckRetries = 5
    /// How long a FIN-WAIT-2 connection that was closed waits for the peer's FIN.
    public var finWait2Timeout: Duration = .seconds(60)
    /// Idle time before the first keep-alive probe, between probes, and how many: where a socket turns `SO_KEEPALIVE` on
    /// without saying otherwise.
    public var keepAliveIdle: Duration = .seconds(7200)
    /// See `keepAliveIdle`.
    public var keepAliveInterval: Duration = .seconds(75)
    /// See `keepAliveIdle`.
    public var keepAliveProbes = 9
    /// TTL or hop limit of what is sent.
    public var hopLimit: UInt8 = 64
    /// The range `bind` and `connect` take a port from when none is asked for.
    public var ephemeralPorts: ClosedRange<UInt16> = 32768...60999
    /// The first number `socket`, `accept`, `epoll_create` and `pipe` give; each gives the least that is free.
    public var firstDescriptor: Int32 = 3
    /// Where virtual time starts.
    public var start = Instant(nanoseconds: 1_000_000_000)
    /// What the unpredictable numbers are drawn from: two kernels with the same settings and calls do the same.
    public var seed: UInt64 = 1

    /// The defaults, without an address.
    public init() {}

    /// The defaults, with addresses.
    public init(addresses: [AddressPrefix]) { self.addresses = addresses }
}
