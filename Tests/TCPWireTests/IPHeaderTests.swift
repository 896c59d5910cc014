import TCPWire
import Testing

@Suite("The IPv4 header (RFC 791 §3.1)")
struct IPv4HeaderTests {
    /// A header of our own making with `options`, `payload` octets behind it and a right checksum.
    static func packet(options: [UInt8] = [], payload: Int = 8, fragment: UInt16 = 0x4000, padding: Int = 0) -> [UInt8]
    {
        let length = 20 + options.count
        var bytes: [UInt8] = [0x40 | UInt8(length / 4), 0xB9] + big16(length + payload) + [0x12, 0x34]
        bytes += big16(Int(fragment)) + [61, 6, 0, 0, 10, 0, 0, 1, 192, 0, 2, 7] + options
        let sum = naiveChecksum(bytes)
        bytes[10] = UInt8(sum >> 8)
        bytes[11] = UInt8(sum & 255)
        return bytes + [UInt8](repeating: 0x55, count: payload + padding)
    }

    @Test("Every field is read from its place")
    func fields() throws {
        let header = try parseIP(Self.packet())
        #expect(header.source == IPAddress(10, 0, 0, 1))
        #expect(header.destination == IPAddress(192, 0, 2, 7))
        #expect(header.protocolNumber == IPProtocol.tcp)
        #expect(header.hopLimit == 61)
        #expect(header.trafficClass == 0xB9)
        #expect(header.headerLength == 20)
        #expect(header.totalLength == 28)
        #expect(!header.isFragment)
    }

    @Test("Options are passed over: the transport header starts behind them (RFC 9293 MUST-50)")
    func options() throws {
        // Router alert (RFC 2113), an unknown option, NOP, end of list with garbage behind it.
        for options in [
            hex("9404 0000"), hex("df06 01020304 0100"), hex("01010101"), hex("00ffffff"), hex("07 07 04 00000000 00"),
        ] {
            let header = try parseIP(Self.packet(options: options))
            #expect(header.headerLength == 20 + options.count)
            #expect(header.totalLength == 28 + options.count)
        }
        let most = [UInt8](repeating: 1, count: 40)
        #expect(try parseIP(Self.packet(options: most)).headerLength == 60)
    }

    @Test(
        "An option whose length is 0, 1, missing or past the header is refused",
        arguments: ["9400 0000", "9401 0000", "9405 0000", "01010194"])
    func badOptions(options: String) {
        #expect(throws: PacketFault.badExtension) { try parseIP(Self.packet(options: hex(options))) }
    }

    @Test("Padding behind the packet, as short Ethernet frames have, is no part of it")
    func padding() throws {
        let header = try parseIP(Self.packet(payload: 0, padding: 26))
        #expect(header.totalLength == 20)
    }

    @Test("A fragment is one with more to come, or with an offset; DF and the reserved bit make none")
    func fragments() throws {
        #expect(try parseIP(Self.packet(fragment: 0x2000)).isFragment)
        #expect(try parseIP(Self.packet(fragment: 0x0001)).isFragment)
        #expect(try parseIP(Self.packet(fragment: 0x1FFF)).isFragment)
        #expect(try !parseIP(Self.packet(fragment: 0x4000)).isFragment)
        #expect(try !parseIP(Self.packet(fragment: 0x8000)).isFragment)
        #expect(try !parseIP(Self.packet(fragment: 0x0000)).isFragment)
    }

    @Test("A packet cut anywhere is refused, and read whole")
    func truncation() throws {
        let whole = Self.packet(options: hex("9404 0000 01010101"), payload: 12)
        for length in 0..<whole.count {
            #expect(throws: PacketFault.self, "\(length) octets") { try parseIP(Array(whole[..<length])) }
        }
        #expect(throws: PacketFault.truncated) { try parseIP(Array(whole[..<19])) }
        #expect(throws: PacketFault.badHeaderLength) { try parseIP(Array(whole[..<27])) }
        #expect(throws: PacketFault.badTotalLength) { try parseIP(Array(whole[..<39])) }
        #expect(try parseIP(whole).totalLength == whole.count)
    }

