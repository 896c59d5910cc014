/// Why a packet was not taken. Each is a counter of the stack; a packet off the wire causes nothing worse.
public enum PacketFault: UInt8, Error, Sendable, CaseIterable {
    /// Fewer octets than the header needs.
    case truncated
    /// Neither IPv4 nor IPv6.
    case badVersion
    /// A header length below the minimum or past the packet's end.
    case badHeaderLength
    /// A total length that the packet does not hold.
    case badTotalLength
    /// A checksum that does not match.
    case badChecksum
    /// A TTL or hop limit of zero (RFC 1122 §3.2.1.7).
    case hopLimitExceeded
    /// A source that no host may send from (RFC 1122 §3.2.1.3).
    case martianSource
    /// A destination that is not ours.
    case notForUs
    /// Broadcast or multicast, to which TCP does not answer (RFC 9293 MUST-57).
    case notUnicast
    /// A transport protocol that is not spoken here.
    case unknownProtocol
    /// An IPv6 extension header or IPv4 option that must not be passed over.
    case badExtension
    /// A TCP option whose length is impossible (RFC 9293 MUST-7).
    case badOption
    /// A port of zero (RFC 6335 §6).
    case portZero
    /// Source and destination are one endpoint, and no such connection exists.
    case land
    /// An ICMP message too short, or that quotes too little.
    case badICMP
    /// A segment that no connection and no listener wanted, and that RFC 9293 §3.10.7 answers with nothing.
    case noConnection
    /// A UDP length below the header's or past the packet's end.
    case badDatagramLength
    /// A UDP datagram that no socket wanted.
    case noSocket
    /// The UDP socket's queue was full, or that of all together.
    case datagramQueueFull
    /// Room was wanted for it, and the budget had none.
    case noMemory
    /// The listener's queue was full.
    case queueFull
    /// A fragment that is empty, or one before the last whose length is no multiple of eight (RFC 8200 §4.5).
    case fragmentLength
    /// A fragment past the 65,535 octets a datagram may have (RFC 8200 §4.5).
    case fragmentTooLong
    /// A first fragment without the whole transport header, or with a header before it that must not be passed over
    /// (RFC 7112 §5).
    case fragmentHeader
    /// A fragment that overlaps another, or belongs to a datagram two of whose fragments did: all of it is dropped (RFC 5722 §4).
    case fragmentOverlap
    /// A fragment that disagrees with the others about where the datagram ends or about congestion, or a later one of such
    /// a datagram.
    case fragmentMismatch
    /// A fragment that was there already.
    case fragmentDuplicate
    /// A fragment of a datagram of more fragments than are taken.
    case tooManyFragments
    /// A datagram whose fragments did not all come in time; counts once a datagram (RFC 1122 §3.3.2).
    case fragmentTimeout
    /// A datagram that gave way to other fragments because too much waited; counts once a datagram.
    case fragmentEvicted

    /// A few words for a person.
    public var explanation: String {
        switch self {
        case .truncated: "shorter than its header"
        case .badVersion: "neither IPv4 nor IPv6"
        case .badHeaderLength: "impossible header length"
        case .badTotalLength: "impossible total length"
        case .badChecksum: "wrong checksum"
        case .hopLimitExceeded: "hop limit of zero"
        case .martianSource: "source address that no host may use"
        case .notForUs: "addressed to another host"
        case .notUnicast: "addressed to broadcast or multicast"
        case .unknownProtocol: "a transport protocol not spoken here"
        case .badExtension: "an IP option or extension header that cannot be passed over"
        case .badOption: "a TCP option of impossible length"
        case .portZero: "port zero"
        case .land: "source and destination are the same"
        case .badICMP: "an ICMP message too short"
        case .noConnection: "no connection"
        case .badDatagramLength: "impossible datagram length"
        case .noSocket: "no UDP socket"
        case .datagramQueueFull: "the UDP socket's queue is full"
        case .noMemory: "no memory left in the budget"
        case .queueFull: "the listener's queue is full"
        case .fragmentLength: "a fragment of impossible length"
        case .fragmentTooLong: "a fragment past 65,535 octets"
        case .fragmentHeader: "a first fragment without all headers"
        case .fragmentOverlap: "fragments that overlap"
        case .fragmentMismatch: "fragments that disagree"
        case .fragmentDuplicate: "a fragment that was there already"
        case .tooManyFragments: "a datagram of too many fragments"
        case .fragmentTimeout: "fragments that waited too long for the others"
        case .fragmentEvicted: "fragments that gave way to others"
        }
    }
}
