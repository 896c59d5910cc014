import TCPStack
import TCPWire
import Testing

/// ICMP errors that the stack sends.
@Suite struct ICMPErrorTests {
    private func host(_ edit: (inout Configuration) -> Void = { _ in }) -> VirtualHost {
        var configuration = Configuration()
        edit(&configuration)
        return VirtualHost(configuration)
    }

    private func header(_ family: Family, _ number: UInt8, from: Int = 2) -> IPHeader {
        IPHeader(source: family.address(from), destination: family.stackAddress, protocolNumber: number)
    }

    @Test(
        "A transport protocol not spoken draws protocol unreachable, or names the octet [RFC 1122 §3.2.2.1, RFC 8200 §4, 4443-7]",
        arguments: Family.allCases)
    func unknownProtocol(family: Family) throws {
        let host = host()
        let packet = plain(header(family, 132), pattern(40))
        host.inject(packet)
        let error = try #require(host.takeICMP(family).first)
        #expect((error.type, error.code) == (family == .ipv4 ? (3, 2) : (4, 1)))
        #expect(error.parameter == (family == .ipv4 ? 0 : 6))
        #expect(error.rest == packet)
    }

    @Test("The pointer tells the header that names what is not known [RFC 4443 §3.4, 4443-4]")
    func pointer() throws {
        let host = host()
        // Destination options (60) of eight octets, then a protocol that is not spoken.
        host.inject(plain(header(.ipv6, 60), [132, 0, 1, 4, 0, 0, 0, 0] + pattern(8)))
        #expect(host.takeICMP(.ipv6).map(\.parameter) == [40])
        // Hop-by-hop options behind another header are as good as unknown.
        host.inject(plain(header(.ipv6, 60), [0, 0, 1, 4, 0, 0, 0, 0] + [6, 0, 1, 4, 0, 0, 0, 0]))
        let error = try #require(host.takeICMP(.ipv6).first)
        #expect((error.type, error.code, error.parameter) == (4, 1, 40))
    }

    @Test("No next header draws nothing [RFC 8200 §4.7]")
    func noNextHeader() {
        let host = host()
        host.inject(plain(header(.ipv6, 59), []))
        #expect(host.takeICMP(.ipv6).isEmpty)
    }

    @Test(
        "An unknown option's two high bits say what is told of it [RFC 8200 §4.2, 4443-6]",
        arguments: [0x3E, 0x7E, 0xBE, 0xFE] as [UInt8])
    func options(type: UInt8) {
        let host = host()
        host.inject(plain(header(.ipv6, 60), [58, 0, type, 4, 0, 0, 0, 0] + echoRequest(.ipv6, [])))
        let errors = host.takeICMP(.ipv6)
        switch type >> 6 {
        case 0: #expect(errors.map(\.type) == [129])
        case 1: #expect(errors.isEmpty)
        default:
            #expect(errors.map(\.type) == [4] && errors.map(\.code) == [2] && errors.map(\.parameter) == [42])
        }
    }

    @Test("A routing header with segments left draws a parameter problem about its type [RFC 8200 §4.4]")
    func routing() {
        let host = host()
        host.inject(plain(header(.ipv6, 43), [58, 0, 0, 1, 0, 0, 0, 0] + echoRequest(.ipv6, [])))
        let errors = host.takeICMP(.ipv6)
        #expect(errors.map(\.type) == [4] && errors.map(\.code) == [0] && errors.map(\.parameter) == [42])
    }

    @Test("An IPv4 option of impossible length draws a parameter problem about it [RFC 1122 §3.2.2.5]")
    func ipv4Option() {
        let host = host()
        var packet = plain(header(.ipv4, 1), [0x94, 1, 0, 0] + echoRequest(.ipv4, []))
        packet[0] = 0x46
        packet.replaceSubrange(10..<12, with: [0, 0])
        var sum = Checksum()
        sum.add(Array(packet[..<24]).span.bytes)
        packet.replaceSubrange(10..<12, with: big16(sum.value))
        host.inject(packet)
        let errors = host.takeICMP(.ipv4)
        #expect(errors.map(\.type) == [12] && errors.map(\.code) == [0] && errors.map(\.parameter) == [21 << 24])
    }

    @Test("Fragments of wrong lengths draw parameter problems about the field [RFC 8200 §4.5, RFC 7112 §5]")
    func fragments() {
        let host = host()
        host.inject(Fragment(offset: 0, octets: echoRequest(.ipv6, pattern(73)), hasMore: true), .ipv6)
        host.inject(Fragment(offset: 65_528, octets: pattern(16), hasMore: false, number: 17), .ipv6)
        host.inject(Fragment(offset: 0, octets: [1, 2, 3], hasMore: false, number: 60), .ipv6)
        let errors = host.takeICMP(.ipv6)
        #expect(errors.map(\.type).allSatisfy { $0 == 4 })
        // A fragment header of offset zero without more is no fragment: the chain behind it is cut off, and nobody is told.
        #expect(errors.map(\.code) == [0, 0])
        #expect(errors.map(\.parameter) == [4, 42])
        host.inject(Fragment(offset: 0, octets: [17, 0, 1, 4, 0, 0, 0, 0], hasMore: true, number: 60), .ipv6)
        #expect(host.takeICMP(.ipv6).map(\.code) == [3])
    }