    @Test("A header length below five words is refused")
    func shortHeader() {
        for words in 0..<5 {
            var packet = Self.packet()
            packet[0] = 0x40 | UInt8(words)
            #expect(throws: PacketFault.badHeaderLength) { try parseIP(packet) }
        }
    }

    @Test("A total length below the header's is refused")
    func shortTotal() {
        for total in 0..<20 {
            var packet = Self.packet()
            packet[2] = 0
            packet[3] = UInt8(total)
            #expect(throws: PacketFault.badTotalLength) { try parseIP(packet) }
        }
    }

    @Test("Versions other than 4 and 6 are refused")
    func versions() {
        for version in 0..<16 where version != 4 && version != 6 {
            var packet = Self.packet(payload: 40)
            packet[0] = UInt8(version) << 4 | 5
            #expect(throws: PacketFault.badVersion) { try parseIP(packet) }
        }
    }

    @Test("Any flipped bit of the header is noticed")
    func flippedBits() {
        for bit in 0..<160 {
            var packet = Self.packet(payload: 60)
            packet[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: PacketFault.self, "bit \(bit)") { try parseIP(packet) }
        }
    }

    @Test("A header written is the header read, atomic by RFC 6864, with a right checksum [6528-3, 6691-3]")
    func roundTrip() throws {
        var numbers = Numbers(seed: 12)
        for _ in 0..<trials / 20 {
            let header = IPHeader(
                source: IPAddress(ipv4: numbers.edgy()), destination: IPAddress(ipv4: numbers.edgy()),
                protocolNumber: UInt8(truncatingIfNeeded: numbers.next()),
                hopLimit: UInt8(truncatingIfNeeded: numbers.next()),
                trafficClass: UInt8(truncatingIfNeeded: numbers.next()))
            let payload = numbers.below(65_516)
            let (bytes, length) = written(header, payloadLength: payload)
            #expect(length == 20)
            #expect(naiveChecksum(bytes) == 0)
            #expect(Array(bytes[4..<8]) == [0, 0, 0x40, 0])
            #expect(bytes[0] == 0x45)
            let read = try parseIP(bytes + [UInt8](repeating: 0, count: payload))
            #expect(read.source == header.source && read.destination == header.destination)
            #expect(read.protocolNumber == header.protocolNumber && read.hopLimit == header.hopLimit)
            #expect(read.trafficClass == header.trafficClass && !read.isFragment)
            #expect(read.headerLength == 20 && read.totalLength == 20 + payload)
        }
    }
}

@Suite("The IPv6 header (RFC 8200 §3)")
struct IPv6HeaderTests {
    static let source = IPAddress.of("2001:db8::1")
    static let destination = IPAddress.of("fd00::7:8")

    /// A packet whose first header has number `next`, with `rest` behind the fixed header.
    static func packet(next: UInt8, rest: [UInt8], length: Int? = nil) -> [UInt8] {
        [0x6B, 0x91, 0x23, 0x45] + big16(length ?? rest.count) + [next, 61] + octets(source) + octets(destination)
            + rest
    }

    static let transport = [UInt8](repeating: 0x55, count: 20)

    @Test("Every field is read from its place")
    func fields() throws {
        let header = try parseIP(Self.packet(next: 6, rest: Self.transport))
        #expect(header.source == Self.source)
        #expect(header.destination == Self.destination)
        #expect(header.protocolNumber == IPProtocol.tcp)
        #expect(header.hopLimit == 61)
        #expect(header.trafficClass == 0xB9)
        #expect(header.headerLength == 40)
        #expect(header.totalLength == 60)
        #expect(!header.isFragment)
    }

