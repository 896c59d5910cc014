import TCPWire

/// Any octets as a TCP segment: as they are, and with a data offset that fits. The options are held against a reader that
/// goes octet by octet.
public func fuzzSegment(_ input: RawSpan) {
    var octets = Octets(input)
    let mode = octets.next()
    var bytes = octets.rest()
    checkSegment(bytes)
    guard bytes.count >= 20 else { return }
    let words = min(15, bytes.count / 4)
    bytes[12] = UInt8(mode & 1 == 0 ? words : max(5, min(words, Int(mode >> 4)))) << 4 | bytes[12] & 0xF
    checkSegment(bytes)
}

private func checkSegment(_ bytes: [UInt8]) {
    let header: TCPHeader
    do throws(PacketFault) {
        header = try TCPHeader(parsing: bytes.span.bytes)
    } catch {
        checkRefusal(error, bytes)
        return
    }
    let length = Int(bytes[12] >> 4) * 4
    require(header.headerLength == length && length >= 20 && length <= bytes.count, "a TCP header reaches past its end")
    require(header.sourcePort == UInt16(bytes[0]) << 8 | UInt16(bytes[1]), "the source port is wrong")
    require(header.flags.rawValue == UInt16(bytes[12] & 1) << 8 | UInt16(bytes[13]), "the control bits are wrong")
    guard let plain = NaiveOptions(Array(bytes[20..<length])) else { fatalError("options that lie were taken") }
    require(plain.agrees(with: header.options), "the options are not what they say")

    var written = [UInt8](repeating: 0xA5, count: 80)
    let count = write(header, &written)
    require(count >= 20 && count <= 60 && count % 4 == 0, "a written TCP header has an impossible length")
    require(written[count...].allSatisfy { $0 == 0xA5 }, "a TCP header is written past its length")
    written.removeSubrange(count...)
    guard let back = try? TCPHeader(parsing: written.span.bytes) else {
        fatalError("a TCP header that was written cannot be read")
    }
    require(equal(header, back), "a TCP header reads differently from what was written")
    checkChecksum(bytes)
}

/// Only a data offset or an option's length that cannot be are reasons to refuse (RFC 9293 MUST-7).
private func checkRefusal(_ fault: PacketFault, _ bytes: [UInt8]) {
    switch fault {
    case .truncated: require(bytes.count < 20, "a segment with a whole header counts as truncated")
    case .badHeaderLength:
        let length = Int(bytes[12] >> 4) * 4
        require(length < 20 || length > bytes.count, "a data offset that fits is refused")
    case .badOption:
        let length = Int(bytes[12] >> 4) * 4
        require(NaiveOptions(Array(bytes[20..<length])) == nil, "options that can be are refused")
    default: fatalError("a TCP header is refused for \(fault)")
    }
}

/// The checksum of a segment over both pseudo-headers, against the plain sum.
private func checkChecksum(_ bytes: [UInt8]) {
    let ends: [(IPAddress, IPAddress)] = [
        (IPAddress(10, 0, 0, 1), IPAddress(10, 255, 0, 2)),
        (IPAddress(high: 0xFD00 << 48, low: 1), IPAddress(high: 0xFD00 << 48, low: .max)),
    ]
    for (source, destination) in ends {
        let pseudo = naivePseudoHeader(source, destination, protocol: IPProtocol.tcp, length: bytes.count)
        let seed = naiveSum(pseudo)
        let right = naiveSum(bytes, seed: seed) == 0xFFFF
        require(
            TCPHeader.isChecksumValid(bytes.span.bytes, source: source, destination: destination) == right,
            "a checksum is judged wrongly")
        var mended = bytes
        writeChecksum(&mended, source, destination)
        require(naiveSum(mended, seed: seed) == 0xFFFF, "a checksum is written wrongly")
    }
}

private func writeChecksum(_ bytes: inout [UInt8], _ source: IPAddress, _ destination: IPAddress) {
    put16(0, &bytes, at: 16)
    let count = bytes.count
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    TCPHeader.writeChecksum(in: &raw, range: 0..<count, source: source, destination: destination, partial: false)
}

private func write(_ header: TCPHeader, _ bytes: inout [UInt8]) -> Int {
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    return header.write(to: &raw, at: 0)
}

/// SACK blocks and fields of accurate ECN that find no room are left out when written; all else is the same.
private func equal(_ left: TCPHeader, _ right: TCPHeader) -> Bool {
    guard left.sourcePort == right.sourcePort, left.destinationPort == right.destinationPort,
        left.sequence == right.sequence, left.acknowledgment == right.acknowledgment, left.flags == right.flags,
        left.window == right.window, left.urgentPointer == right.urgentPointer,
        left.options.maximumSegmentSize == right.options.maximumSegmentSize,
        left.options.windowScale == right.options.windowScale,
        left.options.sackPermitted == right.options.sackPermitted, left.options.timestamps == right.options.timestamps,
        left.options.fastOpen == right.options.fastOpen,
        right.options.sackCount <= left.options.sackCount,
        right.options.accurateECN?.count ?? 0 <= left.options.accurateECN?.count ?? 0
    else { return false }
    for index in 0..<right.options.sackCount
    where left.options.sackBlocks[index] != right.options.sackBlocks[index] { return false }
    let beside =
        left.options.maximumSegmentSize != nil || left.options.windowScale != nil || left.options.fastOpen != nil
        || left.options.accurateECN != nil
    return beside || right.options.sackCount == min(left.options.sackCount, left.options.timestamps == nil ? 4 : 3)
}

/// TCP options read the plain way (RFC 9293 §3.1, RFC 7323, RFC 2018): what stands last counts.
private struct NaiveOptions {
    var segmentSize: UInt16?
    var shift: UInt8?
    var permitsSACK = false
    var stamps: TCPTimestamps?
    var blocks: [SACKBlock] = []

    init?(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while let kind = rest.first, kind != 0 {
            rest = rest.dropFirst()
            if kind == 1 { continue }
            guard let length = rest.first, length >= 2, rest.count >= Int(length) - 1 else { return nil }
            let body = Array(rest.prefix(Int(length) - 1).dropFirst())
            rest = rest.dropFirst(Int(length) - 1)
            take(kind, body)
        }
    }

    private mutating func take(_ kind: UInt8, _ body: [UInt8]) {
        func word(_ index: Int) -> UInt32 {
            body[index..<index + 4].reduce(0) { $0 << 8 | UInt32($1) }
        }
        switch (kind, body.count) {
        case (2, 2): segmentSize = UInt16(body[0]) << 8 | UInt16(body[1])
        case (3, 1): shift = body[0]
        case (4, 0): permitsSACK = true
        case (5, let count) where count > 0 && count % 8 == 0:
            blocks = stride(from: 0, to: min(count, 32), by: 8).map {
                SACKBlock(start: SequenceNumber(word($0)), end: SequenceNumber(word($0 + 4)))
            }
        case (8, 8): stamps = TCPTimestamps(value: word(0), echo: word(4))
        default: break
        }
    }

    func agrees(with options: TCPOptions) -> Bool {
        guard options.maximumSegmentSize == segmentSize, options.windowScale == shift,
            options.sackPermitted == permitsSACK, options.timestamps == stamps, options.sackCount == blocks.count
        else { return false }
        for index in blocks.indices where options.sackBlocks[index] != blocks[index] { return false }
        return true
    }
}
