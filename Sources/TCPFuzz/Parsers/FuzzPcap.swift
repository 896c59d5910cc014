import TCPTrace
import TCPWire

/// Any octets as a capture file, as they are and behind a right header: what is read can be written, and reads the same.
public func fuzzPcap(_ input: RawSpan) {
    var octets = Octets(input)
    let mode = octets.next()
    let bytes = octets.rest()
    check(bytes)
    guard mode & 1 == 0 else { return }
    // A header of one of the four kinds, then the input as records.
    let magics: [[UInt8]] = [
        [0xA1, 0xB2, 0xC3, 0xD4], [0xD4, 0xC3, 0xB2, 0xA1], [0xA1, 0xB2, 0x3C, 0x4D], [0x4D, 0x3C, 0xB2, 0xA1],
    ]
    let magic = magics[Int(mode >> 1 & 3)]
    let isBigEndian = magic[0] == 0xA1
    let link: UInt8 = mode & 8 == 0 ? 101 : 1
    let words: [UInt8] = isBigEndian ? [0, 2, 0, 4] : [2, 0, 4, 0]
    let tail: [UInt8] =
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF] + (isBigEndian ? [0, 0, 0, link] : [link, 0, 0, 0])
    check(magic + words + tail + bytes)
}

private func check(_ file: [UInt8]) {
    guard let reader = try? PcapReader(file) else { return }
    var octets = 24
    for packet in reader.packets { octets += 16 + packet.bytes.count }
    require(octets <= file.count, "a capture holds more packets than octets")
    let writer = PcapWriter()
    var written: [UInt8] = []
    writer.appendHeader(to: &written)
    for packet in reader.packets { writer.append(packet.bytes.span.bytes, at: packet.time, to: &written) }
    guard let again = try? PcapReader(written) else { fatalError("a capture that was written cannot be read") }
    require(again.packets.count == reader.packets.count, "a capture has lost packets")
    for (left, right) in zip(reader.packets, again.packets) {
        require(left.bytes == right.bytes, "a packet has changed on its way through a capture")
        // Seconds are 32 bits in the file.
        let fits = left.time.nanoseconds / 1_000_000_000 <= Int64(UInt32.max)
        require(!fits || left.time == right.time, "a packet's time has changed on its way through a capture")
    }
}