    @Test("A packet cut anywhere is refused")
    func truncation() throws {
        let whole = Self.packet(next: 0, rest: hex("3c00 0104 00000000 0600 0104 00000000") + Self.transport)
        for length in 0..<whole.count {
            #expect(throws: PacketFault.self, "\(length) octets") { try parseIP(Array(whole[..<length])) }
        }
        #expect(throws: PacketFault.truncated) { try parseIP(Array(whole[..<39])) }
        #expect(throws: PacketFault.badTotalLength) { try parseIP(Array(whole[..<75])) }
        #expect(try parseIP(whole).headerLength == 56)
    }

    @Test("A payload length of its own that ends inside an extension header is refused, at every octet")
    func shortPayload() throws {
        let rest = hex("3c00 0104 00000000 0600 0104 00000000") + Self.transport
        for length in 0..<16 {
            #expect(throws: PacketFault.badExtension, "\(length) octets") {
                try parseIP(Self.packet(next: 0, rest: rest, length: length))
            }
        }
        #expect(try parseIP(Self.packet(next: 0, rest: rest, length: 16)).totalLength == 56)
    }

    @Test("Padding behind the packet is no part of it")
    func padding() throws {
        #expect(try parseIP(Self.packet(next: 6, rest: Self.transport + [0, 0, 0], length: 20)).totalLength == 60)
    }

    @Test("A mapped IPv4 address is no address on the wire (RFC 4942 §2.2)")
    func mapped() {
        var packet = Self.packet(next: 6, rest: Self.transport)
        let mapped = hex("00000000000000000000ffff 0a000001")
        packet.replaceSubrange(8..<24, with: mapped)
        #expect(throws: PacketFault.martianSource) { try parseIP(packet) }
        packet = Self.packet(next: 6, rest: Self.transport)
        packet.replaceSubrange(24..<40, with: mapped)
        #expect(throws: PacketFault.notForUs) { try parseIP(packet) }
    }

    @Test("A header written is the header read")
    func roundTrip() throws {
        var numbers = Numbers(seed: 13)
        for _ in 0..<trials / 20 {
            let header = IPHeader(
                source: IPAddress(high: numbers.next() | 1, low: numbers.next()),
                destination: IPAddress(high: numbers.next() | 1, low: numbers.next()),
                protocolNumber: [6, 17, 58, 59][numbers.below(4)], hopLimit: UInt8(truncatingIfNeeded: numbers.next()),
                trafficClass: UInt8(truncatingIfNeeded: numbers.next()))
            let payload = numbers.below(65_536)
            let (bytes, length) = written(header, payloadLength: payload)
            #expect(length == 40)
            #expect(bytes[0] >> 4 == 6)
            #expect(bytes[1] & 0xF == 0 && bytes[2] == 0 && bytes[3] == 0, "the flow label is zero")
            let read = try parseIP(bytes + [UInt8](repeating: 0, count: payload))
            #expect(read.source == header.source && read.destination == header.destination)
            #expect(read.protocolNumber == header.protocolNumber && read.hopLimit == header.hopLimit)
            #expect(read.trafficClass == header.trafficClass && !read.isFragment)
            #expect(read.headerLength == 40 && read.totalLength == 40 + payload)
        }
    }
}

@Suite("IPv6 extension headers (RFC 8200 §4)")
struct IPv6ExtensionTests {
    private func parse(next: UInt8, _ rest: String) throws(PacketFault) -> IPHeader {
        try parseIP(IPv6HeaderTests.packet(next: next, rest: hex(rest) + IPv6HeaderTests.transport))
    }

    @Test("Hop-by-hop and destination options are passed over when their options allow it")
    func options() throws {
        #expect(try parse(next: 0, "0600 0104 00000000").headerLength == 48)
        #expect(try parse(next: 60, "0600 0502 0000 0100").headerLength == 48, "router alert is of the kind to skip")
        #expect(try parse(next: 0, "3c00 00000000 0000 0601 1e0c 00000000 00000000 00000000").headerLength == 64)
        #expect(try parse(next: 60, "0600 000000000000").protocolNumber == IPProtocol.tcp, "Pad1 alone")
    }

