public import TCPEngine
public import TCPWire

/// Names a connection of one stack. A handle outlives its connection harmlessly: it never names another one.
public struct ConnectionID: Hashable, Sendable {
    package var slot: UInt32
    package var generation: UInt32

    package init(slot: UInt32, generation: UInt32) {
        self.slot = slot
        self.generation = generation
    }
}

/// Names a listener of one stack.
public struct ListenerID: Hashable, Sendable {
    package var slot: UInt32
    package var generation: UInt32

    package init(slot: UInt32, generation: UInt32) {
        self.slot = slot
        self.generation = generation
    }
}

/// What changed about a connection since it was last reported.
public struct Readiness: OptionSet, Hashable, Sendable {
    /// The bits.
    public var rawValue: UInt8

    /// Makes a set from its bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The connection became ESTABLISHED.
    public static let opened = Readiness(rawValue: 1)
    /// There are octets to read.
    public static let readable = Readiness(rawValue: 2)
    /// There is room to write again, after a write took less than it was given.
    public static let writable = Readiness(rawValue: 4)
    /// The peer has sent all it will: after the octets still unread, reads say `endOfStream`.
    public static let endOfStream = Readiness(rawValue: 8)
    /// The connection is over: cleanly, or by what `status(of:)` gives as its error.
    public static let ended = Readiness(rawValue: 16)
    /// Urgent data was announced, or its end moved on (RFC 9293 MUST-32).
    public static let urgent = Readiness(rawValue: 32)
    /// Retransmissions passed R1, or ICMP reported a soft error: the connection still lives (RFC 9293 MUST-47, SHLD-9).
    public static let troubled = Readiness(rawValue: 64)
}

/// Something the program wants to know of. Events are taken from the stack, which never calls anyone.
public enum StackEvent: Hashable, Sendable {
    /// `accept` has a connection to give.
    case acceptable(ListenerID)
    /// A connection changed in the ways the set names. Several changes are one event.
    case connection(ConnectionID, Readiness)
    /// A UDP socket has datagrams to read, room for a send that found none, or an error to tell.
    case datagrams(UDPSocketID, Readiness)
    /// Memory has come nearer to its end, or has gone back from it: the level it is at. Several changes are one event.
    case memoryLevel(MemoryLevel)
}

/// What a read brought.
public enum ReadResult: Hashable, Sendable {
    /// That many octets, at least one, were moved.
    case bytes(Int)
    /// Nothing is there now; more may come.
    case wouldBlock
    /// The peer has closed its direction, and all it sent was read.
    case endOfStream
}

/// A change of a connection's state, for those who watch.
public struct StateChange: Hashable, Sendable {
    /// When it happened.
    public var time: Instant
    /// This host's end.
    public var local: Endpoint
    /// The other end; unspecified for a listener.
    public var remote: Endpoint
    /// The state before.
    public var from: State
    /// The state after.
    public var to: State

    /// Makes a record of a change.
    public init(time: Instant, local: Endpoint, remote: Endpoint, from: State, to: State) {
        self.time = time
        self.local = local
        self.remote = remote
        self.from = from
        self.to = to
    }
}

/// What is known of a connection at the moment.
public struct ConnectionStatus: Sendable {
    /// The RFC's state.
    public var state: State
    /// This host's end.
    public var local: Endpoint
    /// The other end.
    public var remote: Endpoint
    /// How it ended, if it ended otherwise than by the close of both sides.
    public var error: ConnectionError?
    /// Octets received in order and not read yet.
    public var unread: Int
    /// Octets written and not acknowledged yet.
    public var unacknowledged: Int
    /// Octets a write would take now.
    public var room: Int
    /// Octets of urgent data still to be read, counted from the next octet a read gives; zero outside urgent mode.
    public var urgent: Int
    /// Smoothed round-trip time; zero before the first measurement.
    public var smoothedRTT: Duration
    /// The retransmission timeout in force.
    public var retransmissionTimeout: Duration
    /// The congestion window in octets.
    public var congestionWindow: Int
    /// The slow-start threshold in octets.
    public var slowStartThreshold: Int
    /// The peer's window in octets, as last advertised.
    public var sendWindow: Int
    /// The largest payload of a segment to the peer, in octets.
    public var maximumSegmentSize: Int
    /// Segments sent again, over the connection's life.
    public var retransmittedSegments: Int
    /// Whether octets travelled with the SYN and were taken (RFC 7413).
    public var openedFast: Bool
}

/// Why a connection or a listener could not be opened.
public enum OpenError: UInt8, Error, Sendable {
    /// No address of this stack is of the remote address's family, or the local address asked for is not its own.
    case noLocalAddress
    /// No route leads to the remote address.
    case noRoute
    /// The remote address is unspecified, broadcast or multicast (RFC 9293 MUST-46), or a port is zero.
    case invalidAddress
    /// There is a listener there already, or a connection with the same four-tuple.
    case addressInUse
    /// All ephemeral ports towards that endpoint are taken.
    case noPortLeft
    /// The memory budget has no room.
    case noMemory

    /// What is wrong and what to do, in one sentence for a person.
    public var explanation: String {
        switch self {
        case .noLocalAddress: "No local address fits: give the stack an address of the remote address's family."
        case .noRoute: "No route leads there: add one, or give the stack an address whose prefix holds the remote's."
        case .invalidAddress: "The address is no unicast address, or the port is zero: name one host and one port."
        case .addressInUse: "That address and port are in use: choose another port, or end what uses it."
        case .noPortLeft: "No ephemeral port is free towards that endpoint: end some connections to it first."
        case .noMemory: "The memory budget is used up: end some connections, or give the stack a larger budget."
        }
    }
}

/// A connection or an entry in the flow table, for tools that list them.
public struct FlowStatus: Sendable, Hashable {
    /// This host's end.
    public var local: Endpoint
    /// The other end.
    public var remote: Endpoint
    /// The RFC's state.
    public var state: State
}
