public import TCPEngine
internal import TCPStack
internal import TCPWire

/// One network, and who sends over it: a cell of the grid.
public struct GridCell: Sendable, Hashable {
    /// The link's rate in bits a second, IP headers included.
    public var rate: Double
    /// What a packet and its acknowledgment take, queues apart.
    public var roundTrip: Duration
    /// Octets that may wait in front of each direction.
    public var queue: Int
    /// Octets from which on the queue marks packets; `nil` is never. Packets that are not ECN-capable pass.
    public var marking: Int?
    /// The share of packets lost by chance, both ways.
    public var loss = 0.0
    /// The share of packets delayed apart from the others, both ways.
    public var reordering = 0.0
    /// At most that much later they arrive.
    public var reorderingDelay: Duration = .milliseconds(10)
    /// How far a round trip lies to either side of `roundTrip` at most: half of it each way, order kept.
    public var jitter: Duration = .zero
    /// Connections at the same time.
    public var flows = 1
    /// Their congestion control.
    public var congestion: CongestionControl
    /// What both ends do with marks.
    public var explicitCongestion = ExplicitCongestion.off
    /// Octets of each connection.
    public var bytes = 64_000_000
    /// How long to send instead.
    public var duration: Duration?
    /// How much of the beginning is not measured.
    public var warmUp: Duration = .zero

    /// A network without faults, and one connection of 64 MB.
    public init(rate: Double, roundTrip: Duration, queue: Int, congestion: CongestionControl) {
        self.rate = rate
        self.roundTrip = roundTrip
        self.queue = queue
        self.congestion = congestion
    }

    /// Octets that fill the path but for its queue.
    public var bandwidthDelayProduct: Double { rate / 8 * Double(roundTrip.nanoseconds) / 1e9 }

    /// The transfer that plays it.
    public func transfer(_ options: SceneOptions) -> Transfer {
        var link = LinkConfiguration(
            rate: rate, delay: .nanoseconds(roundTrip.nanoseconds / 2), queue: queue)
        link.marking = marking.map { .step(at: $0, incapable: .passes) }
        link.jitter = jitter / 2
        var faults = LinkFaults(loss: loss, reordering: reordering)
        faults.reorderingDelay = reorderingDelay
        var transfer = Transfer(bytes: bytes, link: link, faults: faults, options: options)
        transfer.flows = flows
        transfer.congestion = [congestion]
        transfer.configuration.explicitCongestionNotification = explicitCongestion
        transfer.duration = duration
        transfer.warmUp = warmUp
        transfer.fitMemory()
        return transfer
    }

    /// What is measured of a transfer that plays it, in bits a second: of one connection from the first octet to the last,
    /// of several, or behind a warm-up, while all were there.
    public func goodput(_ report: Transfer.Report) -> Double {
        let isWhole = flows == 1 && warmUp == .zero
        return isWhole ? report.goodput : report.together?.goodput ?? report.goodput
    }
}

/// What losses by chance leave of a rate to a congestion control that takes each for congestion, in bits a second of payload.
public enum ResponseFunction {
    /// 1.22 · MSS / (RTT · √p) (Mathis, Semke, Mahdavi and Ott; RFC 5166 §2.1.1).
    public static func mathis(loss: Double, roundTrip: Duration, segment: Int) -> Double {
        let seconds = Double(roundTrip.nanoseconds) / 1e9
        return 1.22 * Double(segment) * 8 / (seconds * root(loss))
    }

    /// CUBIC's average window, 1.054 · RTT^0.75 / p^0.75 segments (RFC 9438 §5.1, equation 6), over the round trip.
    public static func cubic(loss: Double, roundTrip: Duration, segment: Int) -> Double {
        let seconds = Double(roundTrip.nanoseconds) / 1e9
        let ratio = root(seconds / loss)
        return 1.054 * ratio * root(ratio) * Double(segment) * 8 / seconds
    }

    /// The square root by Newton's method: the standard library's own wants the mathematical library linked.
    private static func root(_ value: Double) -> Double {
        guard value > 0 else { return 0 }
        var root = max(1, value)
        while true {
            let next = (root + value / root) / 2
            // From above it falls until rounding stops it.
            guard next < root else { return root }
            root = next
        }
    }
}