    @Test("Hop-by-hop options stand first or nowhere")
    func hopByHopFirst() {
        #expect(throws: PacketFault.badExtension) { try parse(next: 60, "0000 0104 00000000 0600 0104 00000000") }
    }

    @Test(
        "An unknown option whose high bits are not 00 stops the packet",
        arguments: ["43", "83", "c3", "c2", "7f", "ff"])
    func unknownOptions(type: String) {
        #expect(throws: PacketFault.badExtension) { try parse(next: 60, "0600 \(type)04 00000000") }
    }

    @Test(
        "An unknown option whose high bits are 00 is passed over (RFC 9293 MUST-50)",
        arguments: ["03", "1e", "3f", "23"])
    func skippedOptions(type: String) throws {
        #expect(try parse(next: 60, "0600 \(type)04 00000000").headerLength == 48)
    }

    @Test(
        "An option that reaches past its header is refused",
        arguments: ["0600 0105 00000000", "0600 03ff 00000000", "0600 0000 00000003"])
    func longOptions(text: String) {
        #expect(throws: PacketFault.badExtension) { try parse(next: 60, text) }
    }

    @Test("An extension header that reaches past the packet is refused")
    func longHeaders() {
        #expect(throws: PacketFault.badExtension) { try parse(next: 0, "06ff 0104 00000000") }
        #expect(throws: PacketFault.badExtension) { try parse(next: 60, "06ff 0104 00000000") }
        #expect(throws: PacketFault.badExtension) { try parse(next: 43, "06ff 0000 00000000") }
        #expect(throws: PacketFault.badExtension) {
            try parseIP(IPv6HeaderTests.packet(next: 44, rest: hex("0600 0000 000000")))
        }
    }

    @Test(
        "A routing header is passed over when nothing is left to visit, and refused otherwise (RFC 8200 §4.4, RFC 5095)"
    )
    func routing() throws {
        #expect(try parse(next: 43, "0600 0000 00000000").headerLength == 48)
        #expect(throws: PacketFault.badExtension) {
            try parse(next: 43, "0602 0001 00000000 20010db8000000000000000000000009")
        }
    }

    @Test("An atomic fragment is a whole packet (RFC 6946); any other is a fragment")
    func fragments() throws {
        let atomic = try parse(next: 44, "0600 0000 12345678")
        #expect(!atomic.isFragment && atomic.headerLength == 48 && atomic.protocolNumber == IPProtocol.tcp)
        #expect(try !parse(next: 44, "0600 0006 12345678").isFragment, "the two reserved bits are ignored")
        #expect(try parse(next: 44, "0600 0001 12345678").isFragment)
        #expect(try parse(next: 44, "0600 0008 12345678").isFragment)
        #expect(try parse(next: 44, "0600 fff8 12345678").isFragment)
    }

    @Test("What cannot be passed over is the packet's protocol", arguments: [50, 51, 59, 135, 253] as [UInt8])
    func others(number: UInt8) throws {
        #expect(try parse(next: number, "").protocolNumber == number)
        #expect(try parse(next: 60, String(number, radix: 16) + "00 0104 00000000").protocolNumber == number)
    }

    @Test("A chain of eight headers is read, one of nine is refused (RFC 8504 §5.3)")
    func chains() throws {
        let link = "3c00 0104 00000000"
        let last = "0600 0104 00000000"
        #expect(try parse(next: 60, String(repeating: link, count: 7) + last).headerLength == 40 + 64)
        #expect(throws: PacketFault.badExtension) { try parse(next: 60, String(repeating: link, count: 8) + last) }
        #expect(throws: PacketFault.badExtension) { try parse(next: 60, String(repeating: link, count: 200) + last) }
    }
}
