import TCPWire
import Testing

/// Messages of neighbor discovery and of multicast listeners, as octets.
@Suite("Neighbor discovery formats")
struct NeighborMessageTests {
    private func octets(_ message: NeighborMessage) -> [UInt8] {
        var octets = [UInt8](repeating: 0, count: message.encodedLength)
        var span = octets.mutableSpan
        var bytes = span.mutableBytes
        message.write(to: &bytes, at: 0)
        return octets
    }

    private func read(_ packet: [UInt8]) throws -> NeighborMessage {
        try NeighborMessage(parsing: packet.span.bytes, try IPHeader(parsing: packet.span.bytes))
    }

    /// Makes a packet of a message whose octets behind the checksum are these.
    private func packet(_ type: UInt8, _ body: [UInt8], to destination: String = "ff02::1") -> [UInt8] {
        let header = IPHeader(
            source: IPAddress("fe80::1")!, destination: IPAddress(destination)!, protocolNumber: IPProtocol.icmpv6,
            hopLimit: 255)
        var message = [type, 0, 0, 0] + body
        var sum = Checksum()
        sum.add(message.span.bytes)
        sum.addPseudoHeader(
            source: header.source, destination: header.destination, protocol: IPProtocol.icmpv6, length: message.count)
        let value = sum.value
        message.replaceSubrange(2..<4, with: [UInt8(value >> 8), UInt8(truncatingIfNeeded: value)])
        var packet = [UInt8](repeating: 0, count: 40)
        var span = packet.mutableSpan
        var bytes = span.mutableBytes
        header.write(to: &bytes, payloadLength: message.count)
        return packet + message
    }

    @Test("What is written is read again, with its options")
    func roundTrip() throws {
        let own = IPAddress("fe80::1")!
        let peer = IPAddress("fe80::2")!
        var solicitation = NeighborMessage(
            .neighborSolicitation, source: own, destination: peer.solicitedNode, target: peer)
        solicitation.sourceLink = MACAddress("02:00:00:00:00:01")
        var advertisement = NeighborMessage(.neighborAdvertisement, source: own, destination: peer, target: own)
        advertisement.word = 3 << 29
        advertisement.targetLink = MACAddress("02:00:00:00:00:01")
        var probe = NeighborMessage(
            .neighborSolicitation, source: .unspecifiedIPv6, destination: peer.solicitedNode, target: peer)
        probe.nonce = 0xABCD_EF01_2345
        var routers = NeighborMessage(.routerSolicitation, source: own, destination: .allRouters)
        routers.sourceLink = MACAddress("02:00:00:00:00:01")
        for message in [solicitation, advertisement, probe, routers] {
            let packet = octets(message)
            #expect(packet[7] == 255 && packet[6] == 58 && packet.count == message.encodedLength)
            #expect(Int(packet[4]) << 8 + Int(packet[5]) == packet.count - 40)
            let found = try read(packet)
            #expect(found.kind == message.kind && found.source == message.source && found.word == message.word)
            #expect(found.destination == message.destination && found.target == message.target)
            #expect(found.sourceLink == message.sourceLink && found.targetLink == message.targetLink)
            #expect(found.nonce == message.nonce && found.mtu == nil)
            // No octet of it may be another.
            for index in 40..<packet.count {
                var changed = packet
                changed[index] ^= 1
                #expect(throws: EthernetFault.self) { _ = try read(changed) }
            }
        }
    }

