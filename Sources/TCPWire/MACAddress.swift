/// The address of an Ethernet interface, or of a group of them: 48 bits (IEEE 802).
public struct MACAddress: Hashable, Sendable {
    /// The 48 bits, the first octet of the wire in the highest eight; the other 16 are zero.
    public let rawValue: UInt64

    /// An address from its 48 bits; what stands above them is ignored.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue & 0xFFFF_FFFF_FFFF }

    /// An address from its six octets, in the order of the wire.
    public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8, _ e: UInt8, _ f: UInt8) {
        let high = UInt64(a) &<< 40 | UInt64(b) &<< 32 | UInt64(c) &<< 24
        rawValue = high | UInt64(d) &<< 16 | UInt64(e) &<< 8 | UInt64(f)
    }

    /// All interfaces of the link.
    public static var broadcast: MACAddress { MACAddress(rawValue: .max) }

    /// The address that frames to an IP multicast group have (RFC 1112 §6.4, RFC 2464 §7).
    public init(group: IPAddress) {
        if group.isIPv4 {
            self.init(rawValue: 0x0100_5E00_0000 | UInt64(group.ipv4Bits & 0x7F_FFFF))
        } else {
            self.init(rawValue: 0x3333_0000_0000 | group.low & 0xFFFF_FFFF)
        }
    }

    /// Whether it names more than one interface; broadcast is among these.
    @inlinable public var isMulticast: Bool { rawValue & 0x0100_0000_0000 != 0 }

    /// Whether an interface may have it: no group, and not zero.
    @inlinable public var isUnicast: Bool { !isMulticast && rawValue != 0 }

    /// The modified EUI-64 interface identifier (RFC 4291 appendix A).
    public var interfaceIdentifier: UInt64 {
        (rawValue &>> 24) &<< 40 & 0xFFFF_FF00_0000_0000 ^ 0x0200_0000_0000_0000 | 0xFF_FE00_0000
            | rawValue & 0xFF_FFFF
    }
}

extension MACAddress: CustomStringConvertible {
    /// Reads six octets of one or two hexadecimal digits with colons or hyphens between them; `nil` for anything else.
    public init?(_ text: some StringProtocol) {
        var value: UInt64 = 0
        var digits = 0
        var octets = 0
        for character in text.utf8 {
            if character == UInt8(ascii: ":") || character == UInt8(ascii: "-") {
                guard digits > 0, octets < 5 else { return nil }
                octets += 1
                digits = 0
                value = value &<< 8
                continue
            }
            guard let digit = MACAddress.digit(character), digits < 2 else { return nil }
            // The octet at hand is the lowest eight bits.
            value = value & ~0xFF | (value & 0xF) &<< 4 | digit
            digits += 1
        }
        guard octets == 5, digits > 0 else { return nil }
        self.init(rawValue: value)
    }

    private static func digit(_ character: UInt8) -> UInt64? {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(character - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(character - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(character - UInt8(ascii: "A") + 10)
        default: nil
        }
    }

    /// Six octets of two lowercase digits, colons between them.
    public var description: String {
        var text = ""
        for index in 0..<6 {
            if index > 0 { text += ":" }
            let octet = UInt8(truncatingIfNeeded: rawValue &>> UInt64(40 - 8 * index))
            if octet < 16 { text += "0" }
            text += String(octet, radix: 16)
        }
        return text
    }
}

extension RawSpan {
    /// The Ethernet address at `offset`.
    @inlinable @inline(__always)
    public func mac(_ offset: Int) -> MACAddress {
        MACAddress(rawValue: UInt64(be16(offset)) &<< 32 | UInt64(be32(offset &+ 2)))
    }
}

extension MutableRawSpan {
    /// Writes an Ethernet address.
    @inlinable @inline(__always)
    public mutating func put(_ address: MACAddress, at offset: Int) {
        put16(UInt16(truncatingIfNeeded: address.rawValue &>> 32), at: offset)
        put32(UInt32(truncatingIfNeeded: address.rawValue), at: offset &+ 2)
    }
}
