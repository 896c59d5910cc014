/// The headers between the fixed IPv6 header and the transport's (RFC 8200 §4), as far as they were walked.
struct IPv6Chain {
    /// The number of a fragment header.
    static let fragment: UInt8 = 44

    /// The number of the header at `offset`.
    var next: UInt8
    /// Octets of the packet before it.
    var offset: Int
    /// Headers that were passed over.
    var position: Int
    /// The octet that names the header at `offset`.
    var nextField = 6
    /// What the sender of a chain that could not be walked is told, and where; `nil` is nothing.
    var problem: ICMPProblem?

    init(next: UInt8, offset: Int, position: Int) {
        self.next = next
        self.offset = offset
        self.position = position
    }

    /// Walks to the transport header, or to the end of a fragment header that is not atomic: what follows it belongs to
    /// the datagram.
    ///
    /// - Throws: `badExtension` where the chain ends past `end`, is too long, or must not be passed over.
    mutating func walk(_ packet: RawSpan, end: Int) throws(PacketFault) -> IPFragment? {
        // RFC 8504 §5.3: a host may limit the chain; eight headers are more than any honest packet has.
        while position <= 8 {
            switch next {
            case 0, 60:  // hop-by-hop (only first) and destination options
                guard next == 60 || position == 0 else {
                    // RFC 8200 §4.3: anywhere else it is as good as unknown.
                    problem = .unknownProtocol(at: nextField)
                    throw .badExtension
                }
                guard end - offset >= 8 else { throw .badExtension }
                let length = (Int(packet.u8(offset + 1)) + 1) * 8
                guard length <= end - offset else { throw .badExtension }
                try walkOptions(packet.extracting(offset + 2..<offset + length))
                pass(packet, length)
            case 43:  // routing: passed over when nothing is left to visit (RFC 8200 §4.4)
                guard end - offset >= 8 else { throw .badExtension }
                guard packet.u8(offset + 3) == 0 else {
                    problem = .headerField(at: offset + 2)
                    throw .badExtension
                }
                let length = (Int(packet.u8(offset + 1)) + 1) * 8
                guard length <= end - offset else { throw .badExtension }
                pass(packet, length)
            case IPv6Chain.fragment:
                guard end - offset >= 8 else { throw .badExtension }
                let field = packet.be16(offset + 2)
                let identification = packet.be32(offset + 4)
                pass(packet, 8)
                // An atomic one is a whole packet (RFC 6946); the two reserved bits say nothing.
                guard field & 0xFFF9 != 0 else { continue }
                return IPFragment(
                    identification: identification, offset: Int(field & 0xFFF8), hasMore: field & 1 != 0)
            default:
                return nil
            }
        }
        throw .badExtension
    }

    private mutating func pass(_ packet: RawSpan, _ length: Int) {
        next = packet.u8(offset)
        nextField = offset
        offset += length
        position += 1
    }

    /// RFC 8200 §4.2: the two highest bits of an unknown option say whether the packet may be taken.
    private mutating func walkOptions(_ options: RawSpan) throws(PacketFault) {
        var position = 0
        while position < options.byteCount {
            let type = options.u8(position)
            if type == 0 {
                position += 1
                continue
            }
            guard position + 1 < options.byteCount else { throw .badExtension }
            let length = Int(options.u8(position + 1)) + 2
            guard position + length <= options.byteCount else { throw .badExtension }
            guard type == 1 || type &>> 6 == 0 else {
                if type &>> 6 >= 2 { problem = .unknownOption(at: offset + 2 + position) }
                throw .badExtension
            }
            position += length
        }
    }
}
