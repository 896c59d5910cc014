public import TCPEngine
package import TCPWire

/// What a stack is told when it is made.
public struct Configuration: Sendable {
    /// The first link's MTU in octets: 68...65535 with IPv4, at least 1280 with IPv6. Others are added by `addInterface`.
    public var mtu = 1500
    /// Whether the link takes packets of up to 64 KiB with a segment size to cut them by (generic segmentation offload).
    public var superSegments = false
    /// Whether the link finishes TCP checksums; packets then carry the sum of the pseudo-header alone.
    public var checksumOffload = false
    /// Whether packets for which there is no route leave by the first link: right for a tunnel, where nobody has to be
    /// found who takes them.
    public var takesEverything = true
    /// All the memory the stack may hold, in bytes.
    public var memoryBudget = 64 << 20
    /// What is done as the budget nears its end, and where.
    public var memoryLevels = MemoryLevels()
    /// The most octets one connection keeps for sending, unacknowledged ones included: 1...2³⁰.
    ///
    /// What a connection may queue begins at `initialSendBuffer` and follows twice its congestion window, up and down, as far as
    /// that leaves as much free again below `MemoryLevels.shrinkingWindows`.
    public var sendBuffer = 64 << 20
    /// What a connection may queue at first, and at least while memory lasts, in octets: 1...`sendBuffer`. The same as
    /// `sendBuffer` makes it a fixed size.
    public var initialSendBuffer = 64 << 10
    /// The most octets one connection takes that it may not send yet: less means less memory and less delay, more spares
    /// its program turns. Without limit by default.
    public var unsentBuffer = Int.max
    /// The most octets one connection keeps for reading, the largest window it advertises: 1...2³⁰, without window scaling
    /// 65535. The default is the most that a scale of ten can tell.
    ///
    /// The window begins at `initialReceiveBuffer` and follows what the program reads in a round trip, so that neither it nor
    /// memory holds back a path, and a program that does not read is sent no more than the beginning. It grows as far as that
    /// leaves as much free again below `MemoryLevels.holdingWindows`, and falls back in pauses of more than a second. With a
    /// budget of 64 MiB a connection that is alone comes to 16 MiB, with 256 MiB to all of the default: 32 MB in flight with
    /// as much again for repairs.
    public var receiveBuffer = 65535 << 10
    /// The window a connection begins with, in octets: 1...`receiveBuffer`. The same as `receiveBuffer` makes it a fixed size.
    public var initialReceiveBuffer = 64 << 10
    /// MSL, half of what TIME-WAIT lasts (RFC 9293 §3.4.2 says two minutes; a connection's peers today expect 30 s).
    public var maximumSegmentLifetime: Duration = .seconds(30)
    /// The retransmission timeout before the first measurement (RFC 6298 §2.1).
    public var initialRTO: Duration = .seconds(1)
    /// The least retransmission timeout. RFC 6298 §2.4 says one second; kernels today use 200 ms.
    public var minimumRTO: Duration = .milliseconds(200)
    /// The most that back-off makes of it (RFC 6298 §2.5: at least 60 s).
    public var maximumRTO: Duration = .seconds(60)
    /// How long an acknowledgment may wait for company: below 500 ms (RFC 9293 MUST-40).
    public var delayedAcknowledgment: Duration = .milliseconds(40)
    /// R2 for established connections (RFC 9293 §3.8.3: at least 100 s).
    public var userTimeout: Duration = .seconds(300)
    /// R2 for SYNs (RFC 9293 MUST-23: at least three minutes).
    public var openTimeout: Duration = .seconds(180)
    /// How often a SYN-ACK is sent again before a half-open connection is given up.
    public var synAckRetries = 5
    /// The most half-open connections, each of 64 bytes: at least 1. Past it SYNs get cookies.
    public var halfOpenConnections = 16_384
    /// The most of one listener, and never more than its backlog or 16, whichever is larger: at least 1.
    public var halfOpenPerListener = 4096
    /// What part of these places one source may take, an IPv4 address or an IPv6 /64, in per cent: 1...100.
    public var halfOpenShare = 50
    /// When SYNs are answered without a half-open connection (RFC 4987 §3.6).
    public var synCookies = SynCookies.underPressure
    /// Whether connections and listeners that say nothing else use TCP Fast Open (RFC 7413): see `ConnectionOptions.fastOpen`.
    public var fastOpen = false
    /// The most connections of a listener that may have come by Fast Open and not have shaken hands yet; past it a good
    /// cookie is worth no more than none (RFC 7413 §5.1). One source takes no more than `halfOpenShare` of it.
    public var fastOpenPending = 256
    /// How long one of them that a reset ended still counts, up to twice: else who spoofs resets would have no limit (RFC 7413 §5.1).
    public var fastOpenResetHold: Duration = .seconds(60)
    /// How long a key makes Fast Open cookies before the next does; the last one is honoured as long again (RFC 7413 §4.1.2).
    public var fastOpenKeyLifetime: Duration = .seconds(86_400)
    /// Servers whose Fast Open cookies are remembered (RFC 7413 §4.1.3), each in 72 bytes once there is one: 0...65,536, in
    /// steps that double from 4 on.
    public var fastOpenCookies = 256
    /// How long a server is not tried after what went with the SYN was lost or ignored (RFC 7413 §4.1.3.1).
    public var fastOpenRetryInterval: Duration = .seconds(3600)
    /// How long a FIN-WAIT-2 connection that its program has released waits for the peer's FIN.
    public var orphanTimeout: Duration = .seconds(60)
    /// How long a peer may keep its window shut while octets wait for it, counted from when it last acknowledged any; `nil`
    /// is as long as it answers probes, as RFC 9293 §3.8.6.1 has it (MUST-37). A program that serves strangers does well to
    /// name a limit (RFC 6429): the connection then ends by a reset, with `timedOut`. One that its program has released ends
    /// after `userTimeout` in any case.
    public var zeroWindowTimeout: Duration?
    /// Whether window scaling, timestamps and SACK are offered (RFC 7323, RFC 2018).
    public var windowScaling = true
    /// See `windowScaling`.
    public var timestamps = true
    /// See `windowScaling`.
    public var selectiveAcknowledgment = true
    /// The congestion control of connections that choose none themselves: CUBIC serves most; BBR keeps its rate where packets
    /// are lost by chance, and queues short; NewReno is the plainest.
    public var congestionControl = CongestionControl.cubic
    /// Whether what a window allows leaves over the round trip, at times that `Stack.nextDeadline` tells, instead of at once.
    /// Bursts of an initial window, and of a few segments, leave at once in any case.
    public var pacing = true
    /// What connections do with Explicit Congestion Notification: nothing by default (RFC 3168, RFC 9768).
    public var explicitCongestionNotification = ExplicitCongestion.off
    /// TTL or hop limit of what is sent (RFC 9293 MUST-49).
    public var hopLimit: UInt8 = 64
    /// How long the fragments of a datagram wait for each other, from the first that came (RFC 1122 §3.3.2 and RFC 8200 §4.5
    /// say 60 s; kernels today give half of it).
    public var reassemblyTimeout: Duration = .seconds(30)
    /// Datagrams that may wait for fragments at a time: 1...256. Past it the oldest goes; one source keeps no more than half
    /// of them while others want in.
    public var reassemblyDatagrams = 64
    /// Memory their octets may take, in bytes, and never more than a quarter of the budget, which counts it too: below
    /// 66 KiB not every datagram can become whole, with zero none. Shared as `reassemblyDatagrams` are.
    public var reassemblyBytes = 1 << 20
    /// Fragments a datagram may come in: 2...8192. 128 are enough for the largest over links of 576 octets.
    public var reassemblyFragments = 128
    /// What is done about paths that drop large packets without a word (RFC 4821).
    public var pathProbing = PathProbing.blackHoles
    /// Timeouts of one large segment in a row, with nothing acknowledged in between, that make a black hole of its path:
    /// 1...255 (RFC 4821 §7.7, RFC 8899 §4.3).
    public var blackHoleTimeouts = 2
    /// What segments fall to in a black hole, in octets of payload and TCP options: RFC 4821 §7.2 has packets of 1024, RFC
    /// 8899 §5.1.2 of 1200, kernels segments of 1024. At least 512 over IPv4 and 1220 over IPv6; if these are lost
    /// as well, IPv4 falls to 512.
    public var baseSegmentSize = 1024
    /// How long a connection keeps to what its path took before a larger segment is tried again: at least five minutes (RFC
    /// 1191 §6.3, RFC 4821 §7.3; RFC 8899 §5.1.1, PMTU_RAISE_TIMER, has 600 s).
    public var pathRaiseInterval: Duration = .seconds(600)
    /// Octets of ICMP messages that may wait for a link: four of the largest echo replies.
    public var icmpBuffer = 256 << 10
    /// Octets that may wait to be read in a UDP socket, 40 besides each datagram's own; one datagram always may. All together
    /// take no more than a quarter of the budget.
    public var udpReceiveBuffer = 128 << 10
    /// Octets that may wait for the link from a UDP socket, 40 besides each datagram's own; one datagram always may.
    public var udpSendBuffer = 128 << 10
    /// ICMP errors sent a second, to all together and to one source (an IPv6 /64): zero is none (RFC 4443 §2.4 f).
    public var icmpErrorRate = 100
    /// See `icmpErrorRate`.
    public var icmpErrorRatePerSource = 10
    /// Whether `nextStateChange` has something to give.
    public var recordsStateChanges = false
    /// Whether every packet that arrives must have a right TCP checksum, even if the link vouches for it.
    public var alwaysVerifiesChecksums = false

