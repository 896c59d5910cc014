/// The accurate ECN option (RFC 9768 §3.2.3): octets of data that came with each ECN field, modulo 2²⁴. Kind 172 has ECT(0),
/// CE, ECT(1) in this order, kind 174 has them the other way round; fields that say nothing new may be left out at the end.
public struct AccurateECNOption: Sendable {
    /// Whether it is of kind 174: ECT(1) comes first.
    public var beginsWithECT1: Bool
    /// How many of the three fields there are, 0...3.
    public var count: Int
    private var fields: InlineArray<3, UInt32> = .init(repeating: 0)

    /// The option as a receiver sends it, with the first `count` fields of its order.
    public init(ect0: UInt32, congestion: UInt32, ect1: UInt32, beginsWithECT1: Bool, count: Int) {
        self.beginsWithECT1 = beginsWithECT1
        self.count = min(max(count, 0), 3)
        fields[0] = (beginsWithECT1 ? ect1 : ect0) & 0xFF_FFFF
        fields[1] = congestion & 0xFF_FFFF
        fields[2] = (beginsWithECT1 ? ect0 : ect1) & 0xFF_FFFF
    }

    /// Reads the option, kind and length included. Whole fields count, whatever else the length says (RFC 9768 §3.2.3).
    init(_ option: RawSpan) {
        beginsWithECT1 = option.u8(0) == AccurateECNOption.kindECT1
        count = min(3, (option.byteCount &- 2) / 3)
        for index in 0..<count {
            let start = 2 &+ 3 &* index
            fields[index] = UInt32(option.be16(start)) &<< 8 | UInt32(option.u8(start &+ 2))
        }
    }

    static let kindECT0: UInt8 = 172
    static let kindECT1: UInt8 = 174

    private func field(_ index: Int) -> UInt32? { index < count ? fields[index] : nil }

    /// EE0B: octets that came with ECT(0); `nil` where the field is not there.
    public var ect0: UInt32? { field(beginsWithECT1 ? 2 : 0) }
    /// ECEB: octets that came with CE.
    public var congestion: UInt32? { field(1) }
    /// EE1B: octets that came with ECT(1).
    public var ect1: UInt32? { field(beginsWithECT1 ? 0 : 2) }

    /// Octets it takes, padded to a multiple of four.
    public var encodedLength: Int { (2 + 3 * count + 3) / 4 * 4 }

    /// The option with as many of its fields as `room` octets hold; `nil` when not even an empty one fits.
    func fitting(_ room: Int) -> AccurateECNOption? {
        var option = self
        while option.encodedLength > room {
            guard option.count > 0 else { return nil }
            option.count -= 1
        }
        return option
    }

    /// Writes it at `offset`, behind NOPs that fill its last word.
    func write(to packet: inout MutableRawSpan, at offset: Int) {
        let length = 2 + 3 * count
        var offset = offset
        for _ in length..<encodedLength {
            packet.put8(1, at: offset)
            offset += 1
        }
        packet.put8(beginsWithECT1 ? AccurateECNOption.kindECT1 : AccurateECNOption.kindECT0, at: offset)
        packet.put8(UInt8(length), at: offset + 1)
        for index in 0..<count {
            packet.put8(UInt8(truncatingIfNeeded: fields[index] &>> 16), at: offset + 2 + 3 * index)
            packet.put8(UInt8(truncatingIfNeeded: fields[index] &>> 8), at: offset + 3 + 3 * index)
            packet.put8(UInt8(truncatingIfNeeded: fields[index]), at: offset + 4 + 3 * index)
        }
    }
}
