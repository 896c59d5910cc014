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
    /// A fragment.
    case fragment
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
    /// Room was wanted for it, and the budget had none.
    case noMemory
    /// The listener's queue was full.
    case queueFull

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
        case .fragment: "a fragment"
        case .unknownProtocol: "a transport protocol not spoken here"
        case .badExtension: "an IP option or extension header that cannot be passed over"
        case .badOption: "a TCP option of impossible length"
        case .portZero: "port zero"
        case .land: "source and destination are the same"
        case .badICMP: "an ICMP message too short"
        case .noConnection: "no connection"
        case .noMemory: "no memory left in the budget"
        case .queueFull: "the listener's queue is full"
        }
    }
}
