// What RFC 6724 asks of an address.
extension IPAddress {
    /// RFC 6724 §3.1, with §3.2 for IPv4: 2 is link-local, 5 site-local, 14 global; a multicast address names its own.
    public var scope: UInt8 {
        if isIPv4 { return isLoopback || isLinkLocal ? 2 : 14 }
        if isMulticast { return UInt8(truncatingIfNeeded: high &>> 48 & 0xF) }
        if isLinkLocal || isLoopback { return 2 }
        return high &>> 54 == 0xFEC0 &>> 6 ? 5 : 14
    }

    /// 169.254.0.0/16 or fe80::/10.
    public var isLinkLocal: Bool { isIPv4 ? ipv4Bits &>> 16 == 0xA9FE : high &>> 54 == 0xFE80 &>> 6 }

    /// RFC 6724 §2.1, the default policy table's label.
    public var policyLabel: UInt8 {
        if isIPv4 { return 4 }
        if isLoopback { return 0 }
        if high &>> 57 == 0xFC &>> 1 { return 13 }
        switch high &>> 48 {
        case 0x2002: return 2
        case 0x3FFE: return 12
        default: break
        }
        if high &>> 32 == 0x2001_0000 { return 5 }
        if high &>> 54 == 0xFEC0 &>> 6 { return 11 }
        return high == 0 && low &>> 32 == 0 ? 3 : 1
    }

    /// Bits that both, of one family, have in common from the first on.
    public func commonPrefixLength(with other: IPAddress) -> Int {
        guard isIPv4 == other.isIPv4 else { return 0 }
        let high = self.high ^ other.high
        let common = high != 0 ? high.leadingZeroBitCount : 64 &+ (low ^ other.low).leadingZeroBitCount
        return isIPv4 ? common &- 96 : common
    }
}
