/// What an ICMP error of this host's own says of a packet that came (RFC 792, RFC 4443 §3).
public enum ICMPProblem: Sendable, Equatable {
    /// Nobody here takes datagrams at that port.
    case portUnreachable
    /// The transport protocol is not spoken here; `at` is the octet of the packet that names it.
    case unknownProtocol(at: Int)
    /// A header field has a value that cannot be.
    case headerField(at: Int)
    /// An IPv6 option that is not known, and must not be passed over.
    case unknownOption(at: Int)
    /// The first fragment has not all headers (RFC 7112 §5).
    case incompleteChain
    /// Not all fragments came in time.
    case reassemblyTimeExceeded

    /// Type and code in the family's ICMP.
    public func typeAndCode(isIPv4: Bool) -> (type: UInt8, code: UInt8) {
        switch self {
        case .portUnreachable: isIPv4 ? (3, 3) : (1, 4)
        case .unknownProtocol: isIPv4 ? (3, 2) : (4, 1)
        case .headerField: isIPv4 ? (12, 0) : (4, 0)
        case .unknownOption: isIPv4 ? (12, 0) : (4, 2)
        case .incompleteChain: isIPv4 ? (12, 0) : (4, 3)
        case .reassemblyTimeExceeded: isIPv4 ? (11, 1) : (3, 1)
        }
    }

    /// What stands behind the checksum: the pointer of a parameter problem, else zero.
    public func parameter(isIPv4: Bool) -> UInt32 {
        switch self {
        case .unknownProtocol(let offset) where !isIPv4: UInt32(clamping: offset)
        case .headerField(let offset), .unknownOption(let offset):
            isIPv4 ? UInt32(clamping: offset) &<< 24 : UInt32(clamping: offset)
        default: 0
        }
    }
}

/// What is to be told to the sender of a packet whose headers could not be read to their end.
public struct HeaderProblem: Sendable, Equatable {
    /// What and where.
    public var problem: ICMPProblem
    /// The packet's source.
    public var source: IPAddress
    /// The packet's destination.
    public var destination: IPAddress
    /// The transport protocol, as far as the headers tell it.
    public var protocolNumber: UInt8
    /// Where the transport header starts.
    public var transportOffset: Int

    /// Reads the headers of a packet that was refused once more, for the place that the refusal was about; `nil` where that is
    /// not to be told: the packet is cut off, its fixed header is wrong, or RFC 8200 §4.2 says so.
    public init?(in packet: RawSpan) {
        guard packet.byteCount >= 20 else { return nil }
        if packet.u8(0) &>> 4 == 4 {
            let length = Int(packet.u8(0) & 0xF) * 4
            guard length > 20, length <= packet.byteCount, packet.be16(6) & 0x1FFF == 0 else { return nil }
            var checksum = Checksum()
            checksum.add(packet.extracting(0..<length))
            guard checksum.value == 0,
                let offset = IPHeader.badOption(packet.extracting(20..<length))
            else { return nil }
            problem = .headerField(at: 20 + offset)
            source = IPAddress(ipv4: packet.be32(12))
            destination = IPAddress(ipv4: packet.be32(16))
            protocolNumber = packet.u8(9)
            transportOffset = length
            return
        }
        guard packet.u8(0) &>> 4 == 6, packet.byteCount >= 40 else { return nil }
        let end = 40 + Int(packet.be16(4))
        guard end <= packet.byteCount else { return nil }
        source = IPAddress(high: packet.be64(8), low: packet.be64(16))
        destination = IPAddress(high: packet.be64(24), low: packet.be64(32))
        (protocolNumber, transportOffset) = HeaderProblem.transport(packet, end: end)
        var chain = IPv6Chain(next: packet.u8(6), offset: 40, position: 0)
        guard let found = HeaderProblem.inChain(&chain, packet, end: end) else { return nil }
        problem = found
    }

    private static func inChain(_ chain: inout IPv6Chain, _ packet: RawSpan, end: Int) -> ICMPProblem? {
        let fragment: IPFragment?
        do throws(PacketFault) { fragment = try chain.walk(packet, end: end) } catch { return chain.problem }
        guard let fragment else { return nil }
        let length = end - chain.offset
        // RFC 8200 §4.5.
        if fragment.hasMore, length % 8 != 0 { return .headerField(at: 4) }
        if fragment.offset + length > 65_535 { return .headerField(at: chain.offset - 6) }
        if fragment.offset > 0 { return nil }
        return .incompleteChain
    }

    /// Passes over the headers by their lengths alone.
    private static func transport(_ packet: RawSpan, end: Int) -> (number: UInt8, offset: Int) {
        var next = packet.u8(6)
        var offset = 40
        while [0, 43, IPv6Chain.fragment, 60].contains(next), end - offset >= 8 {
            let length = next == IPv6Chain.fragment ? 8 : (Int(packet.u8(offset + 1)) + 1) * 8
            next = packet.u8(offset)
            offset += length
        }
        return (next, min(offset, end))
    }
}
