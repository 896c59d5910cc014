/// The Internet checksum (RFC 1071) as a running sum.
public struct Checksum: Sendable {
    /// The sum of 16-bit words in memory order, not folded yet.
    @usableFromInline var sum: UInt64 = 0

    /// An empty sum.
    @inlinable public init() {}

    /// Adds `bytes`, which must start at an even offset of what is summed.
    public mutating func add(_ bytes: RawSpan) {
        sum &+= sumOfWords(bytes)
    }

    /// Adds a 16-bit number as it stands on the wire.
    @inlinable public mutating func add(_ value: UInt16) { sum &+= UInt64(value.bigEndian) }

    /// Adds a 32-bit number as it stands on the wire.
    @inlinable public mutating func add(_ value: UInt32) { sum &+= UInt64(value.bigEndian) }

    /// Adds the pseudo-header of a transport segment (RFC 9293 §3.1, RFC 8200 §8.1).
    public mutating func addPseudoHeader(
        source: IPAddress, destination: IPAddress, protocol number: UInt8, length: Int
    ) {
        add(source)
        add(destination)
        add(UInt32(truncatingIfNeeded: length))
        add(UInt16(number))
    }

    mutating func add(_ address: IPAddress) {
        if address.isIPv4 {
            add(UInt32(truncatingIfNeeded: address.low))
        } else {
            add(UInt32(truncatingIfNeeded: address.high &>> 32))
            add(UInt32(truncatingIfNeeded: address.high))
            add(UInt32(truncatingIfNeeded: address.low &>> 32))
            add(UInt32(truncatingIfNeeded: address.low))
        }
    }

    /// The sum folded to 16 bits, not complemented: what a device that finishes the checksum wants in its field.
    public var folded: UInt16 {
        var folded = (sum & 0xFFFF_FFFF) &+ (sum &>> 32)
        folded = (folded & 0xFFFF) &+ (folded &>> 16)
        folded = (folded & 0xFFFF) &+ (folded &>> 16)
        folded = (folded & 0xFFFF) &+ (folded &>> 16)
        return UInt16(bigEndian: UInt16(truncatingIfNeeded: folded))
    }

    /// The number for the checksum field. Over octets that hold a right checksum it is zero.
    public var value: UInt16 { ~folded }
}
