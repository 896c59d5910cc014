public import TCPWire

/// Numbers as people and programs read them, without the help of a library.
public enum NumberText {
    /// `value` with exactly `digits` digits behind the point.
    public static func fixed(_ value: Double, digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = value.magnitude * scale + 0.5
        guard scaled.isFinite, scaled < 9e18 else { return "\(value)" }
        let whole = UInt64(scaled)
        let unit = UInt64(scale)
        let sign = value < 0 && whole > 0 ? "-" : ""
        guard digits > 0 else { return "\(sign)\(whole)" }
        let fraction = String(whole % unit)
        return "\(sign)\(whole / unit)." + String(repeating: "0", count: digits - fraction.count) + fraction
    }

    /// Nanoseconds as seconds, exactly, with no more digits than there are.
    public static func seconds(_ nanoseconds: Int64) -> String {
        let magnitude = nanoseconds.magnitude
        let sign = nanoseconds < 0 ? "-" : ""
        var fraction = String(magnitude % 1_000_000_000)
        fraction = String(repeating: "0", count: 9 - fraction.count) + fraction
        while fraction.count > 1, fraction.last == "0" { fraction.removeLast() }
        return "\(sign)\(magnitude / 1_000_000_000).\(fraction)"
    }

    /// An instant for a ladder: seconds after `start` with three digits.
    public static func clock(_ time: Instant, since start: Instant) -> String {
        fixed(Double(time.nanoseconds &- start.nanoseconds) / 1e9, digits: 3) + " s"
    }

    /// A length of time for a sentence: `40 ms`, `1.5 s`.
    public static func duration(_ duration: Duration) -> String {
        let nanoseconds = duration.nanoseconds
        if nanoseconds.magnitude < 1_000_000 { return trimmed(Double(nanoseconds) / 1e3, digits: 1) + " µs" }
        if nanoseconds.magnitude < 1_000_000_000 { return trimmed(Double(nanoseconds) / 1e6, digits: 1) + " ms" }
        return trimmed(Double(nanoseconds) / 1e9, digits: 2) + " s"
    }

    /// An integer with its digits in groups of three: `65,536`.
    public static func grouped(_ value: Int) -> String {
        var result = ""
        let digits = String(value.magnitude)
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { result.append(",") }
            result.append(digit)
        }
        return value < 0 ? "-" + result : result
    }

    /// Octets with a binary unit when they are whole in it: `64 KiB`, `300 octets` as a bare number otherwise.
    public static func bytes(_ count: Int) -> String {
        for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")]
        where count >= 1 << shift && count % (1 << shift) == 0 {
            return "\(count >> shift) \(unit)"
        }
        return grouped(count)
    }

    /// Bits a second with a decimal unit.
    public static func rate(_ bitsPerSecond: Double) -> String {
        for (unit, name) in [(1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")] where bitsPerSecond >= unit {
            return trimmed(bitsPerSecond / unit, digits: 2) + " " + name
        }
        return trimmed(bitsPerSecond, digits: 0) + " bit/s"
    }

    /// `fixed`, without zeros at its end.
    public static func trimmed(_ value: Double, digits: Int) -> String {
        var text = fixed(value, digits: digits)
        guard text.contains(".") else { return text }
        while text.last == "0" { text.removeLast() }
        if text.last == "." { text.removeLast() }
        return text
    }
}