    @Test(
        "Fragments that were not all there in time draw time exceeded, if the first was [RFC 792, RFC 4443 §3.3, 4443-5]",
        arguments: Family.allCases)
    func reassembly(family: Family) throws {
        let host = host()
        let first = Fragment(offset: 0, octets: echoRequest(family, pattern(72)), hasMore: true, identification: 1)
        host.inject(first, family)
        host.inject(Fragment(offset: 160, octets: pattern(40), hasMore: true, identification: 1), family)
        host.inject(Fragment(offset: 80, octets: pattern(80), hasMore: true, identification: 2), family)
        host.advance(by: .seconds(29))
        #expect(host.others.isEmpty)
        host.advance(by: .seconds(2))
        let errors = host.takeICMP(family)
        let error = try #require(errors.first)
        #expect(errors.count == 1 && host.stack.counters[.fragmentTimeout] == 2)
        #expect((error.type, error.code) == (family == .ipv4 ? (11, 1) : (3, 1)))
        let quoted = try IPHeader(parsing: error.rest.span.bytes)
        #expect(quoted.source == family.peerAddress && quoted.destination == family.stackAddress)
        #expect(quoted.fragment?.identification == 1 && quoted.fragment?.offset == 0)
        #expect(Array(error.rest.dropFirst(quoted.headerLength)) == first.octets)
    }

    @Test(
        "Never about errors, later fragments, or what came to all [RFC 1122 §3.2.2, RFC 4443 §2.4, 4443-1]",
        arguments: Family.allCases)
    func silent(family: Family) {
        let host = host()
        // An error whose own headers cannot be passed over.
        if family == .ipv6 {
            host.inject(plain(header(family, 60), [58, 0, 0xBE, 4, 0, 0, 0, 0] + [1, 4, 0, 0, 0, 0, 0, 0]))
            host.inject(plain(header(family, 60), [58, 0, 0xBE, 4, 0, 0, 0, 0]))
        }
        // A later fragment of a protocol that is not spoken.
        for piece in [Fragment(offset: 8, octets: pattern(8), hasMore: false, number: 132)] {
            host.inject(piece, family)
        }
        // To a broadcast or multicast address, or from one.
        let all = family == .ipv4 ? IPAddress(10, 0, 255, 255) : IPAddress(high: 0xFF02 << 48, low: 1)
        host.inject(plain(IPHeader(source: family.peerAddress, destination: all, protocolNumber: 132), pattern(8)))
        host.inject(plain(IPHeader(source: all, destination: family.stackAddress, protocolNumber: 132), pattern(8)))
        host.advance(by: .seconds(60))
        let errors = host.takeICMP(family)
        #expect(errors.isEmpty)
    }

    @Test(
        "Errors leave at the configured rates, a second's worth at once, a source's share alone [RFC 4443 §2.4 f, 4443-2]",
        arguments: Family.allCases)
    func rate(family: Family) {
        let host = host()
        for _ in 0..<200 { host.inject(plain(header(family, 132), [1])) }
        #expect(host.takeICMP(family).count == 10)
        #expect(host.stack.counters.errorsSuppressed == 190)
        // Another host; with IPv6 of another network, as who has one address of a /64 has all.
        let other = family == .ipv4 ? family.address(3) : IPAddress(high: 0xFD01 << 48, low: 3)
        host.inject(plain(IPHeader(source: other, destination: family.stackAddress, protocolNumber: 132), [1]))
        #expect(host.takeICMP(family).count == 1)
        host.advance(by: .milliseconds(100))
        for _ in 0..<5 { host.inject(plain(header(family, 132), [1])) }
        #expect(host.takeICMP(family).count == 1)
        for number in 0..<5000 {
            let source =
                family == .ipv4
                ? IPAddress(ipv4: 0x0B00_0000 + UInt32(number))
                : IPAddress(high: 0x2001_0DB8_0000_0000 + UInt64(number), low: 1)
            host.inject(plain(IPHeader(source: source, destination: family.stackAddress, protocolNumber: 132), [1]))
        }
        let sent = host.takeICMP(family).count
        #expect((40...100).contains(sent))
    }

    @Test(
        "How many errors were caused by others cannot be counted by one's own (CVE-2020-25705) [4443-8]",
        arguments: Family.allCases)
    func noCounter(family: Family) {
        // An attacker uses up the second's errors from many sources and counts how many came: were the number always the
        // same, a probe of another's port would show in it.
        var counts: Set<Int> = []
        for second in 1...20 {
            let host = VirtualHost(Configuration(), at: Instant(nanoseconds: Int64(second) * 1_000_000_000))
            for number in 0..<2000 {
                let source =
                    family == .ipv4
                    ? IPAddress(ipv4: 0x0B00_0000 + UInt32(number))
                    : IPAddress(high: 0x2001_0DB8_0000_0000 + UInt64(number), low: 1)
                host.inject(plain(IPHeader(source: source, destination: family.stackAddress, protocolNumber: 132), [1]))
            }
            counts.insert(host.takeICMP(family).count)
        }
        #expect(counts.count >= 8)
    }

    @Test("A rate of zero is silence", arguments: Family.allCases)
    func off(family: Family) {
        let host = host { $0.icmpErrorRate = 0 }
        host.inject(plain(header(family, 132), [1]))
        host.inject(TestDatagram().packet(family))
        #expect(host.takeICMP(family).isEmpty)
    }
}
