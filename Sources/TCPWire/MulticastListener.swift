/// What a router asks of those that listen to multicast groups (RFC 3810 §5.1, RFC 2710 §3).
public struct ListenerQuery: Sendable, Equatable {
    /// The ICMPv6 type.
    public static var type: UInt8 { 130 }

    /// The group it asks about; `::` is all.
    public var group: IPAddress
    /// The longest an answer may wait, in milliseconds.
    public var maximumDelay: Int64
    /// Whether it is of the first version, and wants answers of that (RFC 3810 §8.1).
    public var isFirstVersion: Bool

    /// Reads a query whose IPv6 header was read from `packet`.
    ///
    /// - Throws: `badListenerQuery`.
    public init(parsing packet: RawSpan, _ header: IPHeader) throws(EthernetFault) {
        let body = packet.extracting(header.headerLength..<header.totalLength)
        var checksum = Checksum()
        checksum.add(body)
        checksum.addPseudoHeader(
            source: header.source, destination: header.destination, protocol: IPProtocol.icmpv6, length: body.byteCount)
        // RFC 3810 §5.1.14: a link-local source, a hop limit of one, and a router alert, which stands in a hop-by-hop header.
        guard checksum.value == 0, header.hopLimit == 1, header.source.isLinkLocal, packet.u8(6) == 0,
            body.byteCount == 24 || body.byteCount >= 28, header.fragment == nil
        else { throw .badListenerQuery }
        group = body.ipv6(8)
        guard group.isUnspecified || group.isMulticast else { throw .badListenerQuery }
        // RFC 3810 §8.1: by its length.
        isFirstVersion = body.byteCount == 24
        let code = Int64(body.be16(4))
        // RFC 3810 §5.1.3: from 32,768 on it is a number with an exponent.
        maximumDelay =
            isFirstVersion || code < 32_768 ? code : (code & 0xFFF | 0x1000) &<< ((code &>> 12 & 7) &+ 3)
    }
}

/// What a host tells of the groups it listens to (RFC 3810 §5.2), always without a list of sources.
public enum ListenerReport {
    /// What is told of a group.
    public enum Record: UInt8, Sendable {
        /// It is listened to: the answer to a query (MODE_IS_EXCLUDE).
        case isListening = 2
        /// It is listened to no more (CHANGE_TO_INCLUDE_MODE).
        case leaves = 3
        /// It is listened to from now on (CHANGE_TO_EXCLUDE_MODE).
        case joins = 4
    }

    /// Octets of a packet that tells of `count` groups.
    public static func length(count: Int) -> Int { 40 &+ 8 &+ 8 &+ 20 &* count }

    /// Writes a report about `groups` at `offset` (RFC 3810 §5.2).
    public static func write(
        _ record: Record, of groups: [IPAddress], from source: IPAddress, to frame: inout MutableRawSpan, at offset: Int
    ) {
        let body = writeHeaders(
            from: source, to: .listenerReports, length: 8 &+ 20 &* groups.count, &frame, offset)
        frame.put64(143 &<< 56 | UInt64(UInt16(truncatingIfNeeded: groups.count)), at: body)
        for index in 0..<groups.count {
            let start = body &+ 8 &+ 20 &* index
            frame.put32(UInt32(record.rawValue) &<< 24, at: start)
            frame.put(ipv6: groups[index], at: start &+ 4)
        }
        finish(from: source, to: .listenerReports, body..<body &+ 8 &+ 20 &* groups.count, &frame)
    }

    /// Octets of a packet of the first version.
    public static var firstVersionLength: Int { 40 &+ 8 &+ 24 }

    /// Writes a report of the first version, or its "done" (RFC 2710 §3).
    public static func writeFirstVersion(
        of group: IPAddress, leaves: Bool, from source: IPAddress, to frame: inout MutableRawSpan, at offset: Int
    ) {
        // RFC 2710 §4, §5: a report goes to the group itself, "done" to the routers.
        let destination: IPAddress = leaves ? .allRouters : group
        let body = writeHeaders(from: source, to: destination, length: 24, &frame, offset)
        frame.put64(leaves ? 132 &<< 56 : 131 &<< 56, at: body)
        frame.put(ipv6: group, at: body &+ 8)
        finish(from: source, to: destination, body..<body &+ 24, &frame)
    }

    /// RFC 3810 §5: a hop limit of one, and a router alert (RFC 2711) in a hop-by-hop header.
    private static func writeHeaders(
        from source: IPAddress, to destination: IPAddress, length: Int, _ frame: inout MutableRawSpan, _ offset: Int
    ) -> Int {
        frame.put64(0x6000_0000_0000_0001 | UInt64(UInt16(truncatingIfNeeded: 8 &+ length)) &<< 16, at: offset)
        frame.put(ipv6: source, at: offset &+ 8)
        frame.put(ipv6: destination, at: offset &+ 24)
        // Next header, length, router alert "MLD", two octets of padding.
        frame.put64(0x3A00_0502_0000_0100, at: offset &+ 40)
        return offset &+ 48
    }

    private static func finish(
        from source: IPAddress, to destination: IPAddress, _ body: Range<Int>, _ frame: inout MutableRawSpan
    ) {
        var checksum = Checksum()
        checksum.add(frame.bytes.extracting(body))
        checksum.addPseudoHeader(
            source: source, destination: destination, protocol: IPProtocol.icmpv6, length: body.count)
        frame.put16(checksum.value, at: body.lowerBound &+ 2)
    }
}
