/// Which part of a datagram a fragment is (RFC 791 §3.2, RFC 8200 §4.5).
public struct IPFragment: Sendable, Equatable {
    /// What the fragments of one datagram have in common: 16 bits in IPv4, 32 in IPv6.
    public var identification: UInt32
    /// Octets of the datagram before this fragment's: a multiple of eight, 0...65,528.
    public var offset: Int
    /// Whether others follow: not set on the last.
    public var hasMore: Bool

    /// Describes a fragment.
    public init(identification: UInt32, offset: Int, hasMore: Bool) {
        self.identification = identification
        self.offset = offset
        self.hasMore = hasMore
    }

    /// Identification, flags and offset as they stand in an IPv4 header; DF is clear.
    var ipv4Field: UInt32 {
        identification &<< 16 | (hasMore ? 0x2000 : 0) | UInt32(truncatingIfNeeded: offset &>> 3) & 0x1FFF
    }

    /// Offset and flag as they stand in an IPv6 fragment header.
    var ipv6Field: UInt16 { UInt16(truncatingIfNeeded: offset) & 0xFFF8 | (hasMore ? 1 : 0) }
}

extension IPHeader {
    /// Octets that count towards the 65,535 of the datagram a fragment belongs to, besides the datagram's own: the IPv4
    /// header, or the IPv6 headers between the fixed one and the fragment header (RFC 8200 §4.5).
    public var fragmentOverhead: Int { source.isIPv4 ? headerLength : headerLength - 48 }

    /// Holds a fragment, whose header was read from `packet`, to what must be so of each by itself.
    ///
    /// - Throws: `fragmentLength`, `fragmentTooLong` or `fragmentHeader`.
    public func checkFragment(_ packet: RawSpan) throws(PacketFault) {
        guard let fragment else { return }
        // RFC 8200 §4.5, RFC 791 §3.2: only the last may end anywhere; one without octets is no part of anything.
        let length = totalLength - headerLength
        guard length > 0, !fragment.hasMore || length % 8 == 0 else { throw .fragmentLength }
        // RFC 8200 §4.5: the whole may not pass what its length field can say.
        guard fragmentOverhead + fragment.offset + length <= 65_535 else { throw .fragmentTooLong }
        guard fragment.offset == 0 else { return }
        // RFC 7112 §5, RFC 1858 §3: the first holds every header up to the transport's, and that one whole.
        var chain = IPv6Chain(next: protocolNumber, offset: headerLength, position: 1)
        if !source.isIPv4 {
            do throws(PacketFault) {
                guard try chain.walk(packet, end: totalLength) == nil else { throw .fragmentHeader }
            } catch {
                throw .fragmentHeader
            }
        }
        let rest = totalLength - chain.offset
        guard rest >= 8 else { throw .fragmentHeader }
        guard chain.next == IPProtocol.tcp else { return }
        guard rest >= 20, rest >= Int(packet.u8(chain.offset + 12) &>> 4) * 4 else { throw .fragmentHeader }
    }
}
