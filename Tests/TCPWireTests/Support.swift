import TCPWire

/// Reproducible numbers (SplitMix64): a failure names its seed, and the seed gives the same bytes again.
struct Numbers: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word &>> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word &>> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word &>> 31)
    }

    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }

    mutating func bytes(_ count: Int) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(count)
        while result.count + 8 <= count {
            let word = next()
            for shift in 0..<8 { result.append(UInt8(truncatingIfNeeded: word &>> UInt64(8 * shift))) }
        }
        while result.count < count { result.append(UInt8(truncatingIfNeeded: next())) }
        return result
    }

    /// A 32-bit number that lies near one of the places where arithmetic goes wrong, or anywhere.
    mutating func edgy() -> UInt32 {
        let edges: [UInt32] = [0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0xFFFF, 0x1_0000]
        if below(2) == 0 { return UInt32(truncatingIfNeeded: next()) }
        return edges[below(edges.count)] &+ UInt32(truncatingIfNeeded: below(7) - 3)
    }
}

#if DEBUG
    /// How often a property is tried: debug builds run this code a hundred times slower.
    let trials = 2_000
#else
    let trials = 50_000
#endif

/// Octets from text such as `45 00 0014`; anything that is no hexadecimal digit is passed over.
func hex(_ text: String) -> [UInt8] {
    let digits = text.compactMap { $0.hexDigitValue }
    precondition(digits.count % 2 == 0, "hexadecimal text must name whole octets")
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
}

func big16(_ value: Int) -> [UInt8] { [UInt8(truncatingIfNeeded: value >> 8), UInt8(truncatingIfNeeded: value)] }

func big32(_ value: UInt32) -> [UInt8] {
    big16(Int(value >> 16)) + big16(Int(value & 0xFFFF))
}

/// The Internet checksum by RFC 1071's own words, one 16-bit word at a time, to judge the fast one by.
func naiveChecksum(_ bytes: [UInt8]) -> UInt16 {
    var sum = 0
    var index = 0
    while index < bytes.count {
        sum += Int(bytes[index]) << 8
        if index + 1 < bytes.count { sum += Int(bytes[index + 1]) }
        while sum > 0xFFFF { sum = (sum & 0xFFFF) + (sum >> 16) }
        index += 2
    }
    return UInt16(0xFFFF - sum)
}

/// The sixteen or four octets of an address as they stand in a header.
func octets(_ address: IPAddress) -> [UInt8] {
    if address.isIPv4 { return big32(address.ipv4Bits) }
    return [address.high, address.low].flatMap { half in
        big32(UInt32(truncatingIfNeeded: half >> 32)) + big32(UInt32(truncatingIfNeeded: half))
    }
}

/// The pseudo-header: RFC 9293 §3.1 for IPv4, RFC 8200 §8.1 for IPv6.
func pseudoHeader(_ source: IPAddress, _ destination: IPAddress, protocol number: UInt8, length: Int) -> [UInt8] {
    let addresses = octets(source) + octets(destination)
    if source.isIPv4 { return addresses + [0, number] + big16(length) }
    return addresses + big32(UInt32(length)) + [0, 0, 0, number]
}

extension IPAddress {
    /// An address of a test; the text must be right.
    static func of(_ text: String) -> IPAddress {
        guard let address = IPAddress(text) else { preconditionFailure("\(text) is no address") }
        return address
    }
}

func parseIP(_ bytes: [UInt8]) throws(PacketFault) -> IPHeader { try IPHeader(parsing: bytes.span.bytes) }
func parseTCP(_ bytes: [UInt8]) throws(PacketFault) -> TCPHeader { try TCPHeader(parsing: bytes.span.bytes) }
func parseOptions(_ bytes: [UInt8]) throws(PacketFault) -> TCPOptions { try TCPOptions(parsing: bytes.span.bytes) }
func isChecksumValid(_ segment: [UInt8], source: IPAddress, destination: IPAddress) -> Bool {
    TCPHeader.isChecksumValid(segment.span.bytes, source: source, destination: destination)
}
func parseICMP4(_ bytes: [UInt8]) throws(PacketFault) -> ICMPMessage { try ICMPMessage(parsingV4: bytes.span.bytes) }
func parseICMP6(_ bytes: [UInt8], _ source: IPAddress, _ destination: IPAddress) throws(PacketFault) -> ICMPMessage {
    try ICMPMessage(parsingV6: bytes.span.bytes, source: source, destination: destination)
}

/// The octets a header writes in front of `payloadLength` octets.
func written(_ header: IPHeader, payloadLength: Int) -> (bytes: [UInt8], length: Int) {
    var bytes = [UInt8](repeating: 0xEE, count: 64)
    var octets = bytes.mutableSpan
    var span = octets.mutableBytes
    let length = header.write(to: &span, payloadLength: payloadLength)
    return (Array(bytes[..<length]), length)
}

/// The octets a TCP header writes, and whether it touched any behind them.
func written(_ header: TCPHeader) -> (bytes: [UInt8], strayed: Bool) {
    var bytes = [UInt8](repeating: 0xEE, count: 96)
    var octets = bytes.mutableSpan
    var span = octets.mutableBytes
    let length = header.write(to: &span, at: 4)
    return (
        Array(bytes[4..<4 + length]),
        bytes[..<4].contains { $0 != 0xEE } || bytes[(4 + length)...].contains { $0 != 0xEE }
    )
}

extension TCPOptions {
    /// The SACK blocks as an array.
    var blocks: [SACKBlock] { (0..<sackCount).map { sackBlocks[$0] } }
}
