extension IPAddress {
    /// `ff02::1`: every node of the link.
    public static var allNodes: IPAddress { IPAddress(high: 0xFF02_0000_0000_0000, low: 1) }

    /// `ff02::2`: every router of the link.
    public static var allRouters: IPAddress { IPAddress(high: 0xFF02_0000_0000_0000, low: 2) }

    /// `ff02::16`: every router that listens to multicast listener reports (RFC 3810 §5.2.14).
    public static var listenerReports: IPAddress { IPAddress(high: 0xFF02_0000_0000_0000, low: 0x16) }

    /// The solicited-node group of an IPv6 address (RFC 4291 §2.7.1).
    public var solicitedNode: IPAddress {
        IPAddress(high: 0xFF02_0000_0000_0000, low: 0x1_FF00_0000 | low & 0xFF_FFFF)
    }

    /// Whether this is a solicited-node group.
    public var isSolicitedNode: Bool { high == 0xFF02_0000_0000_0000 && low &>> 24 == 0x1FF }

    /// `::`.
    public static var unspecifiedIPv6: IPAddress { IPAddress(high: 0, low: 0) }
}

extension MutableRawSpan {
    /// Writes an IPv6 address.
    @inlinable
    public mutating func put(ipv6 address: IPAddress, at offset: Int) {
        put64(address.high, at: offset)
        put64(address.low, at: offset &+ 8)
    }
}

extension RawSpan {
    /// The IPv6 address at `offset`.
    @inlinable
    public func ipv6(_ offset: Int) -> IPAddress { IPAddress(high: be64(offset), low: be64(offset &+ 8)) }
}