    /// The ISN of every connection instead of RFC 6528's, for tests of wrap-around.
    package var fixedInitialSequence: SequenceNumber?
    /// The window scale to offer, 0...14, instead of the least that serves.
    package var windowScale: UInt8?
    /// The initial congestion window in segments, 1...100, instead of RFC 6928's.
    package var initialSegments: Int?
    /// How many acknowledgments of a new connection do not wait for company.
    package var quickAcknowledgments = 0
    /// Whether tail loss probes are sent (RFC 8985 §7), F-RTO tells spurious timeouts (RFC 5682), and duplicates are reported
    /// (RFC 2883).
    package var probesTail = true
    package var usesForwardRTO = true
    package var reportsDuplicates = true

    /// The defaults.
    public init() {}
}

/// When a SYN is answered with a cookie, of which nothing is remembered (RFC 4987 §3.6). A connection that comes of one has
/// the largest of eight segment sizes that the peer can take, and window scale and SACK only together with timestamps.
public enum SynCookies: UInt8, Sendable {
    /// Never: a SYN that finds no place is dropped.
    case never
    /// When a SYN finds no place among the half-open connections, or memory is short.
    case underPressure
    /// Always: no place is ever taken, but by a SYN that finds its connection in TIME-WAIT (RFC 6191).
    case always
}

