package import TCPWire

/// One connection (RFC 9293 §3.3.1). Addresses, ports and tables are its stack's affair; segments, time and memory are
/// handed in with each call. Fields a segment touches come first.
package struct Connection: ~Copyable {
    private let inPlace = InPlace()
    /// What is agreed, wanted or due. Whether an end may send or has its FIN acknowledged is not here: that follows from
    /// the state and the sequence variables.
    package struct Flags: OptionSet {
        package var rawValue: UInt64
        package init(rawValue: UInt64) { self.rawValue = rawValue }

        // Agreed in the handshake.
        static let timestamps = Flags(rawValue: 1)
        static let sack = Flags(rawValue: 2)
        static let peerScales = Flags(rawValue: 1 << 2)
        /// RFC 9293 MUST-11: SYN-RECEIVED was reached by a passive OPEN.
        static let passive = Flags(rawValue: 1 << 3)
        // Wanted by the program.
        static let noDelay = Flags(rawValue: 1 << 4)
        static let keepAlive = Flags(rawValue: 1 << 5)
        /// The program let go of the connection.
        static let released = Flags(rawValue: 1 << 6)
        /// A write took less than it was given.
        static let wantsRoom = Flags(rawValue: 1 << 7)
        // Due at the next transmission.
        static let acknowledgeNow = Flags(rawValue: 1 << 8)
        static let retransmit = Flags(rawValue: 1 << 9)
        static let probe = Flags(rawValue: 1 << 10)
        static let keepAliveProbe = Flags(rawValue: 1 << 11)
        // Under way.
        /// The octet after SND.UNA was sent past the window as a probe.
        static let probing = Flags(rawValue: 1 << 12)
        /// The SYN, sent once, times the round trip.
        static let timing = Flags(rawValue: 1 << 13)
        static let urgent = Flags(rawValue: 1 << 14)
        static let reportedTrouble = Flags(rawValue: 1 << 15)
        static let softError = Flags(rawValue: 1 << 16)
        static let synRetransmitted = Flags(rawValue: 1 << 17)
        static let hasTimestamp = Flags(rawValue: 1 << 18)
        /// Small segments may leave: the override time-out of silly-window avoidance passed.
        static let overrideSWS = Flags(rawValue: 1 << 19)
        /// A write found no memory.
        static let wantsMemory = Flags(rawValue: 1 << 21)
        /// CLOSE was called in SYN-RECEIVED with nothing queued: the FIN does not wait for the acknowledgment of the SYN.
        static let synUnanswered = Flags(rawValue: 1 << 22)
        /// CLOSE was called in SYN-RECEIVED with octets queued.
        static let closeWanted = Flags(rawValue: 1 << 20)
        /// `lossAt` is when a tail loss probe is due; else it is the reordering timer.
        static let tailProbeTimer = Flags(rawValue: 1 << 32)
        static let tailProbe = Flags(rawValue: 1 << 33)
        static let ipv4 = Flags(rawValue: 1 << 31)
        /// The program has said what is kept for reading.
        static let fixedReceiveBuffer = Flags(rawValue: 1 << 29)
        /// A round of `space` is under way.
        static let measuresSpace = Flags(rawValue: 1 << 30)
        /// A small segment waits for company: until the program says otherwise, or until an acknowledgment comes.
        static let corked = Flags(rawValue: 1 << 23)
        static let more = Flags(rawValue: 1 << 24)
        // Fast Open (RFC 7413), until the handshake is over.
        static let fastOpen = Flags(rawValue: 1 << 25)
        /// Octets went with our SYN.
        static let synText = Flags(rawValue: 1 << 26)
        /// Our SYN-ACK is to bring a cookie.
        static let cookieDue = Flags(rawValue: 1 << 27)
        /// Octets of a SYN, ours or the peer's, were taken.
        static let openedFast = Flags(rawValue: 1 << 28)
    }

    /// The one truth about the state; changed by `move(to:)` only.
    package private(set) var state: State
    package var error: ConnectionError?
    package var changes: Changes = []
    package var flags: Flags = []

    // Send sequence variables (RFC 9293 §3.3.1).
    package struct Send {
        /// ISS.
        package var initial: SequenceNumber
        /// SND.UNA.
        package var unacknowledged: SequenceNumber
        /// SND.NXT.
        package var next: SequenceNumber
        /// SND.WND in octets, scaled.
        package var window: UInt32 = 0
        /// MAX.SND.WND (RFC 5961 §5).
        package var maximumWindow: UInt32 = 0
        /// SND.WL1 and SND.WL2.
        package var windowSequence = SequenceNumber(0)
        package var windowAcknowledgment = SequenceNumber(0)
        /// What the peer's window field is shifted by.
        package var scale: UInt8 = 0
    }
    package var send: Send

    // Receive sequence variables.
    package struct Receive {
        /// IRS.
        package var initial = SequenceNumber(0)
        /// RCV.NXT.
        package var next = SequenceNumber(0)
        /// RCV.NXT + RCV.WND as last advertised: this edge never moves left.
        package var edge = SequenceNumber(0)
        /// Last.ACK.sent (RFC 7323 §4.3).
        package var acknowledged = SequenceNumber(0)
        /// RCV.UP, in urgent mode.
        package var urgent = SequenceNumber(0)
        /// What our window field is shifted by.
        package var scale: UInt8 = 0
        /// Out-of-order segments each of which is owed a duplicate acknowledgment.
        package var duplicates: UInt8 = 0
        /// The largest segment that came: what "full-sized" means to delayed acknowledgments.
        package var segmentSize: UInt16 = 0
    }
    package var receive = Receive()

    /// The peer's MSS option, or the default (RFC 9293 MUST-15).
    package var peerSegmentSize: UInt16
    /// What is kept for reading.
    package var space = ReceiveSpace()
    /// The MSS we announce: the MTU less the fixed headers (RFC 9293 MUST-67).
    package var linkSegmentSize: UInt16
    package var path = PathSize()

    package var sendQueue = ByteQueue()
    package var receiveQueue = ByteQueue()
    package var reassembly: Reassembly?

    package var rtt = RTTEstimator()
    /// What sending needs; an idle connection has none, but its window and its threshold.
    package internal(set) var sender: SenderReference
    package var idleWindow: UInt32 = 0
    package var idleThreshold = UInt32(Int32.max)
    package var ecn = ECN()
    package var markedOctets: MarkedOctets?
    package var congestionControl: CongestionControl
    /// Recoveries that turned out not to have been called for.
    package var spuriousRecoveries: UInt16 = 0

    // TS.Recent (RFC 7323 §4.3), when it was set, and the offset of our own clock.
    package var recentTimestamp: UInt32 = 0
    package var recentTimestampAt = Instant.zero
    package var timestampOffset: UInt32

    // Deadlines; `distantFuture` is off.
    package var retransmitAt = Instant.distantFuture
    package var acknowledgeAt = Instant.distantFuture
    /// The end of waiting in FIN-WAIT-2, or for a window to open, for a peer nobody listens to any more.
    package var orphanAt = Instant.distantFuture
    /// When the peer last acknowledged anything, or the program first wrote after all was acknowledged.
    package var progressAt = Instant.zero
    /// When the oldest unanswered segment or probe was sent, or the window opened: R2 counts from the later of the two.
    package var unansweredAt = Instant.zero
    /// When anything acceptable last came.
    package var heardAt = Instant.zero
    /// When data, or the SYN that is timed, was last sent.
    package var sentAt = Instant.zero

    /// The most octets a second to send; zero is without limit.
    package var pacingLimit: UInt32 = 0
    /// R2 in milliseconds, so that an idle connection stays small; zero is the configuration's, `.max` is never.
    package var userTimeout: UInt32 = 0
    package var keepAliveIdle: UInt32 = 7_200_000
    package var keepAliveInterval: UInt32 = 75_000
    package var keepAliveLimit: UInt8 = 9
    package var keepAliveProbes: UInt8 = 0
    package var differentiatedServices: UInt8 = 0
    package var hopLimit: UInt8
    /// Acknowledgments still to be sent at once, without waiting for company.
    package var quickAcknowledgments: UInt8 = 0

    /// Challenge acknowledgments left in this second (RFC 5961 §7), and which second.
    package var challengesLeft: UInt8
    package var challengeSecond: UInt32 = 0
    package var retransmittedSegments: UInt32 = 0
    package var counters = ConnectionCounters()

    package init(
        state: State, initial: SequenceNumber, linkSegmentSize: Int, isIPv4: Bool, hopLimit: UInt8,
        timestampOffset: UInt32, _ context: borrowing Context
    ) {
        self.state = state
        send = Send(initial: initial, unacknowledged: initial, next: initial)
        sender = context.senders.none
        congestionControl = context.parameters.congestionControl
        if isIPv4 { flags.insert(.ipv4) }
        peerSegmentSize = isIPv4 ? 536 : 1220
        self.linkSegmentSize = UInt16(clamping: linkSegmentSize)
        self.timestampOffset = timestampOffset
        self.hopLimit = hopLimit
        challengesLeft = 16
        progressAt = context.now
        heardAt = context.now
    }

    package static func milliseconds(_ nanoseconds: Int64) -> UInt32 {
        nanoseconds >= Int64(UInt32.max) &* 1_000_000 ? .max : UInt32(clamping: max(1, nanoseconds / 1_000_000))
    }

    /// Moves to another state. A move that is not in RFC 9293 figure 5 ends the connection instead.
    package mutating func move(to next: State, _ context: inout Context) {
        guard next != state else { return }
        var next = next
        if !Connection.isMove(from: state, to: next) {
            context.impossibleMoves &+= 1
            next = .closed
            error = error ?? .reset
        }
        if next == .closed { counters.noteEnd(in: state) }
        if context.recordsMoves { context.moves.append(StateMove(from: state, to: next)) }
        state = next
        switch next {
        case .established: changes.insert(.opened)
        case .closed: end(&context)
        case .timeWait:
            stopTimers()
            changes.insert(.ended)
        default: break
        }
    }

    /// RFC 9293 §3.3.2, figure 5; any state can end by reset, abort or timeout.
    private static func isMove(from: State, to: State) -> Bool {
        switch (from, to) {
        case (_, .closed): true
        case (.closed, .synSent), (.closed, .listen), (.listen, .synSent), (.listen, .synReceived): true
        case (.synSent, .synReceived), (.synSent, .established): true
        case (.synReceived, .established), (.synReceived, .finWait1), (.synReceived, .listen): true
        case (.established, .finWait1), (.established, .closeWait): true
        case (.finWait1, .finWait2), (.finWait1, .closing), (.finWait1, .timeWait): true
        case (.finWait2, .timeWait), (.closing, .timeWait), (.closeWait, .lastAck): true
        default: false
        }
    }

    private mutating func stopTimers() {
        retransmitAt = .distantFuture
        if hasSender { lossAt = .distantFuture }
        acknowledgeAt = .distantFuture
        orphanAt = .distantFuture
        flags.remove(.keepAlive)
    }

    /// Everything a closed connection has no more use for goes back. Octets that came in order before a clean close stay
    /// to be read.
    private mutating func end(_ context: inout Context) {
        stopTimers()
        sendQueue.removeAll(&context.pool, &context.budget)
        if error != nil || flags.contains(.released) { receiveQueue.removeAll(&context.pool, &context.budget) }
        dropSender(&context)
        dropMarkedOctets(&context)
        dropReassembly(&context)
        flags.subtract([.acknowledgeNow, .retransmit, .probe, .keepAliveProbe, .tailProbe])
        receive.duplicates = 0
        changes.insert(.ended)
    }

    /// Ends the connection with `error`.
    package mutating func fail(_ error: ConnectionError, _ context: inout Context) {
        self.error = error
        move(to: .closed, &context)
    }

    /// Gives back all memory; the connection is about to be forgotten.
    package mutating func dispose(_ context: inout Context) {
        sendQueue.removeAll(&context.pool, &context.budget)
        receiveQueue.removeAll(&context.pool, &context.budget)
        dropSender(&context)
        dropMarkedOctets(&context)
        dropReassembly(&context)
    }

    package mutating func dropReassembly(_ context: inout Context) {
        guard let reassembly else { return }
        context.budget.release(reassembly.cost)
        context.recoveryBytes &-= reassembly.cost
        self.reassembly = nil
    }

    /// The reassembly state, made if the budget has room.
    package mutating func makeReassembly(_ context: inout Context) -> Reassembly? {
        if reassembly == nil, context.budget.reserve(Reassembly.cost, keeping: context.budget.marks.keptBack) {
            context.recoveryBytes &+= Reassembly.cost
            reassembly = Reassembly()
        }
        return reassembly
    }
}

