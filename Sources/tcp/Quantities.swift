internal import ArgumentParser

/// Numbers with units, as people write them on a command line.
enum Quantities {
    /// A number and what follows it: `1.5`, `Mbps`.
    private static func split(_ text: String) -> (number: Double, unit: String)? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let number = Double(digits), number.isFinite else { return nil }
        return (number, text.dropFirst(digits.count).lowercased().filter { $0 != " " })
    }

    private static func factor(_ unit: String, in units: [(String, Double)]) -> Double? {
        units.first { $0.0 == unit }?.1
    }

    /// Octets: `65536`, `64KiB`, `100MB`, `4GiB`. K, M and G alone are powers of 1024, as is usual for memory.
    static func bytes(_ text: String) throws -> Int {
        let units: [(String, Double)] = [
            ("", 1), ("b", 1), ("k", 1024), ("kib", 1024), ("kb", 1e3), ("m", 1_048_576), ("mib", 1_048_576),
            ("mb", 1e6), ("g", 1_073_741_824), ("gib", 1_073_741_824), ("gb", 1e9),
        ]
        guard let (number, unit) = split(text), let factor = factor(unit, in: units), number * factor <= 1e15 else {
            throw ValidationError("write octets, as 65536, 64KiB or 100MB")
        }
        return Int(number * factor)
    }

    /// Bits a second: `50Mbps`, `1Gbit/s`, `800kbps`.
    static func rate(_ text: String) throws -> Double {
        let units: [(String, Double)] = [
            ("bps", 1), ("bit/s", 1), ("kbps", 1e3), ("kbit/s", 1e3), ("mbps", 1e6), ("mbit/s", 1e6), ("gbps", 1e9),
            ("gbit/s", 1e9),
        ]
        guard let (number, unit) = split(text), let factor = factor(unit, in: units), number > 0,
            number * factor <= 1e13
        else { throw ValidationError("write bits a second, as 50Mbps or 1Gbps") }
        return number * factor
    }

    /// A time: `10ms`, `1.5s`, `200us`.
    static func duration(_ text: String) throws -> Duration {
        let units: [(String, Double)] = [("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)]
        guard let (number, unit) = split(text), let factor = factor(unit, in: units), number * factor <= 3.6e12 else {
            throw ValidationError("write it with its unit, as 10ms or 1.5s, an hour at most")
        }
        return .nanoseconds(Int64(number * factor))
    }

    /// A share of 0...1: `1%`, `0.5%`, or `0.01`.
    static func share(_ text: String) throws -> Double {
        if let (number, unit) = split(text) {
            if unit == "%", number <= 100 { return number / 100 }
            if unit.isEmpty, number < 1 { return number }
        }
        throw ValidationError("write percent, as 1% or 0.1%, or a fraction below 1, as 0.01")
    }
}
