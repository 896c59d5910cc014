package import TCPWire

/// A 128-bit hash of a state, for tools that must know whether they have seen it before. Two lanes, each a bijection of its
/// value for every word added, so that no lane forgets what went in before; among `n` states the odds of one collision
/// are `n²/2¹²⁹`.
package struct Fingerprint: Hashable, Sendable {
    package private(set) var low: UInt64 = 0x9E37_79B9_7F4A_7C15
    package private(set) var high: UInt64 = 0xC2B2_AE3D_27D4_EB4F

    package init() {}

    package init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    /// Adds a word; the order counts.
    @inline(__always)
    package mutating func add(_ word: UInt64) {
        low = (low ^ word) &* 0xD6E8_FEB8_6659_FD93
        low ^= low &>> 32
        high = (high &<< 29 | high &>> 35) &+ word
        high = high &* 0xA076_1D64_78BD_642F
        high ^= high &>> 29
    }

    @inline(__always)
    package mutating func add(_ number: Int) { add(UInt64(truncatingIfNeeded: number)) }

    @inline(__always)
    package mutating func add(_ flag: Bool) { add(flag ? 1 : 0 as UInt64) }

    /// Adds octets, their number first.
    package mutating func add(_ bytes: RawSpan) {
        add(bytes.byteCount)
        var offset = 0
        while offset &+ 8 <= bytes.byteCount {
            add(bytes.be64(offset))
            offset &+= 8
        }
        while offset < bytes.byteCount {
            add(UInt64(bytes.u8(offset)))
            offset &+= 1
        }
    }

    /// Adds what is a deadline only: in ticks of the timing wheel from `now`, because it acts at a tick, and at the next
    /// one when it has passed.
    package mutating func add(deadline: Instant, _ now: Instant) {
        guard deadline != .distantFuture else { return add(UInt64.max) }
        let left = max(0, deadline.nanoseconds &- now.nanoseconds)
        add((left &+ RTTEstimator.granularity &- 1) / RTTEstimator.granularity)
    }

    @inline(__always)
    private mutating func add(_ number: Int64) { add(UInt64(bitPattern: number)) }

    /// Adds how long ago something was.
    package mutating func add(past: Instant, _ now: Instant) { add(now.nanoseconds &- past.nanoseconds) }

    /// Adds the hash of one of several things whose order does not count.
    package mutating func addUnordered(_ other: Fingerprint) {
        let mixed = other.mixed
        low = low &+ mixed.low
        high = high &+ mixed.high
    }

    /// The same with every bit depending on every other of its lane (the finalizer of SplitMix64).
    package var mixed: Fingerprint { Fingerprint(low: Fingerprint.mix(low), high: Fingerprint.mix(high)) }

    private static func mix(_ value: UInt64) -> UInt64 {
        var value = value
        value = (value ^ value &>> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value &>> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value &>> 31
    }

    /// What sequence numbers and timestamps are counted from, so that two states that differ only in where the numbers
    /// begin are one.
    package struct Origin: Sendable {
        /// The ISNs this end has had, the latest first.
        private let locals: [SequenceNumber]
        /// Those of the other end.
        private let remotes: [SequenceNumber]
        /// TSval's clock, in milliseconds.
        package let clock: UInt32
        package let now: Instant

        package init(locals: [SequenceNumber], remotes: [SequenceNumber], now: Instant) {
            self.locals = locals
            self.remotes = remotes
            self.now = now
            clock = UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000)
        }

        /// One of this end's sequence numbers, in 32 bits.
        package func local(_ number: SequenceNumber) -> UInt64 { Origin.code(number, locals) }

        /// One of the other end's.
        package func remote(_ number: SequenceNumber) -> UInt64 { Origin.code(number, remotes) }

        /// Counted from the latest ISN it can belong to. Zero stands for no number: variables begin with it, and a reset that
        /// answers a segment without ACK carries it (RFC 9293 §3.10.7.1).
        private static func code(_ number: SequenceNumber, _ origins: [SequenceNumber]) -> UInt64 {
            if number.rawValue == 0 { return 0xFFFF_FFFF }
            var index: UInt64 = 0
            for origin in origins {
                let distance = number.distance(from: origin)
                if distance >= -8, distance < 1 &<< 20 { return index &<< 24 | UInt64(distance &+ 8) }
                index &+= 1
            }
            return UInt64(number.rawValue &* 0x9E37_79B1) | 0x8000_0000
        }
    }
}
