/// An IPv4 or IPv6 address in 16 octets. An IPv4 address is kept in the mapped form `::ffff:a.b.c.d`, so one table and one
/// comparison serve both families; the mapped form never appears on the wire.
public struct IPAddress: Hashable, Sendable {
    /// The first 64 bits, in host byte order.
    public var high: UInt64
    /// The last 64 bits, in host byte order.
    public var low: UInt64

    /// An IPv6 address from its two halves.
    @inlinable public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// An IPv4 address from its 32 bits in host byte order: `0x0A000001` is 10.0.0.1.
    @inlinable public init(ipv4 bits: UInt32) { self.init(high: 0, low: 0xFFFF_0000_0000 | UInt64(bits)) }

    /// An IPv4 address from its four octets.
    @inlinable public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
        self.init(ipv4: UInt32(a) &<< 24 | UInt32(b) &<< 16 | UInt32(c) &<< 8 | UInt32(d))
    }

    /// Whether this is an IPv4 address.
    @inlinable public var isIPv4: Bool { high == 0 && low &>> 32 == 0xFFFF }

    /// The 32 bits of an IPv4 address in host byte order.
    @inlinable public var ipv4Bits: UInt32 { UInt32(truncatingIfNeeded: low) }

    /// `0.0.0.0` or `::`.
    @inlinable public var isUnspecified: Bool { high == 0 && (low == 0 || low == 0xFFFF_0000_0000) }

    /// 127.0.0.0/8 or `::1`.
    @inlinable public var isLoopback: Bool {
        isIPv4 ? ipv4Bits &>> 24 == 127 : high == 0 && low == 1
    }

    /// 224.0.0.0/4 or ff00::/8.
    @inlinable public var isMulticast: Bool {
        isIPv4 ? ipv4Bits &>> 28 == 0xE : high &>> 56 == 0xFF
    }

    /// 255.255.255.255, the limited broadcast address.
    @inlinable public var isLimitedBroadcast: Bool { isIPv4 && ipv4Bits == 0xFFFF_FFFF }

    /// Whether a host may send from this address: neither unspecified, multicast nor broadcast, and for IPv4 not in 0/8 or
    /// 240/4 (RFC 1122 §3.2.1.3, RFC 4291 §2.7).
    public var isValidSource: Bool {
        if isIPv4 {
            let first = ipv4Bits &>> 24
            return first != 0 && first < 224
        }
        // A mapped address is no address on the wire (RFC 4291 §2.5.5.2); `::` and multicast are no sources.
        return !isUnspecified && !isMulticast
    }

    /// Bits of an address of this family: 32 or 128.
    public var bitWidth: Int { isIPv4 ? 32 : 128 }

    /// Whether the first `prefixLength` bits of both addresses, of the same family, are equal.
    public func shares(prefixLength: Int, with other: IPAddress) -> Bool {
        guard isIPv4 == other.isIPv4 else { return false }
        let length = prefixLength + (isIPv4 ? 96 : 0)
        if length <= 0 { return true }
        if length <= 64 { return (high ^ other.high) &>> UInt64(64 - length) == 0 }
        guard high == other.high else { return false }
        return length >= 128 ? low == other.low : (low ^ other.low) &>> UInt64(128 - length) == 0
    }
}

/// An address with its prefix length, as `10.0.0.1/24` or `fd00::1/64`.
public struct AddressPrefix: Hashable, Sendable {
    /// The whole address, host part included.
    public var address: IPAddress
    /// Bits of the prefix: 0...32 or 0...128.
    public var length: Int

    /// Makes a prefix; `length` is clamped to the family's width.
    public init(_ address: IPAddress, length: Int) {
        self.address = address
        self.length = min(max(length, 0), address.bitWidth)
    }

    /// Whether `other` lies in this prefix.
    public func contains(_ other: IPAddress) -> Bool { address.shares(prefixLength: length, with: other) }

    /// Whether `other` is the directed broadcast address of this IPv4 prefix.
    public func isBroadcast(_ other: IPAddress) -> Bool {
        guard address.isIPv4, other.isIPv4, length < 31, contains(other) else { return false }
        let host = UInt32.max &>> UInt32(length)
        return other.ipv4Bits & host == host
    }
}

/// An address and a port: one end of a connection.
public struct Endpoint: Hashable, Sendable {
    /// The address.
    public var address: IPAddress
    /// The port, in host byte order.
    public var port: UInt16

    /// Makes an endpoint.
    @inlinable public init(_ address: IPAddress, _ port: UInt16) {
        self.address = address
        self.port = port
    }
}
