import TCPWire

/// Identifications of packets that may be cut (RFC 6864 §4.2), or are (RFC 8200 §4.5): no two of one source and destination
/// at a time are the same, and one peer's tell nothing about another's traffic (RFC 7739 §5.3).
struct Identifications {
    private var counters: InlineArray<16, UInt32> = .init(repeating: 0)

    /// The next for a packet to this peer, of which IPv4 takes the lower half; one that is cut into `segments` by the link
    /// takes as many.
    mutating func next(_ key: FlowKey, _ secret: StackSecret, segments: Int) -> UInt32 {
        // Whatever the ports: fragments do not have them.
        let pair = FlowKey(remote: key.remote, remotePort: 0, local: key.local, localPort: 0)
        let index = Int(pair.hash(secret) % 16)
        let value = counters[index]
        counters[index] = value &+ UInt32(truncatingIfNeeded: max(segments, 1))
        return value &+ UInt32(truncatingIfNeeded: pair.digest(secret, salt: 5))
    }
}
