import TCPWire
import Testing

@Suite("Fragments of IP (RFC 791 §3.2, RFC 8200 §4.5)")
struct IPFragmentTests {
    private func v4(_ field: UInt16, payload: Int = 40) throws -> IPHeader {
        try parseIP(IPv4HeaderTests.packet(payload: payload, fragment: field))
    }

    private func v6(_ text: String, payload: Int = 40) throws -> IPHeader {
        try parseIP(IPv6HeaderTests.packet(next: 44, rest: hex(text) + [UInt8](repeating: 0x55, count: payload)))
    }

    @Test("Identification, offset in octets and more-fragments are read from their places")
    func fields() throws {
        #expect(try v4(0x2000).fragment == IPFragment(identification: 0x1234, offset: 0, hasMore: true))
        #expect(try v4(0x3FFF).fragment == IPFragment(identification: 0x1234, offset: 65_528, hasMore: true))
        #expect(try v4(0x00B9).fragment == IPFragment(identification: 0x1234, offset: 1480, hasMore: false))
        #expect(try v4(0xC000).fragment == nil)
        let more = try v6("1100 05a9 89abcdef")
        #expect(more.fragment == IPFragment(identification: 0x89AB_CDEF, offset: 1448, hasMore: true))
        #expect(more.protocolNumber == 17 && more.headerLength == 48)
        // The two reserved bits say nothing.
        #expect(try v6("1100 05ae 89abcdef").fragment?.offset == 1448)
        #expect(try v6("1100 05ae 89abcdef").fragment?.hasMore == false)
        #expect(try v6("1100 0006 89abcdef").fragment == nil)
    }

    @Test("What stands before a fragment header counts towards 65,535, the fixed IPv6 header does not (RFC 8200 §4.5)")
    func overhead() throws {
        #expect(try v4(0x2000).fragmentOverhead == 20)
        #expect(try v6("1100 0001 00000000").fragmentOverhead == 0)
        let options = try parseIP(
            IPv6HeaderTests.packet(
                next: 60, rest: hex("2c00 0104 00000000 1100 0001 00000000") + IPv6HeaderTests.transport))
        #expect(options.headerLength == 56 && options.fragmentOverhead == 8)
    }

    @Test("A fragment header written is the one read")
    func roundTrip() throws {
        var numbers = Numbers(seed: 91)
        for index in 0..<trials / 20 {
            let isIPv4 = index % 2 == 0
            var header = IPHeader(
                source: isIPv4 ? IPAddress(10, 0, 0, 1) : IPv6HeaderTests.source,
                destination: isIPv4 ? IPAddress(192, 0, 2, 7) : IPv6HeaderTests.destination,
                protocolNumber: 17, hopLimit: 9, trafficClass: 0xA4)
            let fragment = IPFragment(
                identification: isIPv4 ? UInt32(numbers.below(65_536)) : numbers.edgy(),
                offset: (1 + numbers.below(8191)) * 8, hasMore: numbers.below(2) == 0)
            header.fragment = fragment
            let payload = numbers.below(1400)
            let (bytes, length) = written(header, payloadLength: payload)
            #expect(length == (isIPv4 ? 20 : 48))
            if isIPv4 { #expect(naiveChecksum(bytes) == 0 && bytes[6] & 0x40 == 0, "DF is clear") }
            let read = try parseIP(bytes + [UInt8](repeating: 0, count: payload))
            #expect(read.fragment == fragment && read.protocolNumber == 17 && read.trafficClass == 0xA4)
            #expect(read.headerLength == length && read.totalLength == length + payload)
        }
    }

    private func check(_ packet: [UInt8]) throws(PacketFault) {
        try parseIP(packet).checkFragment(packet.span.bytes)
    }

    @Test("A fragment before the last has a multiple of eight octets, and none is empty (RFC 8200 §4.5)")
    func lengths() throws {
        for payload in 0...24 {
            let isGood = payload > 0 && payload % 8 == 0
            let packets = [
                IPv4HeaderTests.packet(payload: payload, fragment: 0x2001),
                IPv6HeaderTests.packet(
                    next: 44, rest: hex("1100 0009 00000000") + [UInt8](repeating: 1, count: payload)),
            ]
            for packet in packets {
                if isGood {
                    try check(packet)
                } else {
                    #expect(throws: PacketFault.fragmentLength) { try check(packet) }
                }
            }
            let last = IPv4HeaderTests.packet(payload: payload, fragment: 0x0001)
            if payload > 0 { try check(last) } else { #expect(throws: PacketFault.fragmentLength) { try check(last) } }
        }
    }

    @Test("A fragment that ends past 65,535 octets is refused, one that ends there is not (ping of death)")
    func tooLong() throws {
        try check(IPv4HeaderTests.packet(payload: 65_535 - 20 - 65_504, fragment: 0x1FFC))
        #expect(throws: PacketFault.fragmentTooLong) {
            try check(IPv4HeaderTests.packet(payload: 65_535 - 20 - 65_504 + 1, fragment: 0x1FFC))
        }
        let rest = hex("1100 fff8 00000000")
        try check(IPv6HeaderTests.packet(next: 44, rest: rest + [UInt8](repeating: 1, count: 7)))
        #expect(throws: PacketFault.fragmentTooLong) {
            try check(IPv6HeaderTests.packet(next: 44, rest: rest + [UInt8](repeating: 1, count: 8)))
        }
    }

    @Test("A first fragment holds the TCP header with its options (RFC 7112 §5, RFC 1858 §3)")
    func transportHeader() throws {
        // A data offset of 0x5: 20 octets. Of 0x8: 32.
        for (offset, needed) in [(UInt8(0x50), 24), (0x80, 32), (0xF0, 64), (0x00, 24)] {
            for length in stride(from: 8, through: 72, by: 8) {
                var segment = [UInt8](repeating: 0, count: length)
                if length > 12 { segment[12] = offset }
                var packet = IPv4HeaderTests.packet(payload: length, fragment: 0x2000)
                packet.replaceSubrange(20..., with: segment)
                let other = IPv6HeaderTests.packet(next: 44, rest: hex("0600 0001 00000000") + segment)
                for packet in [packet, other] {
                    if length >= needed {
                        try check(packet)
                    } else {
                        #expect(throws: PacketFault.fragmentHeader) { try check(packet) }
                    }
                }
            }
        }
    }

    @Test(
        "A first IPv6 fragment holds the whole header chain (RFC 7112 §5)",
        arguments: [
            // Destination options and nothing behind them; options that go on in the next fragment; another fragment.
            "3c00 0001 00000000 1100 0104 00000000", "3c00 0001 00000000 1102 0104 00000000",
            "2c00 0001 00000000 1100 0001 00000001 0102030405060708",
            "0000 0001 00000000 1100 0104 00000000 0102030405060708",
        ])
    func chain(text: String) {
        #expect(throws: PacketFault.fragmentHeader) { try check(IPv6HeaderTests.packet(next: 44, rest: hex(text))) }
    }

    @Test("A whole header chain in the first fragment is taken, and later fragments are not looked into")
    func wholeChain() throws {
        try check(
            IPv6HeaderTests.packet(
                next: 44, rest: hex("3c00 0001 00000000 1100 0104 00000000 0102030405060708")))
        try check(IPv6HeaderTests.packet(next: 44, rest: hex("3c00 0009 00000000 1102 0104 00000000")))
        try check(IPv6HeaderTests.packet(next: 6, rest: IPv6HeaderTests.transport))
    }
}
