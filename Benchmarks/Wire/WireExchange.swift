import TCPSimulator
import TCPWire

/// What two programs say to each other: one opens, asks and closes its direction; the other answers and closes its own.
/// `count` times over, one after the other.
struct WireExchange: Sendable {
    /// Octets of what is asked.
    var request: Int
    /// Octets of what is answered.
    var reply: Int
    /// How many connections.
    var count = 1

    static let port: UInt16 = 5001
    static let requestPattern = PayloadPattern(seed: 11)
    static let replyPattern = PayloadPattern(seed: 12)

    /// One connection that carries so many octets from the end that opens it.
    static func bulk(_ octets: Int) -> WireExchange { WireExchange(request: octets, reply: 0) }

    /// That many connections of which each brings so many octets to the end that opens it.
    static func responses(_ count: Int, of octets: Int) -> WireExchange {
        WireExchange(request: 100, reply: octets, count: count)
    }

    /// The bulk goes from left to right, so this is who opens.
    var active: Wire.End { reply == 0 ? .left : .right }
    /// Octets that the right end is to read.
    var expected: Int { count * (reply == 0 ? request : reply) }
}

/// What one end's program saw.
struct WireOutcome: Sendable {
    /// When it began to open each connection, if it is the end that opens.
    var started: [Instant] = []
    /// When each of these connections was open, if the end is the kernel's.
    var opened: [Instant] = []
    /// When it had read the last octet of what each connection brings.
    var completed: [Instant] = []
    /// Octets that it read, each of them right.
    var octets = 0

    /// The sum over the connections: from the call of connect at the one end to the last octet read at `receiver`.
    static func seconds(opener: WireOutcome, receiver: WireOutcome) -> Double {
        zip(opener.started, receiver.completed).reduce(0) { $0 + Double(($1.1 - $1.0).nanoseconds) / 1e9 }
    }
}
