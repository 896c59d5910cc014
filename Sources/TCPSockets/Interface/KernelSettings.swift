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
