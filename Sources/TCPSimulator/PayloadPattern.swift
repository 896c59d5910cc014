internal import TCPWire

/// Octets that a seed determines at every place of a stream of any length, so that a receiver can check each one without
/// having what was sent.
public struct PayloadPattern: Sendable, Hashable {
    /// What the octets come from.
    public var seed: UInt64

    /// The pattern of a seed.
    public init(seed: UInt64) { self.seed = seed }

    @inline(__always)
    private func word(_ index: UInt64) -> UInt64 {
        SimulationRandom.mix(seed &+ index &* 0x9E37_79B9_7F4A_7C15)
    }

    private func octet(_ place: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: word(UInt64(place / 8)) &>> UInt64(56 - 8 * (place % 8)))
    }

    /// Writes the octets from `place` of the stream on, over all of `buffer`.
    public func fill(_ buffer: inout MutableRawSpan, from place: Int) {
        let count = buffer.byteCount
        var index = 0
        while index < count, (place + index) % 8 != 0 {
            buffer.put8(octet(place + index), at: index)
            index += 1
        }
        while index &+ 8 <= count {
            buffer.put64(word(UInt64((place + index) / 8)), at: index)
            index &+= 8
        }
        while index < count {
            buffer.put8(octet(place + index), at: index)
            index += 1
        }
    }

    /// Whether `bytes` are the octets from `place` of the stream on.
    public func matches(_ bytes: RawSpan, from place: Int) -> Bool {
        let count = bytes.byteCount
        var index = 0
        var difference: UInt64 = 0
        while index < count, (place + index) % 8 != 0 {
            difference |= UInt64(bytes.u8(index) ^ octet(place + index))
            index += 1
        }
        while index &+ 8 <= count {
            difference |= bytes.be64(index) ^ word(UInt64((place + index) / 8))
            index &+= 8
        }
        while index < count {
            difference |= UInt64(bytes.u8(index) ^ octet(place + index))
            index += 1
        }
        return difference == 0
    }
}
