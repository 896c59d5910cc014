import TCPEngine
package import TCPWire

/// What a SYN asks for, as far as a cookie can carry it back to us (RFC 4987 §3.6).
///
/// The ISN of the SYN-ACK is the cookie: in its low three bits which of eight sizes the peer's MSS is at least, above them 29
/// bits of a keyed hash over the four-tuple, the peer's ISN, the listener, the options and a counter of 64 s. Of 2³² numbers
/// 16 are good at a time, eight of each of two counts: one guess in 2²⁸. Window scale, SACK and ECN ride in the low six bits
/// of our timestamp, which the peer's third segment echoes; without timestamps they are not offered.
package struct SynCookie: Equatable {
    /// Which of `sizes` the peer's MSS is at least.
    package var sizeIndex: Int
    /// The peer's window scale, 0...14.
    package var scale: UInt8?
    package var sack: Bool
    /// ECN as RFC 3168 has it: what a SYN that asks for more gets as well (RFC 9768 §3.1.2).
    package var ecn: Bool
    package var hasTimestamps: Bool

    /// Nanoseconds of a step of the counter.
    package static let step: Int64 = 64_000_000_000

    /// The count at `now`.
    package static func count(at now: Instant) -> Int64 { now.nanoseconds / step }

    /// Sizes that links have, each with the headers of its family off: the first is the least that is ever sent, the
    /// default of RFC 9293 MUST-15 is one of them.
    private static let sizes4: InlineArray<8, UInt16> = [48, 256, 536, 1220, 1360, 1440, 1460, 8960]
    private static let sizes6: InlineArray<8, UInt16> = [48, 256, 1220, 1320, 1360, 1400, 1440, 8940]

    /// The MSS the connection will have.
    package func segmentSize(isIPv4: Bool) -> UInt16 {
        isIPv4 ? SynCookie.sizes4[sizeIndex & 7] : SynCookie.sizes6[sizeIndex & 7]
    }

    /// What a SYN with these options gets from an end that agrees to `timestamps`, `sack` and `scaling`.
    package init(
        _ options: TCPOptions, isIPv4: Bool, timestamps: Bool, sack: Bool, scaling: Bool, ecn: Bool = false
    ) {
        // RFC 9293 MUST-15.
        let size = options.maximumSegmentSize ?? (isIPv4 ? 536 : 1220)
        sizeIndex = 0
        while sizeIndex < 7 {
            let next = isIPv4 ? SynCookie.sizes4[sizeIndex &+ 1] : SynCookie.sizes6[sizeIndex &+ 1]
            if next > size { break }
            sizeIndex &+= 1
        }
        hasTimestamps = timestamps && options.timestamps != nil
        self.ecn = hasTimestamps && ecn
        self.sack = hasTimestamps && sack && options.sackPermitted
        scale = hasTimestamps && scaling ? options.windowScale.map { min($0, 14) } : nil
    }

    /// What the low bits of an echoed timestamp say; `echo` is `nil` for a segment without the option.
    init(sizeIndex: Int, echo: UInt32?) {
        self.sizeIndex = sizeIndex
        hasTimestamps = echo != nil
        let bits = echo ?? SynCookie.noScale
        sack = bits & SynCookie.sackBit != 0
        ecn = bits & SynCookie.ecnBit != 0
        scale = bits & SynCookie.noScale == SynCookie.noScale ? nil : UInt8(bits & SynCookie.noScale)
    }

    // Bits 0...3: the window scale, 15 for none. Bit 4: SACK. Bit 5: ECN.
    private static let noScale: UInt32 = 15
    private static let sackBit: UInt32 = 16
    private static let ecnBit: UInt32 = 32
    private static let mask: UInt32 = 63

    /// The low bits of the timestamp.
    private var bits: UInt32 { UInt32(scale ?? 15) | (sack ? SynCookie.sackBit : 0) | (ecn ? SynCookie.ecnBit : 0) }

    /// TSval of the SYN-ACK: the latest time that is not after `clock` and has these bits. The connection's own clock goes on
    /// from there and never back (RFC 7323 §5.4).
    package func timestamp(_ clock: UInt32) -> UInt32 {
        let value = clock & ~SynCookie.mask | bits
        return value <= clock ? value : value &- (SynCookie.mask &+ 1)
    }

    /// The ISN at a count.
    package func number(
        _ key: FlowKey, peerInitial: SequenceNumber, listener: UInt32, count: Int64, _ secret: StackSecret
    ) -> SequenceNumber {
        let index = UInt64(sizeIndex & 7)
        let salt =
            5 | index &<< 8 | UInt64(bits) &<< 11 | (hasTimestamps ? 1 &<< 17 : 0)
            | UInt64(truncatingIfNeeded: count) &<< 18
        let digest = key.digest(secret, salt: salt, UInt64(listener) &<< 32 | UInt64(peerInitial.rawValue))
        return SequenceNumber(UInt32(truncatingIfNeeded: digest &<< 3 | index))
    }

    /// What the SYN asked for whose SYN-ACK `number` was the ISN of; `nil` when it was none of ours, or is too old: cookies of
    /// this count and the one before are good.
    package static func verify(
        _ number: SequenceNumber, _ key: FlowKey, peerInitial: SequenceNumber, echo: UInt32?, listener: UInt32,
        at now: Instant, _ secret: StackSecret
    ) -> SynCookie? {
        let cookie = SynCookie(sizeIndex: Int(number.rawValue & 7), echo: echo)
        let current = count(at: now)
        for age: Int64 in 0...1 {
            let expected = cookie.number(
                key, peerInitial: peerInitial, listener: listener, count: current &- age, secret)
            if expected == number { return cookie }
        }
        return nil
    }
}