    @Test("A router's advertisement says all of RFC 4861 §4.2 [4861-21]")
    func routerAdvertisement() throws {
        let prefix: [UInt8] =
            [3, 4, 60, 0xC0, 0, 0, 0x0E, 0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]
            + [0x20, 1, 0x0D, 0xB8, 0, 1, 2, 0xFF, 1, 2, 3, 4, 5, 6, 7, 8]
        let mapped: [UInt8] =
            [3, 4, 96, 0xC0] + [UInt8](repeating: 1, count: 12) + [UInt8](repeating: 0, count: 10)
            + [255, 255, 10, 0, 0, 1]
        let body: [UInt8] =
            [64, 0x18, 7, 8, 0, 0, 0x75, 0x30, 0, 0, 3, 0xE8] + [1, 1, 2, 0, 0, 0, 0, 9] + [5, 1, 0, 0, 0, 0, 5, 0]
            + mapped + [3, 1, 0, 0, 0, 0, 0, 0] + prefix + [3, 4, 129, 0xC0] + [UInt8](repeating: 1, count: 28)
        let packet = packet(134, body)
        let message = try read(packet)
        #expect(message.hopLimit == 64 && message.routerLifetime == 1800 && message.routerPreference == -1)
        #expect(message.reachableTime == 30_000 && message.retransmissionTimer == 1000 && message.mtu == 1280)
        #expect(message.sourceLink == MACAddress("02:00:00:00:00:09"))
        var offset = message.options.lowerBound
        let end = message.options.upperBound
        let found = PrefixInformation.next(in: packet.span.bytes, &offset, end: end)
        #expect(found?.prefix == AddressPrefix("2001:db8:1:2f0::/60") && found?.isOnLink == true)
        #expect(found?.isAutonomous == true && found?.validLifetime == 3600 && found?.preferredLifetime == .max)
        // Neither a mapped prefix, nor one of another length, nor one past 128 bits.
        let next = PrefixInformation.next(in: packet.span.bytes, &offset, end: end)
        #expect(next == nil && offset == end)
    }

    @Test("Preferences of a router, the reserved one included [4191-1]", arguments: [(0, 0), (1, 1), (2, 0), (3, -1)])
    func preference(bits: UInt32, expected: Int8) {
        var message = NeighborMessage(.routerAdvertisement, source: .allNodes, destination: .allNodes)
        message.word = bits << 19
        #expect(message.routerPreference == expected)
    }

    @Test("A query's code is a time, from 32,768 on with an exponent (RFC 3810 §5.1.3) [3810-2]")
    func query() throws {
        func read(_ code: UInt16, _ rest: [UInt8] = [2, 125, 0, 0], headers: Bool = true) throws -> ListenerQuery {
            var plain = packet(
                130,
                [UInt8(code >> 8), UInt8(truncatingIfNeeded: code), 0, 0] + [UInt8](repeating: 0, count: 16) + rest)
            plain[7] = 1
            if headers {
                plain.insert(contentsOf: [58, 0, 5, 2, 0, 0, 1, 0], at: 40)
                plain[5] += 8
                plain[6] = 0
            }
            return try ListenerQuery(parsing: plain.span.bytes, try IPHeader(parsing: plain.span.bytes))
        }
        for (code, delay) in [(0, 0), (10_000, 10_000), (32_767, 32_767), (0x8000, 32_768), (0xFFFF, 8_387_584)]
            as [(UInt16, Int64)]
        {
            let query = try read(code)
            #expect(query.maximumDelay == delay && !query.isFirstVersion && query.group == .unspecifiedIPv6)
        }
        let first = try read(0xFFFF, [])
        #expect(first.isFirstVersion && first.maximumDelay == 65_535)
        // Between the two lengths there is no version; without a router alert nobody may ask.
        #expect(throws: EthernetFault.badListenerQuery) { _ = try read(0, [0, 0]) }
        #expect(throws: EthernetFault.badListenerQuery) { _ = try read(0, headers: false) }
    }

    @Test("Octets of chance are read or refused, and nothing worse")
    func chance() {
        var state: UInt64 = 5
        func next() -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33)
        }
        var good = 0
        for _ in 0..<2000 {
            let type = UInt8(133 + next() % 5)
            let body = (0..<next() % 90).map { _ in UInt8(next() % 4 == 0 ? next() % 256 : next() % 5) }
            if (try? read(packet(type, body))) != nil { good += 1 }
            let raw = (0..<40 + next() % 60).map { _ in UInt8(next() % 256) }
            if let header = try? IPHeader(parsing: raw.span.bytes) {
                _ = try? NeighborMessage(parsing: raw.span.bytes, header)
                _ = try? ListenerQuery(parsing: raw.span.bytes, header)
            }
            _ = try? ARPPacket(parsing: raw.span.bytes)
        }
        #expect(good > 10)
    }
}
