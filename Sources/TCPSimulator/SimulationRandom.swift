/// The simulator's own source of chance: xoshiro256** seeded by SplitMix64 (Blackman and Vigna). The same seed gives the
/// same numbers on every machine and with every version of the standard library.
public struct SimulationRandom: RandomNumberGenerator, Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    /// A generator that `seed` determines.
    public init(seed: UInt64) {
        var seed = seed
        func next() -> UInt64 {
            seed &+= 0x9E37_79B9_7F4A_7C15
            return SimulationRandom.mix(seed)
        }
        state = (next(), next(), next(), next())
    }

    /// SplitMix64's finalizer: spreads every bit of `value` over all 64.
    @inlinable @inline(__always)
    public static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z &>> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z &>> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z &>> 31)
    }

    /// The next 64 random bits.
    public mutating func next() -> UInt64 {
        let product = state.1 &* 5
        let result = (product &<< 7 | product &>> 57) &* 9
        let shifted = state.1 &<< 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = state.3 &<< 45 | state.3 &>> 19
        return result
    }

    /// A number in 0..<1.
    public mutating func unit() -> Double { Double(next() &>> 11) * 0x1p-53 }

    /// A number in 0..<`bound`; zero when the bound is not positive.
    public mutating func below(_ bound: Int64) -> Int64 {
        bound <= 0 ? 0 : Int64(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(bound)).high)
    }
}
