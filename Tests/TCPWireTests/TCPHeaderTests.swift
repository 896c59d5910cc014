import TCPWire
import Testing

@Suite("The TCP header (RFC 9293 §3.1)")
struct TCPHeaderTests {
    static let bytes = hex("c001 0050 89abcdef 01234567 5018 fffe a1b2 0007")

    @Test("Every field is read from its place")
    func fields() throws {
        let header = try parseTCP(Self.bytes)
        #expect(header.sourcePort == 0xC001)
        #expect(header.destinationPort == 80)
        #expect(header.sequence == SequenceNumber(0x89AB_CDEF))
        #expect(header.acknowledgment == SequenceNumber(0x0123_4567))
        #expect(header.flags == [.psh, .ack])
        #expect(header.window == 0xFFFE)
        #expect(header.urgentPointer == 7)
        #expect(header.headerLength == 20)
    }

    @Test("The window is unsigned: 65,535 is not minus one (RFC 9293 MUST-1)")
    func window() throws {
        var bytes = Self.bytes
        bytes.replaceSubrange(14..<16, with: [0xFF, 0xFF])
        #expect(try parseTCP(bytes).window == 65_535)
    }

    @Test("Every combination of control bits is read and written as it stands")
    func everyFlag() throws {
        for raw in 0..<512 as Range<UInt16> {
            let flags = TCPFlags(rawValue: raw)
            let (bytes, strayed) = written(
                TCPHeader(sourcePort: 1, destinationPort: 2, sequence: SequenceNumber(3), flags: flags))
            #expect(!strayed)
            #expect(bytes[13] == UInt8(raw & 255) && bytes[12] == 0x50 | UInt8(raw >> 8))
            #expect(try parseTCP(bytes).flags == flags)
        }
    }

    @Test("The bits have the RFC's places: CWR ECE URG ACK PSH RST SYN FIN, and AE before them")
    func placesOfFlags() {
        let order: [TCPFlags] = [.fin, .syn, .rst, .psh, .ack, .urg, .ece, .cwr, .ae]
        for (place, flag) in order.enumerated() { #expect(flag.rawValue == 1 << place) }
    }

    @Test("Flags are named in the order SYN, FIN, RST, PSH, URG, ACK")
    func names() {
        #expect(TCPFlags(rawValue: 511).names == ["SYN", "FIN", "RST", "PSH", "URG", "ACK"])
        #expect(TCPFlags([.syn, .ack]).names == ["SYN", "ACK"])
        #expect(TCPFlags([.ece, .cwr, .ae]).names == [])
    }

    @Test("A SYN with any of the reserved bits set is still a SYN")
    func reservedBits() throws {
        for reserved in 0..<8 as Range<UInt8> {
            var bytes = Self.bytes
            bytes[12] = 0x50 | reserved << 1
            bytes[13] = 0x02
            #expect(try parseTCP(bytes).flags == .syn, "reserved bits \(reserved)")
        }
    }

    @Test("Reserved bits are zero in what is written, whatever the flags hold")
    func reservedBitsWritten() {
        let (bytes, _) = written(
            TCPHeader(sourcePort: 1, destinationPort: 2, sequence: SequenceNumber(3), flags: TCPFlags(rawValue: 0xFFFF))
        )
        #expect(bytes[12] & 0x0E == 0)
        #expect(bytes[12] >> 4 == 5)
    }

    @Test("A header cut anywhere is refused")
    func truncation() throws {
        let whole = hex("c001 0050 89abcdef 01234567 8018 fffe a1b2 0007 0101080a 00000001 00000002")
        for length in 0..<20 {
            #expect(throws: PacketFault.truncated) { try parseTCP(Array(whole[..<length])) }
        }
        for length in 20..<32 {
            #expect(throws: PacketFault.badHeaderLength) { try parseTCP(Array(whole[..<length])) }
        }
        #expect(try parseTCP(whole).options.timestamps == TCPTimestamps(value: 1, echo: 2))
    }

    @Test("A data offset below five is refused, and so is one past the end")
    func dataOffset() {
        for offset in 0..<16 {
            var bytes = Self.bytes
            bytes[12] = UInt8(offset) << 4
            if offset == 5 {
                #expect(throws: Never.self) { try parseTCP(bytes) }
            } else {
                #expect(throws: PacketFault.badHeaderLength) { try parseTCP(bytes) }
            }
        }
    }

    @Test("Data behind the header does not change what is read")
    func dataBehind() throws {
        let header = try parseTCP(Self.bytes + [2, 4, 5, 180])
        #expect(header.headerLength == 20)
        #expect(header.options.maximumSegmentSize == nil)
    }

    @Test("A header written is the header read")
    func roundTrip() throws {
        var numbers = Numbers(seed: 14)
        for _ in 0..<trials / 10 {
            let header = TCPHeader(
                sourcePort: UInt16(truncatingIfNeeded: numbers.next()),
                destinationPort: UInt16(truncatingIfNeeded: numbers.next()), sequence: SequenceNumber(numbers.edgy()),
                acknowledgment: SequenceNumber(numbers.edgy()), flags: TCPFlags(rawValue: UInt16(numbers.below(512))),
                window: UInt16(truncatingIfNeeded: numbers.edgy()),
                urgentPointer: UInt16(truncatingIfNeeded: numbers.edgy()),
                options: TCPOptionsTests.random(&numbers))
            let (bytes, strayed) = written(header)
            #expect(!strayed)
            #expect(bytes.count == header.headerLength && bytes.count % 4 == 0 && bytes.count <= 60)
            #expect(bytes[16] == 0 && bytes[17] == 0, "the checksum waits to be filled in")
            let read = try parseTCP(bytes)
            #expect(read.sourcePort == header.sourcePort && read.destinationPort == header.destinationPort)
            #expect(read.sequence == header.sequence && read.acknowledgment == header.acknowledgment)
            #expect(read.flags == header.flags && read.window == header.window)
            #expect(read.urgentPointer == header.urgentPointer && read.headerLength == header.headerLength)
            TCPOptionsTests.expectSame(read.options, header.options)
        }
    }
}

@Suite("The TCP checksum (RFC 9293 MUST-2, MUST-3)")
struct TCPChecksumTests {
    private func addresses(isIPv6: Bool) -> (IPAddress, IPAddress) {
        isIPv6 ? (.of("2001:db8::1"), .of("fd00::2")) : (.of("10.0.0.1"), .of("192.0.2.7"))
    }

