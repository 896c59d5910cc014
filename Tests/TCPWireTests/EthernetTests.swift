import TCPWire
import Testing

/// The formats of a link: addresses, frames, ARP.
@Suite("Ethernet formats")
struct EthernetTests {
    @Test("A MAC address is written as six pairs of digits, and read with colons or hyphens")
    func text() {
        let address = MACAddress(0x02, 0, 0x5E, 0x10, 0, 0x01)
        #expect(address.description == "02:00:5e:10:00:01")
        for text in ["02:00:5e:10:00:01", "02-00-5E-10-00-01", "2:0:5e:10:0:1"] {
            #expect(MACAddress(text) == address, "\(text)")
        }
        for text in [
            "", "02:00:5e:10:00", "02:00:5e:10:00:01:02", "02:00:5e:10:00:", ":00:5e:10:00:01", "02:00:5e:10:00:011",
            "02:00:5e:10:00:0g", "02005e100001", "02::5e:10:00:01", "02:00:5e:10:00:01 ",
        ] {
            #expect(MACAddress(text) == nil, "\(text)")
        }
        for value: UInt64 in [0, 1, 0xFFFF_FFFF_FFFF, 0x0123_4567_89AB] {
            let address = MACAddress(rawValue: value)
            #expect(MACAddress(address.description) == address && address.rawValue == value)
        }
        #expect(MACAddress(rawValue: .max) == .broadcast)
    }

    @Test("Groups, one interface, none")
    func kinds() {
        #expect(MACAddress.broadcast.isMulticast && !MACAddress.broadcast.isUnicast)
        #expect(MACAddress(1, 0, 0, 0, 0, 0).isMulticast && !MACAddress(2, 0, 0, 0, 0, 0).isMulticast)
        #expect(MACAddress(2, 0, 0, 0, 0, 0).isUnicast && !MACAddress(rawValue: 0).isUnicast)
        // RFC 1112 §6.4: the lower 23 bits. RFC 2464 §7: the lower 32.
        #expect(MACAddress(group: IPAddress("239.255.1.2")!) == MACAddress("01:00:5e:7f:01:02"))
        #expect(MACAddress(group: IPAddress("ff02::1:ff28:9c5a")!) == MACAddress("33:33:ff:28:9c:5a"))
        // RFC 4291 appendix A.
        #expect(MACAddress("34:56:78:9a:bc:de")!.interfaceIdentifier == 0x3656_78FF_FE9A_BCDE)
        #expect(MACAddress("02:00:5e:10:00:01")!.interfaceIdentifier == 0x0000_5EFF_FE10_0001)
    }

    @Test("Link-local addresses, solicited-node groups, masks")
    func scopes() {
        for (text, isLinkLocal) in [
            ("fe80::1", true), ("febf:ffff::1", true), ("fec0::1", false), ("fe7f::1", false), ("169.254.1.1", true),
            ("169.253.1.1", false), ("::1", false),
        ] {
            #expect(IPAddress(text)!.isLinkLocal == isLinkLocal, "\(text)")
        }
        let group = IPAddress("2001:db8::1234:5678")!.solicitedNode
        #expect(group == IPAddress("ff02::1:ff34:5678") && group.isSolicitedNode)
        #expect(!IPAddress("ff02::1").map(\.isSolicitedNode)! && !IPAddress("ff02::2:ff34:5678")!.isSolicitedNode)
        let all = IPAddress(high: .max, low: .max)
        for length in 0...128 {
            let masked = all.masked(to: length)
            #expect(masked.high.nonzeroBitCount + masked.low.nonzeroBitCount == length)
            #expect(masked.shares(prefixLength: length, with: all))
        }
    }

    @Test("A frame's header is read as it was written, for the three types there are")
    func header() throws {
        for payload in [EthernetHeader.Payload.ipv4, .arp, .ipv6] {
            let header = EthernetHeader(
                destination: MACAddress("02:00:5e:10:00:01")!, source: MACAddress("02:aa:bb:cc:dd:ee")!,
                payload: payload)
            var octets = [UInt8](repeating: 0, count: 14)
            var span = octets.mutableSpan
            var bytes = span.mutableBytes
            header.write(to: &bytes)
            #expect(octets == [2, 0, 0x5E, 0x10, 0, 1, 2, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE] + big16(payload.rawValue))
            #expect(try EthernetHeader(parsing: octets.span.bytes) == header)
            for length in 0..<14 {
                #expect(throws: EthernetFault.truncated) {
                    _ = try EthernetHeader(parsing: octets.span.bytes.extracting(0..<length))
                }
            }
        }
    }

    private func big16(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(truncatingIfNeeded: value)] }

    @Test("An ARP packet is the 28 octets of RFC 826, and read as it was written [826-5]")
    func arp() throws {
        let packet = ARPPacket(
            .reply, senderHardware: MACAddress("02:00:00:00:00:01")!, sender: IPAddress(10, 0, 0, 1),
            targetHardware: MACAddress("02:00:00:00:00:02")!, target: IPAddress(10, 0, 0, 2))
        var octets = [UInt8](repeating: 0, count: 30)
        var span = octets.mutableSpan
        var bytes = span.mutableBytes
        packet.write(to: &bytes, at: 2)
        #expect(
            octets == [
                0, 0, 0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 2, 0, 0, 0, 0, 2, 10, 0, 0, 2,
            ])
        let read = try ARPPacket(parsing: octets.span.bytes.extracting(2..<30))
        #expect(read == packet)
        for length in 0..<28 {
            #expect(throws: EthernetFault.truncated) {
                _ = try ARPPacket(parsing: octets.span.bytes.extracting(2..<2 + length))
            }
        }
    }

    @Test("Each fault has words of its own")
    func words() {
        #expect(Set(EthernetFault.allCases.map(\.explanation)).count == EthernetFault.allCases.count)
        #expect(EthernetFault.allCases.allSatisfy { $0.rawValue < 40 })
    }
}
