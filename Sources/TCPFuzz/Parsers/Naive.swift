import TCPWire

/// The Internet checksum as RFC 1071 §1 words it: 16-bit words in network order, each carry added at the end around.
func naiveSum(_ bytes: [UInt8], seed: UInt16 = 0) -> UInt16 {
    var sum = UInt32(seed)
    var index = 0
    while index < bytes.count {
        let low = index + 1 < bytes.count ? UInt32(bytes[index + 1]) : 0
        sum += UInt32(bytes[index]) << 8 | low
        if sum > 0xFFFF { sum -= 0xFFFF }
        index += 2
    }
    return UInt16(sum)
}

/// The pseudo-header of RFC 9293 §3.1 or RFC 8200 §8.1, octet by octet.
func naivePseudoHeader(_ source: IPAddress, _ destination: IPAddress, protocol number: UInt8, length: Int) -> [UInt8] {
    var bytes = octets(source) + octets(destination)
    if source.isIPv4 {
        bytes += [0, number, UInt8(truncatingIfNeeded: length >> 8), UInt8(truncatingIfNeeded: length)]
    } else {
        for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: length >> shift)) }
        bytes += [0, 0, 0, number]
    }
    return bytes
}

func octets(_ address: IPAddress) -> [UInt8] {
    if address.isIPv4 { return [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: address.ipv4Bits >> UInt32($0)) } }
    return [address.high, address.low].flatMap { half in
        stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: half >> UInt64($0)) }
    }
}

func put16(_ value: UInt16, _ bytes: inout [UInt8], at offset: Int) {
    bytes[offset] = UInt8(truncatingIfNeeded: value >> 8)
    bytes[offset + 1] = UInt8(truncatingIfNeeded: value)
}

/// Puts a right checksum over `range`, whose checksum field lies at `field`.
func mendChecksum(_ bytes: inout [UInt8], _ range: Range<Int>, field: Int, seed: UInt16 = 0) {
    put16(0, &bytes, at: field)
    put16(~naiveSum(Array(bytes[range]), seed: seed), &bytes, at: field)
}