    private func segment(payload: [UInt8], isIPv6: Bool) -> [UInt8] {
        let (source, destination) = addresses(isIPv6: isIPv6)
        var bytes = TCPHeaderTests.bytes + payload
        bytes[16] = 0
        bytes[17] = 0
        var packet = [UInt8](repeating: 0xEE, count: 6) + bytes + [0xEE, 0xEE, 0xEE]
        var octets = packet.mutableSpan
        var span = octets.mutableBytes
        TCPHeader.writeChecksum(
            in: &span, range: 6..<6 + bytes.count, source: source, destination: destination, partial: false)
        return Array(packet[6..<6 + bytes.count])
    }

    @Test(
        "The checksum covers pseudo-header, header and data, over both families and at every length",
        arguments: [false, true])
    func everyLength(isIPv6: Bool) {
        let (source, destination) = addresses(isIPv6: isIPv6)
        var numbers = Numbers(seed: 15)
        for length in 0..<70 {
            let bytes = segment(payload: numbers.bytes(length), isIPv6: isIPv6)
            let whole = pseudoHeader(source, destination, protocol: 6, length: bytes.count) + bytes
            #expect(naiveChecksum(whole) == 0)
            #expect(isChecksumValid(bytes, source: source, destination: destination))
        }
    }

    @Test("A flipped bit in header, data or pseudo-header makes it wrong", arguments: [false, true])
    func flippedBits(isIPv6: Bool) {
        let (source, destination) = addresses(isIPv6: isIPv6)
        var bytes = segment(payload: [1, 2, 3, 4, 5], isIPv6: isIPv6)
        for bit in 0..<bytes.count * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8)
            #expect(!isChecksumValid(bytes, source: source, destination: destination))
            bytes[bit / 8] ^= 1 << (bit % 8)
        }
        var other = destination
        other.low ^= 1
        #expect(!isChecksumValid(bytes, source: source, destination: other))
        #expect(!isChecksumValid(bytes, source: other, destination: destination))
        #expect(!isChecksumValid((bytes + [0]), source: source, destination: destination))
    }

    @Test(
        "A partial checksum is the pseudo-header's sum, and a device that adds the rest gets it right",
        arguments: [false, true])
    func partial(isIPv6: Bool) {
        let (source, destination) = addresses(isIPv6: isIPv6)
        var numbers = Numbers(seed: 16)
        for length in [0, 1, 2, 3, 1459, 1460, 64_000] {
            var bytes = TCPHeaderTests.bytes + numbers.bytes(length)
            bytes[16] = 0
            bytes[17] = 0
            let count = bytes.count
            var octets = bytes.mutableSpan
            var span = octets.mutableBytes
            TCPHeader.writeChecksum(
                in: &span, range: 0..<count, source: source, destination: destination, partial: true)
            let pseudo = pseudoHeader(source, destination, protocol: 6, length: count)
            #expect(UInt16(bytes[16]) << 8 | UInt16(bytes[17]) == ~naiveChecksum(pseudo))
            // What CHECKSUM_PARTIAL means: the device sums from the transport header on and stores the complement.
            let finished = naiveChecksum(bytes)
            bytes[16] = UInt8(finished >> 8)
            bytes[17] = UInt8(finished & 255)
            #expect(isChecksumValid(bytes, source: source, destination: destination))
        }
    }
}
