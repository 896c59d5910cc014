/// Transport protocol numbers (IANA).
public enum IPProtocol {
    /// ICMP.
    public static let icmp: UInt8 = 1
    /// TCP.
    public static let tcp: UInt8 = 6
    /// UDP.
    public static let udp: UInt8 = 17
    /// ICMPv6.
    public static let icmpv6: UInt8 = 58
}

/// What an IPv4 or IPv6 header says, in one shape for both.
public struct IPHeader: Sendable {
    /// Where it comes from.
    public var source: IPAddress
    /// Where it goes.
    public var destination: IPAddress
    /// The transport protocol, extension headers passed over.
    public var protocolNumber: UInt8
    /// TTL or hop limit.
    public var hopLimit: UInt8
    /// DSCP (upper six bits) and ECN (lower two).
    public var trafficClass: UInt8
    /// Octets before the transport header.
    public var headerLength: Int
    /// Octets of the whole packet by its own account; padding behind it is not part of it.
    public var totalLength: Int
    /// Which part of a datagram this is; `nil` for a whole packet, atomic fragments (RFC 6946) included. IPv4 options and
    /// the IPv6 headers in front of the fragment header are part of `headerLength`, the rest is the datagram's.
    public var fragment: IPFragment?
    /// What fragments of this IPv4 packet are known by; `nil` when it may not be cut: DF is set (RFC 6864 §4.1).
    public var identification: UInt16?

    /// Whether this is one fragment of several.
    public var isFragment: Bool { fragment != nil }

    /// A header to send; lengths are filled in when it is written.
    public init(
        source: IPAddress, destination: IPAddress, protocolNumber: UInt8, hopLimit: UInt8 = 64, trafficClass: UInt8 = 0
    ) {
        self.source = source
        self.destination = destination
        self.protocolNumber = protocolNumber
        self.hopLimit = hopLimit
        self.trafficClass = trafficClass
        headerLength = source.isIPv4 ? 20 : 40
        totalLength = headerLength
    }

    /// Reads the header of a packet that starts at the IP version octet.
    ///
    /// - Throws: `PacketFault` by what is wrong: `truncated`, `badVersion`, `badHeaderLength`, `badTotalLength`,
    ///   `badChecksum`, `badExtension`, and for mapped IPv4 addresses in an IPv6 header `martianSource`, `notForUs`.
    public init(parsing packet: RawSpan) throws(PacketFault) {
        guard packet.byteCount >= 20 else { throw .truncated }
        switch packet.u8(0) &>> 4 {
        case 4: try self.init(ipv4: packet)
        case 6: try self.init(ipv6: packet)
        default: throw .badVersion
        }
    }

    // RFC 791 §3.1
    private init(ipv4 packet: RawSpan) throws(PacketFault) {
        let headerLength = Int(packet.u8(0) & 0xF) * 4
        guard headerLength >= 20, headerLength <= packet.byteCount else { throw .badHeaderLength }
        let totalLength = Int(packet.be16(2))
        guard totalLength >= headerLength, totalLength <= packet.byteCount else { throw .badTotalLength }
        var checksum = Checksum()
        checksum.add(packet.extracting(0..<headerLength))
        guard checksum.value == 0 else { throw .badChecksum }
        if headerLength > 20, IPHeader.badOption(packet.extracting(20..<headerLength)) != nil { throw .badExtension }
        source = IPAddress(ipv4: packet.be32(12))
        destination = IPAddress(ipv4: packet.be32(16))
        protocolNumber = packet.u8(9)
        hopLimit = packet.u8(8)
        trafficClass = packet.u8(1)
        self.headerLength = headerLength
        self.totalLength = totalLength
        // More fragments, or an offset: the reserved bit and DF lie outside this mask.
        let field = packet.be16(6) & 0x3FFF
        if field != 0 {
            fragment = IPFragment(
                identification: UInt32(packet.be16(4)), offset: Int(field & 0x1FFF) * 8, hasMore: field & 0x2000 != 0)
        }
        identification = packet.be16(6) & 0x4000 == 0 ? packet.be16(4) : nil
    }