// What follows from the state and the sequence variables.
extension Connection {
    /// ESTABLISHED and the states after it.
    package var isSynchronized: Bool { state.rawValue >= State.established.rawValue }

    /// Whether the peer has acknowledged our SYN.
    package var isSynAcknowledged: Bool { isSynchronized && !flags.contains(.synUnanswered) }

    /// The sequence number of the send queue's first octet: SND.UNA, or one past the SYN while that is not acknowledged.
    package var queueStart: SequenceNumber {
        send.unacknowledged == send.initial && !isSynAcknowledged ? send.initial + 1 : send.unacknowledged
    }

    /// The sequence number our FIN has, once the program has closed.
    package var finSequence: SequenceNumber { queueStart + sendQueue.count }

    /// Whether a FIN is to be sent or to be acknowledged.
    package var isFinDue: Bool { state == .finWait1 || state == .closing || state == .lastAck }

    /// Whether our FIN was sent at least once.
    package var isFinSent: Bool { isFinDue && send.next > finSequence }

    /// Octets of the queue not sent yet.
    package var unsent: Int { max(0, finSequence.distance(from: send.next)) }

    /// Sequence numbers sent and not acknowledged.
    package var inFlight: Int { max(0, send.next.distance(from: send.unacknowledged)) }

    /// Whether the peer may still send data (RFC 9293 §3.10.7.4, seventh).
    package var isReceiving: Bool { state == .established || state == .finWait1 || state == .finWait2 }

    /// Eff.snd.MSS without options that only some segments carry (RFC 9293 §3.7.1): the timestamps are counted here.
    package var segmentSize: Int {
        // A peer that announces less than this would make segments of almost nothing but header.
        let size = min(max(48, Int(peerSegmentSize)), Int(min(linkSegmentSize, path.size)))
        return flags.contains(.timestamps) ? size &- 12 : size
    }

    /// Bytes charged for the sender and what it holds.
    package var senderCost: Int {
        guard hasSender else { return 0 }
        return SenderPool.cost &+ transmissions.cost &+ congestion.cost &+ (recovery.undo == nil ? 0 : Undo.cost)
    }

    /// RCV.WND as last advertised.
    package var advertisedWindow: Int { max(0, receive.edge.distance(from: receive.next)) }

    /// The timestamps a reset carries, if the connection uses them.
    package func resetTimestamps(_ now: Instant) -> TCPTimestamps? {
        flags.contains(.timestamps) ? TCPTimestamps(value: timestampClock(now), echo: recentTimestamp) : nil
    }

    /// TSval now: milliseconds, offset for each connection (RFC 7323 §5.4, §7.1).
    package func timestampClock(_ now: Instant) -> UInt32 {
        UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000) &+ timestampOffset
    }
}
