import TCPWire
import Testing

@Suite("ICMP and ICMPv6 (RFC 792, RFC 4443)")
struct ICMPTests {
    private static let us = Endpoint(.of("10.0.0.1"), 0xC001)
    private static let peer = Endpoint(.of("192.0.2.7"), 80)
    private static let us6 = Endpoint(.of("2001:db8::1"), 0xC001)
    private static let peer6 = Endpoint(.of("fd00::7"), 80)
    private static let router6 = IPAddress.of("fd00::ffff")
    private static let sequence: UInt32 = 0x89AB_CDEF

    /// The start of a segment of ours: IP header and eight octets, the least RFC 792 promises.
    private static func quote(options: [UInt8] = [], protocol number: UInt8 = 6, transport: Int = 8) -> [UInt8] {
        var bytes: [UInt8] = [0x45 + UInt8(options.count / 4), 0] + big16(60) + [0, 0, 0x40, 0, 64, number, 0, 0]
        bytes += octets(us.address) + octets(peer.address) + options
        return bytes + Array((hex("c001 0050") + big32(sequence)).prefix(transport))
    }

    private static func quote6(next: UInt8 = 6, transport: Int = 8) -> [UInt8] {
        let header: [UInt8] = [0x60, 0, 0, 0] + big16(20) + [next, 64] + octets(us6.address) + octets(peer6.address)
        return header + Array((hex("c001 0050") + big32(sequence)).prefix(transport))
    }

    private static func message(_ type: UInt8, _ code: UInt8, _ rest: [UInt8] = [0, 0, 0, 0], quoting: [UInt8])
        -> [UInt8]
    {
        var bytes = [type, code, 0, 0] + rest + quoting
        let sum = naiveChecksum(bytes)
        bytes[2] = UInt8(sum >> 8)
        bytes[3] = UInt8(sum & 255)
        return bytes
    }

    private static func message6(_ type: UInt8, _ code: UInt8, _ rest: [UInt8] = [0, 0, 0, 0], quoting: [UInt8])
        -> [UInt8]
    {
        var bytes = [type, code, 0, 0] + rest + quoting
        let sum = naiveChecksum(pseudoHeader(router6, us6.address, protocol: 58, length: bytes.count) + bytes)
        bytes[2] = UInt8(sum >> 8)
        bytes[3] = UInt8(sum & 255)
        return bytes
    }

    private func parse(_ bytes: [UInt8]) throws(PacketFault) -> ICMPMessage { try parseICMP4(bytes) }
    private func parse6(_ bytes: [UInt8]) throws(PacketFault) -> ICMPMessage {
        try parseICMP6(bytes, Self.router6, Self.us6.address)
    }

    private func quoted(mtu: Int = 0) -> QuotedSegment {
        QuotedSegment(source: Self.us, destination: Self.peer, sequence: SequenceNumber(Self.sequence), mtu: mtu)
    }
    private func quoted6(mtu: Int = 0) -> QuotedSegment {
        QuotedSegment(source: Self.us6, destination: Self.peer6, sequence: SequenceNumber(Self.sequence), mtu: mtu)
    }

    @Test("Echo requests are known; replies and the rest are not our business")
    func echo() throws {
        #expect(try parse(Self.message(8, 0, quoting: [1, 2, 3])) == .echoRequest)
        #expect(try parse(Self.message(0, 0, quoting: [1, 2, 3])) == .other)
        #expect(try parse(Self.message(13, 0, quoting: [])) == .other)
        #expect(try parse6(Self.message6(128, 0, quoting: [1])) == .echoRequest)
        #expect(try parse6(Self.message6(129, 0, quoting: [1])) == .other)
        #expect(try parse6(Self.message6(135, 0, quoting: [])) == .other)
    }

    @Test("Source quench is discarded (RFC 9293 MUST-55)")
    func sourceQuench() throws {
        #expect(try parse(Self.message(4, 0, quoting: Self.quote())) == .other)
    }

    @Test(
        "Unreachable net, host and failed route, time exceeded and parameter problem are soft (RFC 9293 MUST-56)",
        arguments: [(3, 0), (3, 1), (3, 5), (3, 6), (3, 11), (11, 0), (11, 1), (12, 0), (12, 1)] as [(UInt8, UInt8)])
    func soft(type: UInt8, code: UInt8) throws {
        #expect(try parse(Self.message(type, code, quoting: Self.quote())) == .error(.soft, about: quoted()))
    }

    @Test("Protocol and port unreachable, and prohibitions, are hard", arguments: [2, 3, 9, 10, 13] as [UInt8])
    func hard(code: UInt8) throws {
        #expect(try parse(Self.message(3, code, quoting: Self.quote())) == .error(.hard, about: quoted()))
    }

    @Test("Fragmentation needed names the next hop's MTU (RFC 1191 §4)", arguments: [0, 68, 1280, 1500, 65_535])
    func tooBig(mtu: Int) throws {
        let message = Self.message(3, 4, [0, 0] + big16(mtu), quoting: Self.quote())
        #expect(try parse(message) == .error(.packetTooBig, about: quoted(mtu: mtu)))
    }