/// How a stack finds out what a path carries, besides believing routers (RFC 1191, RFC 8201): packetization layer path
/// MTU discovery (RFC 4821).
public enum PathProbing: Sendable {
    /// It does not: where no router reports, a path that drops large packets stalls its connections.
    case off
    /// When large segments time out in a row, segments fall to the base size; from there on probes, larger segments of the
    /// connection's own data, look for the largest size the path carries.
    case blackHoles
    /// Connections start at the base size, and probes look for more from the first segments on.
    case always
}

/// What one connection may choose for itself.
public struct ConnectionOptions: Sendable {
    /// Whether small segments leave at once: Nagle's algorithm off (RFC 9293 MUST-17).
    public var noDelay = false
    /// Idle time after which the peer is asked whether it lives; `nil` is off, the default (RFC 9293 MUST-25, MUST-28).
    public var keepAliveIdle: Duration?
    /// Time between unanswered keep-alive probes.
    public var keepAliveInterval: Duration = .seconds(75)
    /// Unanswered keep-alive probes before the connection counts as dead: at least 2 (RFC 9293 MUST-29).
    public var keepAliveProbes = 9
    /// R2: how long data may stay unacknowledged (RFC 9293 MUST-21); `nil` is the configuration's. `.seconds(Int64.max)` is never.
    public var userTimeout: Duration?
    /// DSCP, 0...63 (RFC 9293 MUST-48).
    public var differentiatedServices: UInt8 = 0
    /// TTL or hop limit; `nil` is the configuration's.
    public var hopLimit: UInt8?
    /// The congestion control; `nil` is the configuration's. `setOptions` may change it while the connection is open: the new
    /// one goes on with the window there is. BBR holds 512 bytes of the budget; without them CUBIC serves.
    public var congestionControl: CongestionControl?
    /// The most octets a second to send, at least 1, headers not counted: what is over waits, and `Stack.nextDeadline` tells for
    /// how long. `nil` is without limit. Counts whether or not `Configuration.pacing` is on; 4 GB/s and more are no limit.
    public var maximumPacingRate: Int?
    /// What is done with marks of routers (RFC 3168, RFC 9768); `nil` is the configuration's. Counts when a connection opens.
    public var explicitCongestionNotification: ExplicitCongestion?
    /// Whether octets travel with the SYN (RFC 7413); `nil` is the configuration's.
    ///
    /// A connection that opens takes along what is written before its SYN leaves, if a cookie of the server is known, and asks
    /// for one if not. A listener gives out cookies, and hands over what comes with a good one at once: the program may read
    /// and answer before the peer has shown that it is there.
    ///
    /// Such octets can reach a program **twice**: a SYN that was delayed opens a connection of its own once the first one is
    /// over (RFC 7413 §2.1). Use it where a request may be repeated without harm.
    public var fastOpen: Bool?
    /// The most connections of this listener that may be pending; `nil` is `Configuration.fastOpenPending`.
    public var fastOpenPending: Int?

