internal import TCPEngine
internal import TCPWire

/// One direction of one connection.
struct FlowKey: Hashable {
    var source: Endpoint
    var destination: Endpoint
    var reversed: FlowKey { FlowKey(source: destination, destination: source) }
}

/// What one end has sent and seen on a connection.
struct FlowHalf {
    var initial: SequenceNumber?
    /// The number after the highest one sent.
    var next: SequenceNumber?
    /// Sequence numbers used so far: they may be more than 2³².
    var octets = 0
    /// The number after the FIN.
    var finEnd: SequenceNumber?
    /// The highest acknowledgment sent.
    var acknowledged: SequenceNumber?
    /// The window last advertised, in octets.
    var window: Int?
    var scale = 0
    var offeredScale: Int?
    /// Whether this end sent a SYN without ACK: it opened actively.
    var sentPlainSYN = false
    var handshakeAcks = 0
    /// Whether the last of them was lost.
    var handshakeAckLost = false
    /// When each kind of thing was last sent: the key is the sequence number and the length.
    var lastSent: [UInt64: (count: Int, time: Instant)] = [:]
    /// The last segment that arrived here.
    var lastArrival: Int?
    /// Whether the acknowledgment of the peer's FIN was sent, and whether one of them arrived.
    var finAcksSent = 0
    var finAcksDelivered = 0
    /// Whether the connection before this one had the same addresses and ports.
    var isReused = false

    mutating func count(_ segment: TracedSegment) -> (repetitions: Int, elapsed: Duration) {
        let kind = UInt64(segment.header.flags.contains(.syn) ? 1 : segment.header.flags.contains(.fin) ? 2 : 0)
        let key = UInt64(segment.header.sequence.rawValue) &<< 32 | UInt64(min(segment.length, 0xFFFF)) &<< 8 | kind
        let before = lastSent[key]
        lastSent[key] = ((before?.count ?? 0) + 1, segment.sent)
        guard let before else { return (0, .zero) }
        return (before.count, segment.sent - before.time)
    }
}