    @Test(
        "ICMPv6: no route and unreachable address, time exceeded and bad field are soft",
        arguments: [(1, 0), (1, 2), (1, 3), (1, 5), (1, 6), (3, 0), (3, 1), (4, 0), (4, 2)] as [(UInt8, UInt8)])
    func soft6(type: UInt8, code: UInt8) throws {
        #expect(try parse6(Self.message6(type, code, quoting: Self.quote6())) == .error(.soft, about: quoted6()))
    }

    @Test(
        "ICMPv6: prohibited, no port, and unknown next header are hard",
        arguments: [(1, 1), (1, 4), (4, 1)] as [(UInt8, UInt8)])
    func hard6(type: UInt8, code: UInt8) throws {
        #expect(try parse6(Self.message6(type, code, quoting: Self.quote6())) == .error(.hard, about: quoted6()))
    }

    @Test(
        "ICMPv6: packet too big names an MTU of 32 bits, whatever its code",
        arguments: [0, 1280, 1500, 0xFFFF_FFFF] as [UInt32])
    func tooBig6(mtu: UInt32) throws {
        for code in [0, 7] as [UInt8] {
            let message = Self.message6(2, code, big32(mtu), quoting: Self.quote6())
            #expect(try parse6(message) == .error(.packetTooBig, about: quoted6(mtu: Int(mtu))))
        }
    }

    @Test("The quoted header's options are passed over")
    func quotedOptions() throws {
        let message = Self.message(3, 1, quoting: Self.quote(options: hex("94040000")))
        #expect(try parse(message) == .error(.soft, about: quoted()))
    }

    @Test("Errors about anything but TCP and UDP are not our business")
    func otherProtocols() throws {
        #expect(try parse(Self.message(3, 3, quoting: Self.quote(protocol: 1))) == .other)
        #expect(try parse6(Self.message6(1, 4, quoting: Self.quote6(next: 58))) == .other)
    }

    @Test("An error about a datagram names its endpoints (RFC 1122 §4.1.3.3)")
    func datagrams() throws {
        guard case .error(.hard, let quoted) = try parse(Self.message(3, 3, quoting: Self.quote(protocol: 17))),
            case .error(.hard, let quoted6) = try parse6(Self.message6(1, 4, quoting: Self.quote6(next: 17)))
        else {
            Issue.record("port unreachable is an error")
            return
        }
        #expect(quoted.isDatagram && quoted6.isDatagram)
        #expect(quoted.source == self.quoted().source && quoted.destination == self.quoted().destination)
    }

    @Test("A quotation of fewer than eight octets of the segment is refused, at every length")
    func shortQuotation() throws {
        for length in 0..<28 {
            let quotation = Array(Self.quote().prefix(length))
            #expect(throws: PacketFault.badICMP, "\(length)") { try parse(Self.message(3, 1, quoting: quotation)) }
        }
        for length in 0..<48 {
            let quotation = Array(Self.quote6().prefix(length))
            #expect(throws: PacketFault.badICMP, "\(length)") { try parse6(Self.message6(1, 0, quoting: quotation)) }
        }
        for transport in 0..<8 {
            #expect(throws: PacketFault.badICMP) {
                try parse(Self.message(3, 1, quoting: Self.quote(options: hex("94040000"), transport: transport)))
            }
        }
    }

    @Test("A quotation whose version or header length is impossible is refused")
    func badQuotation() {
        for first in [0x44, 0x40, 0x55, 0x05, 0xF5] as [UInt8] {
            var quotation = Self.quote() + [0, 0, 0, 0]
            quotation[0] = first
            #expect(throws: PacketFault.badICMP) { try parse(Self.message(3, 1, quoting: quotation)) }
        }
    }

    @Test("An error of one family that quotes a packet of the other is refused")
    func mixedFamilies() {
        #expect(throws: PacketFault.badICMP) { try parse(Self.message(3, 1, quoting: Self.quote6())) }
        #expect(throws: PacketFault.badICMP) { try parse6(Self.message6(1, 0, quoting: Self.quote())) }
    }

    @Test("A later fragment in a quotation holds no ports and is passed over")
    func quotedFragment() throws {
        var quotation = Self.quote()
        quotation[7] = 1
        #expect(try parse(Self.message(3, 1, quoting: quotation)) == .other)
    }

    @Test("A message below eight octets is refused")
    func tooShort() {
        for length in 0..<8 {
            #expect(throws: PacketFault.badICMP) { try parse([UInt8](repeating: 0, count: length)) }
            #expect(throws: PacketFault.badICMP) { try parse6([UInt8](repeating: 0, count: length)) }
        }
    }

    @Test("Any flipped bit is noticed, and ICMPv6 covers the pseudo-header")
    func checksum() {
        var bytes = Self.message(3, 1, quoting: Self.quote())
        for bit in 0..<bytes.count * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: PacketFault.badChecksum) { try parse(bytes) }
            bytes[bit / 8] ^= 1 << (bit % 8)
        }
        let message = Self.message6(1, 0, quoting: Self.quote6())
        #expect(throws: PacketFault.badChecksum) { try parseICMP6(message, Self.router6, .of("2001:db8::2")) }
        #expect(throws: PacketFault.badChecksum) { try parse6(Self.message(1, 0, quoting: Self.quote6())) }
    }
}