    /// Options are passed over (RFC 9293 MUST-50), source routes too: none is followed or reversed. Their lengths must add
    /// up: the octet of the first that does not, counted from the first option.
    static func badOption(_ options: RawSpan) -> Int? {
        var offset = 0
        while offset < options.byteCount {
            let type = options.u8(offset)
            if type == 0 { return nil }
            if type == 1 {
                offset += 1
                continue
            }
            guard offset + 1 < options.byteCount else { return offset }
            let length = Int(options.u8(offset + 1))
            guard length >= 2, offset + length <= options.byteCount else { return offset + 1 }
            offset += length
        }
        return nil
    }

    // RFC 8200 §3, §4
    private init(ipv6 packet: RawSpan) throws(PacketFault) {
        guard packet.byteCount >= 40 else { throw .truncated }
        let totalLength = 40 + Int(packet.be16(4))
        guard totalLength <= packet.byteCount else { throw .badTotalLength }
        source = IPAddress(high: packet.be64(8), low: packet.be64(16))
        destination = IPAddress(high: packet.be64(24), low: packet.be64(32))
        // A mapped address inside an IPv6 header would pass for IPv4 (RFC 4942 §2.2).
        guard !source.isIPv4 else { throw .martianSource }
        guard !destination.isIPv4 else { throw .notForUs }
        hopLimit = packet.u8(7)
        trafficClass = UInt8(truncatingIfNeeded: packet.be16(0) &>> 4)
        self.totalLength = totalLength
        var chain = IPv6Chain(next: packet.u8(6), offset: 40, position: 0)
        fragment = try chain.walk(packet, end: totalLength)
        protocolNumber = chain.next
        headerLength = chain.offset
    }

    /// The octet of `packet`, which this header was read from, that names the transport protocol.
    public func protocolField(in packet: RawSpan) -> Int {
        guard !source.isIPv4 else { return 9 }
        var chain = IPv6Chain(next: packet.u8(6), offset: 40, position: 0)
        do throws(PacketFault) { _ = try chain.walk(packet, end: totalLength) } catch { return 6 }
        return chain.nextField
    }

    /// Writes the header for `payloadLength` octets of transport at the start of `packet`, and says how long it is:
    /// 20 or 40 octets, 48 for a fragment of IPv6. IPv4 packets without an identification are atomic: DF is set (RFC 6864 §4.1). A length that
    /// its field cannot hold is written as zero: such a packet only crosses a link that knows its length.
    @discardableResult
    public func write(to packet: inout MutableRawSpan, payloadLength: Int) -> Int {
        if source.isIPv4 {
            packet.put16(0x4500 | UInt16(trafficClass), at: 0)
            packet.put16(UInt16(exactly: 20 + payloadLength) ?? 0, at: 2)
            packet.put32(
                fragment?.ipv4Field ?? identification.map { UInt32($0) &<< 16 } ?? 0x4000, at: 4)
            packet.put16(UInt16(hopLimit) &<< 8 | UInt16(protocolNumber), at: 8)
            packet.put16(0, at: 10)
            packet.put32(source.ipv4Bits, at: 12)
            packet.put32(destination.ipv4Bits, at: 16)
            var checksum = Checksum()
            checksum.add(packet.bytes.extracting(0..<20))
            packet.put16(checksum.value, at: 10)
            return 20
        }
        packet.put32(0x6000_0000 | UInt32(trafficClass) &<< 20, at: 0)
        let fragmentHeader = isFragment ? 8 : 0
        packet.put16(UInt16(exactly: fragmentHeader + payloadLength) ?? 0, at: 4)
        packet.put16(UInt16(isFragment ? IPv6Chain.fragment : protocolNumber) &<< 8 | UInt16(hopLimit), at: 6)
        packet.put64(source.high, at: 8)
        packet.put64(source.low, at: 16)
        packet.put64(destination.high, at: 24)
        packet.put64(destination.low, at: 32)
        if let fragment {
            packet.put32(UInt32(protocolNumber) &<< 24 | UInt32(fragment.ipv6Field), at: 40)
            packet.put32(fragment.identification, at: 44)
        }
        return 40 + fragmentHeader
    }
}
