import TCPWire

/// The octets of one input, read from the front as numbers. Past the end everything is zero, so that every input means
/// something, and a shorter input means the beginning of a longer one.
struct Octets {
    private let bytes: [UInt8]
    private var position = 0

    init(_ input: RawSpan) {
        bytes = input.withUnsafeBytes { Array($0) }
    }

    var isEmpty: Bool { position >= bytes.count }

    var remaining: Int { bytes.count - position }

    mutating func next() -> UInt8 {
        guard position < bytes.count else { return 0 }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func next16() -> UInt16 { UInt16(next()) << 8 | UInt16(next()) }

    mutating func next32() -> UInt32 { UInt32(next16()) << 16 | UInt32(next16()) }

    /// A number in `0 ..< limit`, which is at most 256.
    mutating func below(_ limit: Int) -> Int { Int(next()) % limit }

    mutating func bool() -> Bool { next() & 1 != 0 }

    /// Up to `count` octets.
    mutating func take(_ count: Int) -> [UInt8] {
        let end = min(bytes.count, position + count)
        defer { position = end }
        return Array(bytes[position..<end])
    }

    mutating func rest() -> [UInt8] { take(remaining) }
}

/// Ends the process, as a fuzzer wants it, when a rule is broken.
@inline(__always)
func require(_ holds: Bool, _ rule: @autoclosure () -> String) {
    if !holds { fatalError(rule()) }
}

/// Ends the process when an audit found something.
@inline(__always)
func require(_ fault: StaticString?) {
    if let fault { fatalError("\(fault)") }
}
