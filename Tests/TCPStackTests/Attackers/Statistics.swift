import Glibc

/// What tells numbers that can be guessed from those that cannot. Every bound lies five standard deviations from what
/// true random numbers give; as secrets are fixed, a test gives the same figure each time.
struct Statistics {
    /// The numbers, each below 2^`bits`.
    var numbers: [UInt32]
    var bits: Int

    init(_ numbers: [UInt32], bits: Int = 32) {
        self.numbers = numbers
        self.bits = bits
    }

    /// χ² of the `width` bits from bit `low` on, less its mean, in standard deviations.
    func chiSquare(low: Int, width: Int) -> Double {
        let bins = 1 << width
        var counts = [Int](repeating: 0, count: bins)
        for number in numbers { counts[Int(number >> UInt32(low)) & (bins - 1)] += 1 }
        let expected = Double(numbers.count) / Double(bins)
        let sum = counts.reduce(0.0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
        return (sum - Double(bins - 1)) / sqrt(2 * Double(bins - 1))
    }

    /// The largest χ² of any byte.
    var worstByte: Double {
        stride(from: 0, to: bits, by: 8).map { chiSquare(low: $0, width: min(6, bits - $0)) }.max() ?? 0
    }

    private var centred: [Double] {
        let middle = Double(UInt64(1) << UInt64(bits)) / 2
        return numbers.map { (Double($0) - middle) / middle }
    }

    /// The correlation of each number with the one `lag` later, in standard deviations.
    func serialCorrelation(lag: Int = 1) -> Double {
        let values = centred
        let mean = values.reduce(0, +) / Double(values.count)
        var product = 0.0
        var square = 0.0
        for index in values.indices {
            let value = values[index] - mean
            square += value * value
            if index + lag < values.count { product += value * (values[index + lag] - mean) }
        }
        return abs(product / square) * sqrt(Double(values.count))
    }

    /// The largest power of any of `count` frequencies over what noise has on average: with noise, `count`·e^(−x) of them
    /// pass x.
    func spectralPeak(_ count: Int = 32) -> Double {
        let values = centred
        let mean = values.reduce(0, +) / Double(values.count)
        let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
        var peak = 0.0
        for frequency in 1...count {
            // From slow ones to alternation.
            let angle = Double.pi * Double(frequency) / Double(count)
            let (stepCosine, stepSine) = (cos(angle), sin(angle))
            var (cosine, sine, real, imaginary) = (1.0, 0.0, 0.0, 0.0)
            for value in values {
                real += (value - mean) * cosine
                imaginary += (value - mean) * sine
                (cosine, sine) = (cosine * stepCosine - sine * stepSine, sine * stepCosine + cosine * stepSine)
            }
            // Alternation has no phase, so that all its power is in one part.
            let parts = frequency == count ? 2.0 : 1.0
            peak = max(peak, (real * real + imaginary * imaginary) / (variance * Double(values.count) * parts))
        }
        return peak
    }

    /// How many differences of neighbours occur again, beyond what chance gives.
    var repeatedDifferences: Int {
        let mask = bits == 32 ? UInt32.max : 1 << UInt32(bits) - 1
        var seen: Set<UInt32> = []
        var again = 0
        for index in 1..<numbers.count where !seen.insert((numbers[index] &- numbers[index - 1]) & mask).inserted {
            again += 1
        }
        return again
    }
}
