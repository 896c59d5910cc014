public import TCPEngine
public import TCPWire

/// One TCP segment on its way: what it says, when it left, and what became of it.
public struct TracedSegment: Sendable {
    /// What the network did with a segment.
    public enum Fate: Sendable, Hashable {
        /// It arrives, at the segment's `arrival`.
        case delivered
        /// The network lost it.
        case lost
        /// A full queue on the way had no room for it.
        case queueFull
        /// It arrives with wrong bits; a checksum gives it away.
        case corrupted
        /// The link was cut, or the host was gone.
        case unreachable
    }

    /// Where a segment comes from.
    public enum Origin: Sendable, Hashable {
        /// A host sent it.
        case host
        /// The network made a second copy of it.
        case copy
        /// It was put into the network by hand and claims to come from `from`: an old duplicate, or a forgery.
        case injected
    }

    /// Counts the segments of a trace from 1 in the order of sending.
    public var number: Int
    /// When it was sent.
    public var sent: Instant
    /// When it arrives; `nil` if it never does, or does so spoilt.
    public var arrival: Instant?
    /// The name of the sending end.
    public var from: String
    /// The name of the end it goes to.
    public var to: String
    /// The sender's address and port.
    public var source: Endpoint
    /// The receiver's address and port.
    public var destination: Endpoint
    /// The header as on the wire.
    public var header: TCPHeader
    /// Octets of payload.
    public var length: Int
    /// What became of it.
    public var fate: Fate
    /// Where it comes from.
    public var origin: Origin
    /// Segments on the wire that this is a bundle of: 1, or more for a super-segment.
    public var segments: Int

    /// Makes a record of a segment.
    public init(
        number: Int, sent: Instant, arrival: Instant?, from: String, to: String, source: Endpoint,
        destination: Endpoint, header: TCPHeader, length: Int, fate: Fate = .delivered, origin: Origin = .host,
        segments: Int = 1
    ) {
        self.number = number
        self.sent = sent
        self.arrival = arrival
        self.from = from
        self.to = to
        self.source = source
        self.destination = destination
        self.header = header
        self.length = length
        self.fate = fate
        self.origin = origin
        self.segments = segments
    }

    /// Whether it reached the other end unspoilt.
    public var isDelivered: Bool { fate == .delivered }

    /// Sequence numbers it takes: its octets, and one each for SYN and FIN (RFC 9293 §3.4).
    public var sequenceLength: Int {
        length + (header.flags.contains(.syn) ? 1 : 0) + (header.flags.contains(.fin) ? 1 : 0)
    }

    /// The sequence number after its last.
    public var sequenceEnd: SequenceNumber { header.sequence + sequenceLength }
}

/// A change of state at one end.
public struct TracedStateChange: Sendable, Hashable {
    /// When it happened.
    public var time: Instant
    /// The name of the end.
    public var end: String
    /// The end's own address and port.
    public var local: Endpoint
    /// The other end's; unspecified for a listener.
    public var remote: Endpoint
    /// The state before.
    public var from: State
    /// The state after.
    public var to: State

    /// Makes a record of a change.
    public init(time: Instant, end: String, local: Endpoint, remote: Endpoint, from: State, to: State) {
        self.time = time
        self.end = end
        self.local = local
        self.remote = remote
        self.from = from
        self.to = to
    }
}

/// Something a program did with its connection, or learnt of it.
public enum ApplicationAction: Sendable, Hashable {
    /// It calls for a connection.
    case connect
    /// It was given an accepted connection.
    case accept
    /// It has read this many octets since the last record.
    case read(Int)
    /// It wrote this many octets.
    case write(Int)
    /// It read the peer's end-of-stream.
    case endOfStream
    /// It closes its direction.
    case close
    /// It closes with this many octets unread.
    case closeUnread(Int)
    /// It aborts the connection.
    case abort
    /// It exits: nobody will read any more.
    case release
    /// The connection ended with an error.
    case failed(ConnectionError)
    /// The host lost its power and all it knew.
    case crash
    /// The host is back, and knows nothing of its connections.
    case restart
}

/// An action with its time and place.
public struct TracedAction: Sendable, Hashable {
    /// When.
    public var time: Instant
    /// The name of the end.
    public var end: String
    /// The end's own address and port; unspecified when there is none.
    public var local: Endpoint
    /// The other end's.
    public var remote: Endpoint
    /// What.
    public var action: ApplicationAction

    /// Makes a record.
    public init(time: Instant, end: String, local: Endpoint, remote: Endpoint, action: ApplicationAction) {
        self.time = time
        self.end = end
        self.local = local
        self.remote = remote
        self.action = action
    }
}

/// Something that happened, in a trace.
public enum TraceEvent: Sendable {
    /// The segment at this index was sent.
    case sent(Int)
    /// The segment at this index arrived; what follows at the same instant and end is its doing.
    case arrived(Int)
    /// A state changed.
    case state(TracedStateChange)
    /// A program acted.
    case action(TracedAction)
}

/// All that happened between some ends, in order.
public struct Trace: Sendable {
    /// The time from which a drawing counts.
    public var start: Instant
    /// What happened, in order.
    public var events: [TraceEvent] = []
    /// The segments, in the order of sending.
    public var segments: [TracedSegment] = []

    /// An empty trace.
    public init(start: Instant = .zero) { self.start = start }

    /// The changes of state, in order.
    public var stateChanges: [TracedStateChange] {
        events.compactMap { if case .state(let change) = $0 { change } else { nil } }
    }

    /// The programs' actions, in order.
    public var actions: [TracedAction] {
        events.compactMap { if case .action(let action) = $0 { action } else { nil } }
    }

    /// The states that the connections of one end passed through, listeners left out.
    public func states(of end: String) -> [State] {
        stateChanges.filter { $0.end == end && $0.remote.port != 0 }.map(\.to)
    }
}
