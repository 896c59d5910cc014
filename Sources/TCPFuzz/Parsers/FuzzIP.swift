import TCPWire

/// Any octets as an IP packet: as they are, and with version, length and checksum mended so that the parser goes on.
public func fuzzIP(_ input: RawSpan) {
    var octets = Octets(input)
    let mode = octets.next()
    var bytes = octets.rest()
    checkIP(bytes)
    guard bytes.count >= 20 else { return }
    if mode & 1 == 0 {
        mendIPv4(&bytes)
    } else if bytes.count >= 40 {
        bytes[0] = 0x60 | bytes[0] & 0xF
        put16(UInt16(bytes.count - 40), &bytes, at: 4)
        if mode & 2 != 0 { bytes[8] = 0xFD }
    }
    checkIP(bytes)
}

func mendIPv4(_ bytes: inout [UInt8]) {
    let words = max(5, min(Int(bytes[0] & 0xF), bytes.count / 4))
    bytes[0] = 0x40 | UInt8(words)
    put16(UInt16(bytes.count), &bytes, at: 2)
    mendChecksum(&bytes, 0..<words * 4, field: 10)
}

private func checkIP(_ bytes: [UInt8]) {
    guard let header = try? IPHeader(parsing: bytes.span.bytes) else { return }
    require(
        header.headerLength >= (bytes[0] >> 4 == 4 ? 20 : 40) && header.headerLength <= header.totalLength
            && header.totalLength <= bytes.count, "an IP header reaches outside its packet")
    require(header.source.isIPv4 == header.destination.isIPv4, "the addresses of a packet are of one family")
    require(header.source.isIPv4 == (bytes[0] >> 4 == 4), "the addresses are of the packet's version")

    // What lies behind the packet's own length makes no difference.
    let cut = Array(bytes[..<header.totalLength])
    guard let again = try? IPHeader(parsing: cut.span.bytes) else { fatalError("padding makes a packet readable") }
    require(equal(header, again), "padding changes what a packet says")

    // What was read can be written, and reads the same.
    let length = header.totalLength - header.headerLength
    var written = [UInt8](repeating: 0, count: 48 + length)
    let offset = writeIP(header, payload: length, &written)
    written.removeSubrange((offset + length)...)
    guard let back = try? IPHeader(parsing: written.span.bytes) else {
        fatalError("a header that was written cannot be read")
    }
    require(back.headerLength == offset && back.totalLength == offset + length, "a written header has another length")
    var expected = header
    expected.headerLength = back.headerLength
    expected.totalLength = back.totalLength
    if mayBeWritten(header) { require(equal(expected, back), "a header reads differently from what was written") }
}

/// A header is written without extension headers: a transport number that names one cannot stand there.
private func mayBeWritten(_ header: IPHeader) -> Bool {
    header.source.isIPv4 || ![0, 43, 44, 60].contains(header.protocolNumber)
}

private func writeIP(_ header: IPHeader, payload: Int, _ bytes: inout [UInt8]) -> Int {
    var header = header
    if !mayBeWritten(header) { header.protocolNumber = 59 }
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    return header.write(to: &raw, payloadLength: payload)
}

private func equal(_ left: IPHeader, _ right: IPHeader) -> Bool {
    left.source == right.source && left.destination == right.destination && left.protocolNumber == right.protocolNumber
        && left.hopLimit == right.hopLimit && left.trafficClass == right.trafficClass
        && left.headerLength == right.headerLength && left.totalLength == right.totalLength
        && left.fragment == right.fragment
}
