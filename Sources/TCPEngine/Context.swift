package import TCPWire

/// What all connections of a stack share in configuration; times are nanoseconds.
package struct Parameters: Sendable {
    private let inPlace = InPlace()
    package var initialRTO: Int64 = 1_000_000_000
    package var minimumRTO: Int64 = 200_000_000
    package var maximumRTO: Int64 = 60_000_000_000
    package var delayedAcknowledgment: Int64 = 40_000_000
    package var userTimeout: Int64 = 300_000_000_000
    package var openTimeout: Int64 = 180_000_000_000
    package var orphanTimeout: Int64 = 60_000_000_000
    package var zeroWindowTimeout = Int64.max
    /// The most octets a connection keeps for sending and for reading, and what it begins with: where that is not less, what
    /// is kept does not follow the need.
    package var sendBuffer = 1 << 20
    package var receiveBuffer = 1 << 20
    package var initialSendBuffer = 1 << 20
    package var initialReceiveBuffer = 1 << 20
    /// The most octets a connection takes before they may be sent.
    package var unsentBuffer = Int.max
    package var windowScaling = true
    package var timestamps = true
    package var selectiveAcknowledgment = true
    /// The shift we offer: the least that can tell `receiveBuffer` (RFC 7323 §2.2).
    package var windowScale: UInt8 = 5
    /// How many acknowledgments of a new connection do not wait for company.
    package var quickAcknowledgments: UInt8 = 0
    /// Which congestion control connections get.
    package var congestionControl = CongestionControl.cubic
    /// What they do with Explicit Congestion Notification.
    package var explicitCongestion = ExplicitCongestion.off
    /// Whether what a window allows leaves over the round trip.
    package var paces = true
    /// Whether tail loss probes are sent (RFC 8985 §7).
    package var probesTail = true
    /// Whether F-RTO tells spurious timeouts (RFC 5682).
    package var usesForwardRTO = true
    /// Whether duplicates are reported (RFC 2883).
    package var reportsDuplicates = true
    /// TLP.max_ack_delay (RFC 8985 §7.2): how long a peer may keep the acknowledgment of a lone segment.
    package var tailProbeDelay: Int64 = 200_000_000
    /// The initial window in segments; zero is RFC 6928's.
    package var initialSegments = 0
    /// Timeouts of a large segment in a row that make a black hole of the path; zero is never.
    package var blackHoleTimeouts: UInt8 = 2
    /// What segments fall to then, in octets with TCP options.
    package var baseSegmentSize: UInt16 = 1024
    /// Whether connections start at the base and look for more.
    package var probesPathAlways = false
    /// When a larger segment than the path took is tried again.
    package var pathRaiseInterval: Int64 = 600_000_000_000

    package init() {}

    /// The least shift with which a 16-bit field tells a window of `bytes`.
    package static func windowScale(for bytes: Int) -> UInt8 {
        var shift: UInt8 = 0
        while shift < 14, 65535 &<< Int(shift) < bytes { shift &+= 1 }
        return shift
    }
}

/// A change of state of the connection at hand.
package struct StateMove: Sendable {
    package var from: State
    package var to: State
}

/// What the connections of a stack work with: time, memory, settings, and what they leave for the stack to see to.
package struct Context: ~Copyable {
    private let inPlace = InPlace()
    package var now: Instant
    /// The ECN field of the packet at hand.
    package var codepoint = ECNCodepoint.notCapable
    package var parameters: Parameters
    package var pool = BlockPool()
    package var senders = SenderPool()
    package var budget: Budget
    /// Bytes charged for recovery and reassembly state.
    package var recoveryBytes = 0
    /// State changes of the connection at hand, if anybody wants them.
    package var moves: [StateMove] = []
    package var recordsMoves = false
    /// The connection at hand wants a bare reset sent with this sequence number (RFC 9293 §3.10.7, "<SEQ=SEG.ACK>").
    package var bareReset: SequenceNumber?
    /// What the connection at hand may take along with its SYN or SYN-ACK.
    package var fastOpenOffer: FastOpenOffer?
    /// What came of what it took along.
    package var fastOpenOutcome: FastOpenOutcome?
    package var retransmittedSegments: UInt64 = 0
    /// Acknowledgments of something new: what was sent arrives (RFC 4861 §7.3.1 calls it forward progress).
    package var forwardProgress: UInt64 = 0
    /// Segments of which octets were not taken for want of memory.
    package var refusedSegments: UInt64 = 0
    package var challengeAcknowledgments: UInt64 = 0
    package var spuriousRecoveries: UInt64 = 0
    package var tailProbes: UInt64 = 0
    /// Fast recoveries begun, and retransmission timeouts with data in flight.
    package var recoveries: UInt64 = 0
    package var timeouts: UInt64 = 0
    /// Packets that came with Congestion Experienced, acknowledgments that told of marks, windows that came down for them, and
    /// segments that said so.
    package var marksReceived: UInt64 = 0
    package var echoesReceived: UInt64 = 0
    package var reductionsByMarks: UInt64 = 0
    package var reductionsTold: UInt64 = 0
    package var blackHoles: UInt64 = 0
    package var probesSent: UInt64 = 0
    package var probesLost: UInt64 = 0
    /// Moves that RFC 9293's diagram does not have; each ended its connection.
    package var impossibleMoves: UInt64 = 0

    package init(parameters: Parameters, budget: Int, marks: Budget.Marks = Budget.Marks(), now: Instant) {
        self.parameters = parameters
        self.budget = Budget(limit: budget, marks: marks)
        self.now = now
    }

    /// Bytes in use: what is charged, less what lies idle and would go back for the asking.
    package var held: Int { budget.used &- pool.idleBytes }

    /// Bytes of the budget that octets of arriving segments leave to others.
    package var keptFromArrivals: Int { max(budget.marks.keptBack, budget.limit &- budget.marks.arriving) }

    /// Octets that a queue of `count` may take besides, `limit` being the most it may ever hold. While memory lasts that is
    /// up to where it becomes scarce. From there on a queue may hold an eighth of what is left below the next mark, whatever
    /// the others hold: many queues that nobody empties share what a few could have, and never hold all of it. Any queue may
    /// hold `least`.
    package func room(holding count: Int, limit: Int, least: Int = BlockPool.blockSize) -> Int {
        let held = self.held
        let marks = budget.marks
        let share = max(least, (marks.ending &- max(held, marks.shrinking)) / 8)
        return max(0, min(limit &- count, max(share &- count, marks.shrinking &- held)))
    }

    /// The most a queue of `count` octets may grow to when it follows its need: as much as it leaves free below `mark`. Two
    /// such queues come to have a third of it each, and however many there are something stays free.
    package func share(holding count: Int, below mark: Int) -> Int {
        max(0, mark / 2 &- (held &- count) / 2)
    }

    /// Whether a queue that has its share may have more, because others gave back.
    package var hasMoreToShare: Bool {
        held &+ BlockPool.blockSize <= budget.marks.shrinking && pool.hasRoom(budget)
    }
}
