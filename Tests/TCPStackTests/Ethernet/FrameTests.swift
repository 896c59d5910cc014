import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Which frames are taken (RFC 894, RFC 1122 §2.3.3, §3.3.6), and how packets leave in them.
@Suite("Ethernet frames")
struct FrameTests {
    private func host(_ configuration: EthernetConfiguration = .quick) -> (EthernetSegment, EthernetHost) {
        let segment = EthernetSegment()
        let host = segment.add(configuration)
        segment.give(host, "10.0.0.1/24")
        segment.run(.seconds(5))
        _ = segment.take()
        return (segment, host)
    }

    private func ping(to destination: MACAddress, address: IPAddress = ip("10.0.0.1"), padding: Int = 0) -> [UInt8] {
        var message: [UInt8] = [8, 0, 0, 0, 0, 1, 0, 2, 1, 2, 3, 4]
        var sum = Checksum()
        sum.add(message.span.bytes)
        message.replaceSubrange(2..<4, with: big16(sum.value))
        let header = IPHeader(source: ip("10.0.0.9"), destination: address, protocolNumber: IPProtocol.icmp)
        var packet = [UInt8](repeating: 0, count: 20)
        var span = packet.mutableSpan
        var bytes = span.mutableBytes
        header.write(to: &bytes, payloadLength: message.count)
        return ethernet(
            to: destination, from: mac(9), type: 0x0800, packet + message + [UInt8](repeating: 0xAA, count: padding))
    }

    @Test("Each kind of frame that is not taken has its own counter [1122-7]")
    func faults() {
        let (segment, host) = host()
        let cases: [(EthernetFault, [UInt8])] = [
            (.truncated, Array(ping(to: mac(1)).prefix(13))),
            (.truncated, Array(ping(to: mac(1)).prefix(20))),
            (.badSource, ethernet(to: mac(1), from: .broadcast, type: 0x0800, [UInt8](repeating: 0, count: 46))),
            (.badSource, ethernet(to: mac(1), from: MACAddress(rawValue: 0), type: 0x0800, [])),
            (.lengthField, ethernet(to: mac(1), from: mac(9), type: 46, [UInt8](repeating: 0, count: 46))),
            (.lengthField, ethernet(to: mac(1), from: mac(9), type: 1535, [UInt8](repeating: 0, count: 46))),
            (.vlanTag, ethernet(to: mac(1), from: mac(9), type: 0x8100, [UInt8](repeating: 0, count: 46))),
            (.vlanTag, ethernet(to: mac(1), from: mac(9), type: 0x88A8, [UInt8](repeating: 0, count: 46))),
            (.unknownType, ethernet(to: mac(1), from: mac(9), type: 1536, [UInt8](repeating: 0, count: 46))),
            (.otherDestination, ping(to: mac(2))),
            (.groupNotJoined, ping(to: MACAddress(group: ip("224.0.0.251")))),
            (.groupNotJoined, ping(to: MACAddress(group: .allNodes))),
            (
                .versionMismatch,
                ethernet(to: mac(1), from: mac(9), type: 0x0800, [0x60] + [UInt8](repeating: 0, count: 50))
            ),
            (
                .versionMismatch,
                ethernet(to: mac(1), from: mac(9), type: 0x86DD, [0x45] + [UInt8](repeating: 0, count: 50))
            ),
        ]
        var expected: [EthernetFault: UInt64] = [:]
        for (fault, frame) in cases {
            segment.inject(frame)
            expected[fault, default: 0] += 1
            #expect(host.link.counters[fault] == expected[fault], "\(fault)")
        }
        #expect(host.stack.counters.packetsReceived == 0)
        #expect(host.link.counters.framesReceived == UInt64(cases.count))
    }

    @Test("Padding behind the packet is no part of it [1122-8]")
    func padding() {
        let (segment, host) = host()
        segment.inject(arpFrame(1, from: mac(9), ip("10.0.0.9"), to: ip("10.0.0.1")))
        _ = segment.take()
        segment.inject(ping(to: mac(1), padding: 14))
        let answer = segment.take().last
        #expect(answer?.octets.count == 14 + 32 && answer?.destination == mac(9))
        #expect(host.stack.counters.packetsSent == 1)
    }

    @Test("A packet for one host in a frame for all is dropped [1122-6]")
    func broadcast() {
        let (segment, host) = host()
        segment.inject(ping(to: .broadcast))
        segment.inject(ping(to: MACAddress(group: ip("224.0.0.1"))))
        #expect(host.link.counters[.linkBroadcast] == 2 && host.stack.counters.packetsReceived == 0)
        segment.inject(ping(to: .broadcast, address: ip("10.0.0.255")))
        #expect(host.stack.counters[.notUnicast] == 1)
    }

    @Test("Malformed ARP is dropped and counted [826-5]")
    func malformed() {
        let (segment, host) = host()
        let good = arpFrame(1, from: mac(9), ip("10.0.0.9"), to: ip("10.0.0.1"))
        for (offset, value) in [(15, 6), (16, 9), (18, 8), (19, 16), (21, 3), (21, 0), (20, 1)] as [(Int, UInt8)] {
            var frame = good
            frame[offset] = value
            segment.inject(frame)
        }
        #expect(host.link.counters[.badARP] == 7)
        for sender in ["127.0.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "10.0.0.255"] {
            segment.inject(arpFrame(1, from: mac(9), ip(sender), to: ip("10.0.0.1")))
        }
        // A reply without a sender; a sender that is a group.
        segment.inject(arpFrame(2, from: mac(9), ip("0.0.0.0"), to: ip("10.0.0.1")))
        segment.inject(
            ethernet(
                to: .broadcast, from: mac(9), type: 0x0806,
                [0, 1, 8, 0, 6, 4, 0, 1] + octets(MACAddress.broadcast) + [10, 0, 0, 9] + octets(mac(0)) + [
                    10, 0, 0, 1,
                ]))
        #expect(host.link.counters[.arpSender] == 7)
        segment.inject(Array(good.prefix(41)))
        #expect(host.link.counters[.truncated] == 1)
        #expect(host.link.neighbors.isEmpty && host.link.counters.arpReceived == 1)
        #expect(!segment.frames.contains { $0.sender != nil })
    }

