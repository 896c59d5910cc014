public import TCPEngine
public import TCPStack
public import TCPTrace
public import TCPWire

/// Bulk transfers over one link with limits and faults: what connections make of it, one or several at the same time.
public struct Transfer: Sendable {
    /// Octets the client sends over each connection; not looked at when there is a `duration`.
    public var bytes: Int
    /// Octets the server sends at the same time, over each connection.
    public var replyBytes = 0
    /// The link.
    public var link: LinkConfiguration
    /// What it does wrong: in both directions, unless `replyFaults` says otherwise.
    public var faults: LinkFaults
    /// What it does wrong from server to client: where acknowledgments go, if the server sends nothing. `nil` is `faults`.
    public var replyFaults: LinkFaults?
    /// Seed and family.
    public var options: SceneOptions
    /// What both stacks are told.
    public var configuration = Configuration()
    /// The clock's first reading.
    public var start = Instant.zero
    /// Connections, all from the one host to the other: at least 1.
    public var flows = 1
    /// How much later than the one before it each connection opens.
    public var stagger: Duration = .zero
    /// The congestion controls that connections choose, in turn; none is the configuration's. They are the client's.
    public var congestion: [CongestionControl] = []
    /// How long to send, counted from the first call of connect, instead of a number of octets. Octets that are read later
    /// are checked, and not counted.
    public var duration: Duration?
    /// How much of the time in which all connections are there is left out of `Report.together`.
    public var warmUp: Duration = .zero

    /// Makes a transfer.
    public init(
        bytes: Int, link: LinkConfiguration = LinkConfiguration(), faults: LinkFaults = LinkFaults(),
        options: SceneOptions = SceneOptions()
    ) {
        self.bytes = bytes
        self.link = link
        self.faults = faults
        self.options = options
    }

    /// Gives both stacks memory for twice what fills the path, up to what a connection may keep, so that the network is what
    /// limits. Buffers follow by themselves.
    public mutating func fitMemory() {
        let rate = link.rateChanges.reduce(link.rate ?? 1e9) { max($0, $1.rate) }
        let longest = link.delay.nanoseconds &+ link.jitter.nanoseconds
        let path = rate / 8 * 2 * Double(longest) / 1e9 + Double(link.queue ?? 0)
        let most = Double(max(configuration.sendBuffer, configuration.receiveBuffer))
        // Each may come to what leaves as much free in half of the budget.
        configuration.memoryBudget = max(512 << 20, 2 * (flows + 1) * Int(min(2 * path, most)))
    }

    /// The share of a full packet that is payload: what of its rate a link can carry as such. IP and TCP headers count, and
    /// the timestamps of every segment (RFC 7323 §3).
    public var payloadFraction: Double {
        let headers = (options.ipv6 ? 40 : 20) + 20 + (configuration.timestamps ? 12 : 0)
        return Double(link.mtu - headers) / Double(link.mtu)
    }

    /// Runs it to the end.
    ///
    /// - Parameters:
    ///   - observer: Sees every event when it happens.
    ///   - progress: Called now and then with the octets delivered so far.
    public func run(
        observer: ((TraceEvent, TracedSegment?) -> Void)? = nil, progress: ((Int) -> Void)? = nil
    ) -> Report {
        TransferRun(self, observer: observer).report(progress: progress)
    }
}

extension Transfer {
    /// What one connection came to.
    public struct Flow: Sendable, Hashable {
        /// Octets read at the server.
        public var delivered: Int
        /// Seconds from its call of connect to its last octet read, or to the end of the transfer's duration.
        public var seconds: Double
        /// Octets delivered, in bits a second.
        public var goodput: Double { seconds > 0 ? Double(delivered) * 8 / seconds : 0 }
    }

    /// The time in which every connection was there: from the last call of connect and the warm-up on, until the first of
    /// them had read its last octet, or until the transfer's duration was over.
    public struct Together: Sendable, Hashable {
        /// How long it was.
        public var seconds: Double
        /// Octets each connection delivered in it.
        public var delivered: [Int]
        /// The mean of the octets that waited in front of the link, from client to server.
        public var meanBacklog: Double
        /// Octets delivered by all, in bits a second.
        public var goodput: Double { Double(delivered.reduce(0, +)) * 8 / seconds }
    }

    /// What came of it.
    public struct Report: Sendable {
        /// Octets read at the server.
        public var delivered: Int
        /// Whether all octets both ways arrived as they were sent.
        public var isIntact: Bool
        /// Seconds of virtual time from the first call of connect to the last octet read, or the transfer's duration.
        public var seconds: Double
        /// Octets delivered from client to server, in bits a second.
        public var goodput: Double
        /// Goodput as a share of the rate the link begins with; `nil` without one. Headers take a part of it: see
        /// `Transfer.payloadFraction`.
        public var share: Double?
        /// Each connection, in the order of opening.
        public var flows: [Flow]
        /// The time in which all of them were there; `nil` if there was none.
        public var together: Together?
        /// Jain's index of fairness, of the octets that connections delivered while all were there, or else of their
        /// goodputs: 1 if all are equal, the inverse of their number if one has all.
        public var jain: Double
        /// Segments sent again, by both ends.
        public var retransmitted: Int
        /// Segments that the client sent again though nothing was lost: beyond one for each packet that the network did not
        /// carry in good order. `nil` where that cannot be told, with bundles or with data both ways.
        public var needless: Int?
        /// Packets the network did not carry in good order, both ways.
        public var lost: Int
        /// Packets that a queue dropped, both ways; they are counted as lost too.
        public var dropped: Int
        /// Packets in which a queue set Congestion Experienced, both ways.
        public var marked: Int
        /// The most octets that waited in front of the link, from client to server.
        public var highestBacklog: Int
        /// Packets that a stack refused because a checksum was wrong, both ways.
        public var badChecksums: Int
        /// Packets offered to the link, both ways.
        public var packets: Int
        /// How the run ended: `idle` unless something hangs.
        public var outcome: Simulation.Outcome
        /// What the client's stack holds when all is over, TIME-WAIT too.
        public var clientMemory: MemoryReport
        /// The same of the server's.
        public var serverMemory: MemoryReport
        /// What the client's stack held when both directions had closed, TIME-WAIT going on.
        public var closedClientMemory: MemoryReport
        /// The same of the server's.
        public var closedServerMemory: MemoryReport
    }

    /// Jain's index of fairness: the square of the sum over the number times the sum of the squares. Equal shares, none of
    /// them anything included, have 1.
    public static func jain(_ shares: [Double]) -> Double {
        let sum = shares.reduce(0, +)
        let squares = shares.reduce(0) { $0 + $1 * $1 }
        return squares > 0 ? sum * sum / (Double(shares.count) * squares) : 1
    }
}
