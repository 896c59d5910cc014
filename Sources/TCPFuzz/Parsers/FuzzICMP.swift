import TCPWire

/// Any octets as an ICMP and as an ICMPv6 message, as they are and with a right checksum.
public func fuzzICMP(_ input: RawSpan) {
    var octets = Octets(input)
    let mode = octets.next()
    var bytes = octets.rest()
    if mode & 1 == 0 {
        check4(bytes)
        guard bytes.count >= 4 else { return }
        if mode & 2 != 0 { bytes[0] = [3, 4, 5, 8, 11, 12, 13, 17][Int(mode >> 5)] }
        if mode & 4 != 0, bytes.count > 17 {
            bytes[8] = 0x40 | bytes[8] & 0xF
            bytes[17] = IPProtocol.tcp
        }
        mendChecksum(&bytes, 0..<bytes.count, field: 2)
        check4(bytes)
    } else {
        check6(bytes)
        guard bytes.count >= 4 else { return }
        if mode & 2 != 0 { bytes[0] = [1, 2, 3, 4, 128, 129, 135, 100][Int(mode >> 5)] }
        if mode & 4 != 0, bytes.count > 14 {
            bytes[8] = 0x60 | bytes[8] & 0xF
            bytes[14] = IPProtocol.tcp
        }
        let pseudo = naivePseudoHeader(here, there, protocol: IPProtocol.icmpv6, length: bytes.count)
        mendChecksum(&bytes, 0..<bytes.count, field: 2, seed: naiveSum(pseudo))
        check6(bytes)
    }
}

private let here = IPAddress(high: 0xFD00 << 48, low: 1)
private let there = IPAddress(high: 0xFD00 << 48, low: 2)

private func check4(_ bytes: [UInt8]) {
    guard let message = try? ICMPMessage(parsingV4: bytes.span.bytes) else { return }
    require(naiveSum(bytes) == 0xFFFF, "an ICMP message with a wrong checksum is taken")
    switch message {
    case .echoRequest: require(bytes[0] == 8 && bytes[1] == 0, "an echo request is none")
    case .error(let kind, let quoted):
        require([3, 11, 12].contains(bytes[0]), "a message that reports no error is an error")
        require((kind == .packetTooBig) == (bytes[0] == 3 && bytes[1] == 4), "fragmentation needed is told apart")
        let start = 8 + Int(bytes[8] & 0xF) * 4
        check(quoted, bytes, addresses: 20, size: 4, ports: start)
        require(quoted.source.address.isIPv4 && quoted.destination.address.isIPv4, "an ICMP quotation is IPv4")
    case .other: break
    }
}

private func check6(_ bytes: [UInt8]) {
    guard let message = try? ICMPMessage(parsingV6: bytes.span.bytes, source: here, destination: there) else { return }
    switch message {
    case .echoRequest: require(bytes[0] == 128 && bytes[1] == 0, "an echo request is none")
    case .error(let kind, let quoted):
        require((1...4).contains(bytes[0]), "a message that reports no error is an error")
        require((kind == .packetTooBig) == (bytes[0] == 2), "packet too big is told apart")
        check(quoted, bytes, addresses: 16, size: 16, ports: 48)
    case .other: break
    }
}

/// The quotation is what stands in the message, octet for octet.
private func check(_ quoted: QuotedSegment, _ bytes: [UInt8], addresses: Int, size: Int, ports: Int) {
    require(ports + 8 <= bytes.count, "a quotation reaches past its message")
    require(address(quoted.source.address, size) == Array(bytes[addresses..<addresses + size]), "the source is quoted")
    require(
        address(quoted.destination.address, size) == Array(bytes[addresses + size..<addresses + 2 * size]),
        "the destination is quoted")
    require(quoted.source.port == UInt16(bytes[ports]) << 8 | UInt16(bytes[ports + 1]), "the source port is quoted")
    require(
        quoted.destination.port == UInt16(bytes[ports + 2]) << 8 | UInt16(bytes[ports + 3]),
        "the destination port is quoted")
    require(
        quoted.sequence.rawValue == bytes[ports + 4..<ports + 8].reduce(0) { $0 << 8 | UInt32($1) },
        "the sequence number is quoted")
}

private func address(_ address: IPAddress, _ size: Int) -> [UInt8] {
    let bytes = octets(address)
    return bytes.count == size ? bytes : [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF] + bytes
}