    @Test("A super-segment leaves as one frame, its offsets told as they lie in it; also one that had to wait")
    func superSegments() throws {
        for family in Family.allCases {
            var settings = Configuration()
            settings.superSegments = true
            settings.checksumOffload = true
            let now = Instant(nanoseconds: 1_000_000_000)
            let host = EthernetHost(1, .quick, stack: settings, at: now)
            let prefix = AddressPrefix(family.address(1), length: family.prefixLength)
            host.link.addAddress(prefix, to: &host.stack, at: now)
            while host.nextFrame(at: now) != nil {}
            let peer = family.address(2)
            // Known by its own message.
            let hello =
                family == .ipv4
                ? arpFrame(1, from: mac(2), peer, to: family.address(1))
                : DiscoveryFrame(
                    type: 135, source: peer, destination: family.address(1).solicitedNode, hardware: mac(2),
                    body: big32(0) + octets(family.address(1)) + linkOption(1, mac(2))
                ).frame()
            host.receive(hello, at: now)
            while host.nextFrame(at: now) != nil {}
            let id = try host.stack.connect(to: Endpoint(peer, 80), at: now)
            let syn = try #require(host.nextFrame(at: now))
            let headers = 14 + (family == .ipv4 ? 20 : 40)
            #expect(syn.packet.transportOffset == headers && syn.packet.isChecksumPartial)
            let port = syn.octets.span.bytes.be16(headers)
            let sequence = syn.octets.span.bytes.be32(headers + 4)
            var answer = Injection(
                source: Endpoint(peer, 80), destination: Endpoint(family.address(1), port),
                sequence: SequenceNumber(1000), acknowledgment: SequenceNumber(sequence &+ 1), flags: [.syn, .ack])
            answer.options = [2, 4] + big16(1400) + [3, 3, 7, 0]
            let type: UInt16 = family == .ipv4 ? 0x0800 : 0x86DD
            host.receive(ethernet(to: mac(1), from: mac(2), type: type, answer.packet()), at: now)
            while host.nextFrame(at: now) != nil {}
            let data = pattern(12_000)
            _ = try host.stack.write(id, data.span.bytes, at: now)
            let sent = try #require(host.nextFrame(at: now))
            #expect(sent.packet.segmentSize == 1400 && sent.packet.transportOffset == headers)
            #expect(sent.packet.headerLength == headers + 20)
            #expect(sent.octets.count == sent.packet.length && sent.packet.length > 8 * 1400)
            #expect(Array(sent.octets[(headers + 20)...]) == data)
            #expect(Array(sent.octets.prefix(14)) == octets(mac(2)) + octets(mac(1)) + big16(type))
            // Forgotten, the neighbor is asked for, and the same comes behind it.
            host.link.remove(from: &host.stack)
            host.link.addAddress(prefix, to: &host.stack, at: now)
            while host.nextFrame(at: now) != nil {}
            host.advance(to: now + .seconds(2))
            let question = try #require(host.nextFrame(at: now + .seconds(2)))
            #expect(question.packet.segmentSize == 0 && !question.packet.isChecksumPartial)
            host.receive(hello, at: now + .seconds(2))
            var last: (octets: [UInt8], packet: TransmittedPacket)?
            while let frame = host.nextFrame(at: now + .seconds(2)) { last = frame }
            #expect(last?.packet.transportOffset == headers && last?.packet.isChecksumPartial == true)
            #expect(last.map { Array($0.octets.prefix(12)) } == octets(mac(2)) + octets(mac(1)))
            #expect(host.audit() == nil)
        }
    }

    @Test(
        "All memory is given back, and everything taken from the stack, when the link is removed",
        arguments: [true, false])
    func removal(isBusy: Bool) throws {
        let (segment, host) = host(isBusy ? .automatic : .quick)
        if isBusy {
            segment.run(.seconds(5))
            segment.inject(advertisement(router: 7, options: prefixOption("2001:db8::/64")).frame())
            segment.run(.seconds(3))
            for number: UInt8 in 20..<40 {
                _ = try? host.stack.connect(to: Endpoint(IPAddress(10, 0, 0, number), 1), at: segment.now)
            }
            segment.settle()
        }
        #expect(host.stack.memory.neighbors > 0)
        host.link.remove(from: &host.stack)
        #expect(host.stack.memory.neighbors == 0 && host.link.memoryBytes == 0)
        #expect(host.audit() == nil)
        // As a tunnel, which the interface was before, it takes everything.
        #expect(host.stack.nextHop(to: ip("2001:db8::5")) == ip("2001:db8::5") && host.stack.addedRoutes.isEmpty)
        #expect(!host.stack.hasAddress(ip("10.0.0.1")) && host.audit() == nil)
        #expect(host.link.addresses.isEmpty && host.link.neighbors.isEmpty && host.link.defaultRouters.isEmpty)
        #expect(!host.link.wantsToTransmit(host.stack) || host.stack.wantsToTransmit)
    }
}