    /// Whether what does not fill a segment waits for more.
    package var corks = false
    /// The largest segment to announce, and to send, in octets; `nil` is what the MTU allows. Counts when a connection opens.
    package var maximumSegmentSize: Int?
    /// How many acknowledgments of a new connection do not wait for company; `nil` is the configuration's.
    package var quickAcknowledgments: Int?
    /// The octets kept for reading, a fixed size: 1...2³⁰; `nil` fits it to the need, see `Configuration.receiveBuffer`.
    public var receiveBuffer: Int?

    /// The defaults.
    public init() {}
}

/// The secrets a stack draws its unpredictable numbers from: ISNs (RFC 6528), ports (RFC 6056), timestamps' offsets, hash
/// keys. Take them from the system's random source; tests choose theirs.
public struct StackSecret: Sendable {
    /// 128 bits.
    public var first: UInt64
    /// The other half.
    public var second: UInt64

    /// Makes a secret from 128 random bits.
    public init(_ first: UInt64, _ second: UInt64) {
        self.first = first
        self.second = second
    }
}

/// What a link says of a packet it delivers.
public struct PacketMetadata: Sendable {
    /// The link vouches for the TCP checksum, or left it partial within this machine: it is not checked.
    public var isChecksumTrusted = false
    /// Octets of payload per segment if this packet is several merged into one; zero if it is not, or not known.
    public var segmentSize = 0

    /// A packet with a checksum to check, one segment.
    public init() {}
}

/// A packet the stack has written into the link's buffer.
public struct TransmittedPacket: Sendable, Equatable {
    /// Octets of the packet.
    public var length: Int
    /// Octets before the payload: what every segment cut from a super-segment repeats.
    public var headerLength: Int
    /// Where the transport header starts.
    public var transportOffset: Int
    /// Octets of payload per segment to cut it into; zero for a packet that is one segment.
    public var segmentSize: Int
    /// Whether the checksum field, 16 octets into the transport header, waits to be finished by the link.
    public var isChecksumPartial: Bool

    package init(
        length: Int, headerLength: Int, transportOffset: Int, segmentSize: Int = 0, isChecksumPartial: Bool = false
    ) {
        self.length = length
        self.headerLength = headerLength
        self.transportOffset = transportOffset
        self.segmentSize = segmentSize
        self.isChecksumPartial = isChecksumPartial
    }
}
