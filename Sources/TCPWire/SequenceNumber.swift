/// A TCP sequence number: a point on a circle of 2³² (RFC 9293 §3.4). All arithmetic is modulo 2³², and an order exists
/// only between numbers less than 2³¹ apart.
public struct SequenceNumber: Hashable, Sendable, BitwiseCopyable {
    /// The number as it stands on the wire.
    public var rawValue: UInt32

    /// Makes a sequence number from its wire value.
    @inlinable @inline(__always) public init(_ rawValue: UInt32) { self.rawValue = rawValue }

    /// The number `count` octets later.
    @inlinable @inline(__always)
    public static func + (left: SequenceNumber, count: UInt32) -> SequenceNumber {
        SequenceNumber(left.rawValue &+ count)
    }

    /// The number `count` octets later. Negative counts go back.
    @inlinable @inline(__always)
    public static func + (left: SequenceNumber, count: Int) -> SequenceNumber {
        SequenceNumber(left.rawValue &+ UInt32(truncatingIfNeeded: count))
    }

    /// Moves the number on by `count` octets.
    @inlinable @inline(__always)
    public static func += (left: inout SequenceNumber, count: Int) { left = left + count }

    /// The distance from `right` forward to `left`, modulo 2³².
    @inlinable @inline(__always)
    public static func - (left: SequenceNumber, right: SequenceNumber) -> UInt32 {
        left.rawValue &- right.rawValue
    }

    /// The signed distance from `other` to this number, in −2³¹ ..< 2³¹.
    @inlinable @inline(__always)
    public func distance(from other: SequenceNumber) -> Int {
        Int(Int32(bitPattern: rawValue &- other.rawValue))
    }

    /// Whether `left` comes before `right`.
    @inlinable @inline(__always)
    public static func < (left: SequenceNumber, right: SequenceNumber) -> Bool {
        Int32(bitPattern: left.rawValue &- right.rawValue) < 0
    }

    /// Whether `left` comes before `right` or is the same.
    @inlinable @inline(__always)
    public static func <= (left: SequenceNumber, right: SequenceNumber) -> Bool {
        Int32(bitPattern: left.rawValue &- right.rawValue) <= 0
    }

    /// Whether `left` comes after `right`.
    @inlinable @inline(__always)
    public static func > (left: SequenceNumber, right: SequenceNumber) -> Bool { right < left }

    /// Whether `left` comes after `right` or is the same.
    @inlinable @inline(__always)
    public static func >= (left: SequenceNumber, right: SequenceNumber) -> Bool { right <= left }

    /// The later of two numbers.
    @inlinable @inline(__always)
    public static func later(_ left: SequenceNumber, _ right: SequenceNumber) -> SequenceNumber {
        left < right ? right : left
    }

    /// The earlier of two numbers.
    @inlinable @inline(__always)
    public static func earlier(_ left: SequenceNumber, _ right: SequenceNumber) -> SequenceNumber {
        right < left ? right : left
    }
}
