import TCPWire

/// Identifications of IPv4 packets that may be cut (RFC 6864 §4.2): no two of one source and destination at a time are
/// the same, and one peer's tell nothing about another's traffic (RFC 7739 §3).
struct Identifications {
    private var counters: InlineArray<16, UInt16> = .init(repeating: 0)

    /// The next for a packet to this peer; one that is cut into `segments` by the link takes as many.
    mutating func next(_ key: FlowKey, _ secret: StackSecret, segments: Int) -> UInt16 {
        // Whatever the ports: fragments do not have them.
        let pair = FlowKey(remote: key.remote, remotePort: 0, local: key.local, localPort: 0)
        let index = Int(pair.hash(secret) % 16)
        let value = counters[index]
        counters[index] = value &+ UInt16(truncatingIfNeeded: max(segments, 1))
        return value &+ UInt16(truncatingIfNeeded: pair.digest(secret, salt: 5))
    }
}
