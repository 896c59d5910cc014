public import TCPWire

/// How a link carries packets. The same holds for both directions, each with a queue and faults of its own.
public struct LinkConfiguration: Sendable {
    /// What a direction does with a packet when its queue is full.
    public enum FullQueue: Sendable {
        /// The packet is lost, as in a router (drop-tail).
        case drops
        /// The host is told "not now" and keeps the packet, as a device does.
        case waits
    }

    /// Bits a second, IP headers included; `nil` is no limit.
    public var rate: Double?
    /// The time from one end to the other.
    public var delay: Duration = .milliseconds(10)
    /// Octets that may wait in front of each direction, the packet on its way out included; `nil` is no limit. It matters
    /// only with a rate.
    public var queue: Int?
    /// What happens when they are more.
    public var whenFull = FullQueue.drops
    /// What a queue does before it is full; `nil` is nothing. It matters only with a rate.
    public var marking: QueueMarking?
    /// Changes of the rate, in both directions, at times counted from when the link is made. What waits then leaves at the
    /// new rate.
    public var rateChanges: [RateChange] = []
    /// How far a packet's delay may lie to either side of `delay`, by chance, each place in between as likely; it never falls
    /// below zero.
    public var jitter: Duration = .zero
    /// Whether packets arrive in their order in spite of jitter: one that would overtake arrives together with the one
    /// before it, so that packets close behind each other come late rather than early, and in bunches. Otherwise jitter
    /// reorders.
    public var jitterKeepsOrder = true
    /// The largest packet in octets: 68...65535, at least 1280 for IPv6. The stacks at the ends are configured with it.
    public var mtu = 1500
    /// Whether a bundle of segments of up to 64 KiB crosses as one packet. Faults then meet the whole bundle.
    public var superSegments = false
    /// Whether the link vouches for checksums: then none is computed. A packet that the link spoils is still checked.
    public var checksumOffload = false

    /// A link without a limit of rate, 10 ms long.
    public init(rate: Double? = nil, delay: Duration = .milliseconds(10), queue: Int? = nil) {
        self.rate = rate
        self.delay = delay
        self.queue = queue
    }
}

/// What one direction of a link does wrong: by chance, from the simulation's seed, or to packets named by number, where 1
/// is the first packet ever offered to this direction.
public struct LinkFaults: Sendable {
    /// The share of packets lost: 0...1.
    public var loss = 0.0
    /// The share that arrives twice.
    public var duplication = 0.0
    /// The share that is delayed apart from the others, so that those sent after it may arrive before it.
    public var reordering = 0.0
    /// The share of which bits are turned over.
    public var corruption = 0.0
    /// At most this much later a reordered packet arrives, by chance; `nil` is half the link's delay, at least 1 ms.
    public var reorderingDelay: Duration?
    /// Packets to lose.
    public var losesPackets: Set<Int> = []
    /// Packets to deliver twice.
    public var duplicatesPackets: Set<Int> = []
    /// Packets to spoil.
    public var corruptsPackets: Set<Int> = []
    /// Packets to deliver that much later.
    public var delaysPackets: [Int: Duration] = [:]

    /// No faults.
    public init() {}

    /// Faults by chance, each a share of 0...1.
    public init(loss: Double = 0, duplication: Double = 0, reordering: Double = 0, corruption: Double = 0) {
        self.loss = loss
        self.duplication = duplication
        self.reordering = reordering
        self.corruption = corruption
    }

    /// Whether chance plays a part.
    var usesChance: Bool { loss > 0 || duplication > 0 || reordering > 0 || corruption > 0 }
}

/// A packet that a link direction is about to carry, as a script sees it.
public struct OfferedPacket: Sendable {
    /// 1 for the first packet ever offered to this direction.
    public var ordinal: Int
    /// When it was offered.
    public var time: Instant
    /// Its TCP header; `nil` if it carries none.
    public var header: TCPHeader?
    /// Octets behind the TCP header.
    public var payloadLength: Int
    /// Octets of the whole packet.
    public var length: Int
}

/// What is to become of a packet.
public struct PacketFate: Sendable, Hashable {
    /// It never arrives.
    public var isLost = false
    /// It arrives this much later than it would.
    public var extraDelay: Duration = .zero
    /// Copies that arrive beside it, each this much later than the packet.
    public var copies: [Duration] = []
    /// Whether bits are turned over.
    public var isCorrupted = false
    /// Whether it waits in the network until somebody lets it go: see `Simulation.heldPackets`.
    package var isHeld = false

    /// It arrives, once, in time, as it was sent.
    public init() {}

    /// It arrives as it was sent.
    public static let delivered = PacketFate()
    /// It never arrives.
    public static let lost: PacketFate = {
        var fate = PacketFate()
        fate.isLost = true
        return fate
    }()
    /// It arrives with wrong bits.
    public static let corrupted: PacketFate = {
        var fate = PacketFate()
        fate.isCorrupted = true
        return fate
    }()
    /// It waits in the network.
    package static let held: PacketFate = {
        var fate = PacketFate()
        fate.isHeld = true
        return fate
    }()

    /// It arrives that much later.
    public static func delayed(_ delay: Duration) -> PacketFate {
        var fate = PacketFate()
        fate.extraDelay = delay
        return fate
    }

    /// It arrives, and again that much later.
    public static func duplicated(after delay: Duration = .microseconds(100)) -> PacketFate {
        var fate = PacketFate()
        fate.copies = [delay]
        return fate
    }
}
