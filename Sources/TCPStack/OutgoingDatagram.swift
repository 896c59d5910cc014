import TCPWire

/// A datagram larger than its link takes, that leaves in fragments (RFC 791 §3.2, RFC 8200 §4.5): what has left, and what
/// the next one's header is.
struct OutgoingDatagram {
    /// The datagram's header; its `fragment` describes the next fragment.
    private var header: IPHeader
    /// Octets that have not left.
    private(set) var remaining: Int
    private let identification: UInt32
    private(set) var offset = 0

    /// A datagram of `length` octets behind the IP header.
    init(_ header: IPHeader, length: Int, identification: UInt32) {
        self.header = header
        self.identification = identification
        remaining = length
    }

    /// The header of the next fragment, in a packet of no more than `room` octets, and how many octets go with it; `nil`
    /// where not even eight do. The caller sends it.
    mutating func next(room: Int) -> (header: IPHeader, count: Int)? {
        let space = room &- (header.source.isIPv4 ? 20 : 48)
        let isLast = remaining <= space
        let count = isLast ? remaining : space & ~7
        guard count > 0 else { return nil }
        header.fragment = IPFragment(identification: identification, offset: offset, hasMore: !isLast)
        offset &+= count
        remaining &-= count
        return (header, count)
    }
}
