import TCPEngine
import TCPStack
import TCPWire
import Testing

/// What stands in the IP and TCP headers of everything that is sent.
@Suite("Packets")
struct PacketTests {
    @Test(
        "Every segment has a right checksum: SYN, data of even and odd length, FIN, RST, of both families [MUST-2]",
        arguments: Family.allCases, Role.allCases)
    func checksums(family: Family, role: Role) {
        for offer in [ScriptedPeer.Offer.plain, .full] {
            let peer = ScriptedPeer(family, offer: offer)
            peer.establish(role)
            for size in [1, 2, 3, 99, 1448] {
                peer.write(size)
                peer.send(.ack)
            }
            peer.close()
            peer.abort()
            #expect(peer.history.contains { $0.flags.contains(.rst) })
            #expect(peer.history.contains { $0.length % 2 == 1 })
            #expect(peer.history.allSatisfy { $0.hasValidChecksum })
        }
        let closed = ScriptedPeer(family)
        closed.send(.syn, seq: 0)
        #expect(closed.pending.first?.hasValidChecksum == true)
    }

    @Test("With checksum offload the field holds the sum of the pseudo-header alone", arguments: Family.allCases)
    func partial(family: Family) {
        var configuration = Configuration()
        configuration.checksumOffload = true
        let peer = ScriptedPeer(family, configuration)
        peer.checksLedger = false
        peer.listen()
        peer.send(.syn)
        guard let segment = peer.pending.first else {
            Issue.record("no SYN,ACK")
            return
        }
        var sum = Checksum()
        let length = segment.packet.count - segment.ip.headerLength
        sum.addPseudoHeader(
            source: segment.ip.source, destination: segment.ip.destination, protocol: IPProtocol.tcp, length: length)
        let at = segment.ip.headerLength + 16
        #expect(Array(segment.packet[at..<at + 2]) == big16(sum.folded))
    }

    @Test(
        "DSCP is on every segment, the SYN and retransmissions included, and ECN stays clear [MUST-48, SHLD-22]",
        arguments: Family.allCases)
    func dscp(family: Family) {
        for value in UInt8(0)..<64 {
            let peer = ScriptedPeer(family)
            var options = ConnectionOptions()
            options.differentiatedServices = value
            peer.establish(.active, options: options)
            peer.write(10)
            peer.host.advance(by: .milliseconds(250))
            peer.close()
            #expect(peer.history.count >= 4)
            #expect(peer.history.allSatisfy { $0.ip.trafficClass == value << 2 }, "DSCP \(value)")
        }
    }

    @Test("A listener's DSCP is on the SYN,ACK and on its children's segments [MUST-48]", arguments: Family.allCases)
    func dscpPassive(family: Family) {
        let peer = ScriptedPeer(family)
        var options = ConnectionOptions()
        options.differentiatedServices = 46
        peer.establish(.passive, options: options)
        peer.write(10)
        #expect(peer.history.count >= 2)
        #expect(peer.history.allSatisfy { $0.ip.trafficClass == 46 << 2 })
    }

    @Test(
        "DSCP can change while the connection lives, and changes only then [SHLD-21, SHLD-23]",
        arguments: Family.allCases)
    func dscpChanges(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.write(10)
        #expect(peer.history.allSatisfy { $0.ip.trafficClass == 0 })
        peer.send(.ack)
        peer.discard()
        peer.setOptions { $0.differentiatedServices = 10 }
        peer.write(10)
        #expect(peer.pending.first?.ip.trafficClass == 40)
    }

    @Test(
        "TTL and hop limit are configurable, for the stack and for a connection [MUST-49]", arguments: Family.allCases,
        Role.allCases)
    func hopLimit(family: Family, role: Role) {
        var configuration = Configuration()
        configuration.hopLimit = 7
        let peer = ScriptedPeer(family, configuration)
        peer.establish(role)
        peer.write(10)
        #expect(peer.history.allSatisfy { $0.ip.hopLimit == 7 })
        var options = ConnectionOptions()
        options.hopLimit = 200
        let other = ScriptedPeer(family, configuration)
        other.establish(role, options: options)
        other.write(10)
        other.close()
        #expect(other.history.allSatisfy { $0.ip.hopLimit == 200 })
    }

    @Test(
        "The source address stays for a connection's life, retransmissions and resets included [MUST-45]",
        arguments: Family.allCases)
    func source(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish(.active)
        peer.write(100)
        peer.host.stack.addAddress(AddressPrefix(family.address(9), length: family.prefixLength))
        peer.host.advance(by: .seconds(1))
        peer.abort()
        #expect(peer.history.count > 4)
        #expect(peer.history.allSatisfy { $0.source == peer.target })
    }

    @Test(
        "MSS is on SYN segments alone, and everything after the end of the options is zero [MUST-65, MUST-69]",
        arguments: Family.allCases, Role.allCases)
    func options(family: Family, role: Role) {
        let peer = ScriptedPeer(family, offer: .full)
        peer.establish(role)
        peer.write(5000)
        peer.send(seq: 501, length: 10)
        peer.close()
        peer.host.advance(by: .seconds(1))
        peer.abort()
        for segment in peer.history {
            #expect((segment.tcp.options.maximumSegmentSize != nil) == segment.flags.contains(.syn))
            #expect(segment.optionBytes.count % 4 == 0)
        }
    }

    @Test(
        "Super-segments carry a segment size and whole segments, PSH on the last alone [rule 9, MUST-61]",
        arguments: Family.allCases)
    func superSegments(family: Family) throws {
        var configuration = Configuration()
        configuration.superSegments = true
        let peer = ScriptedPeer(family, configuration, offer: .full)
        peer.establish()
        // Open the congestion window.
        for _ in 0..<8 {
            peer.write(300_000)
            peer.discard()
            peer.host.advance(by: .milliseconds(5))
            peer.send(.ack)
        }
        let largest = peer.history.map(\.length).max() ?? 0
        #expect(largest > 10 * peer.mss && largest <= 65_535)
        let middles = peer.history.filter { $0.length > peer.mss && !$0.flags.contains(.psh) }
        #expect(middles.allSatisfy { $0.length % peer.mss == 0 })
        #expect(peer.history.allSatisfy { $0.packet.count <= (family == .ipv4 ? 65_535 : 65_575) })
    }

    @Test("A link without room is asked again, and nothing is lost or sent twice [rule 9]", arguments: Family.allCases)
    func fullLink(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.host.isLinkFull = true
        peer.write(5000)
        peer.send(length: 2000)
        #expect(peer.pending.isEmpty)
        #expect(peer.host.stack.wantsToTransmit == true)
        // The timer of a segment starts when the link has taken it.
        peer.host.advance(by: .seconds(3))
        peer.host.isLinkFull = false
        peer.host.settle()
        #expect(peer.pending.map(\.length).reduce(0, +) == 5000)
        #expect(peer.status?.retransmittedSegments == 0)
        #expect(peer.host.stack.wantsToTransmit == false)
        peer.expectRead(2000)
    }

    @Test(
        "A packet for another host is dropped and counted; a fragment waits for the others [rule 1]",
        arguments: Family.allCases)
    func notOurs(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.send(length: 10) { $0.destination.address = family.address(77) }
        peer.expectNothing()
        #expect(peer.host.stack.counters[.notForUs] == 1)
        if family == .ipv4 {
            peer.send(seq: 1, length: 12) { injection in
                injection.edit = { packet in
                    packet[6] = 0x20
                    packet.replaceSubrange(10..<12, with: [0, 0])
                    var sum = Checksum()
                    sum.add(packet[0..<20].span.bytes)
                    packet.replaceSubrange(10..<12, with: big16(sum.value))
                }
            }
        } else {
            peer.send(seq: 1, length: 12) { injection in
                injection.extensionHeader = 44
                injection.ipOptions = [6, 0, 0, 1, 0, 0, 0, 1]
            }
        }
        peer.expectNothing()
        #expect(peer.host.stack.counters.fragmentsReceived == 1 && peer.host.stack.memory.fragments > 0)
        peer.expectRead(.wouldBlock)
    }

    @Test(
        "A SYN from our own endpoint to itself, where nobody connects, is dropped: LAND [rule 1]",
        arguments: Family.allCases)
    func land(family: Family) {
        let peer = ScriptedPeer(family)
        peer.listen()
        peer.send(.syn, seq: 0) { $0.source = $0.destination }
        peer.host.advance(by: .seconds(5))
        #expect(peer.host.strays.isEmpty)
        #expect(peer.host.stack.counters[.land] == 1)
        #expect(peer.host.stack.memory.halfOpenCount == 0)
    }

    @Test("Random packets neither trap nor leave anything behind [rule 1, B-34]", arguments: Family.allCases)
    func random(family: Family) {
        #if DEBUG
            let count = 3000
        #else
            let count = 500_000
        #endif
        var generator = Pseudorandom(seed: 77)
        let peer = ScriptedPeer(family)
        peer.checksLedger = false
        peer.establish()
        for index in 0..<count {
            var injection = Injection(
                source: peer.endpoint, destination: peer.target, sequence: peer.isn + Int(generator.next() % 100_000),
                flags: TCPFlags(rawValue: UInt16(generator.next() & 0x1FB)))
            injection.flags.remove(.rst)
            injection.acknowledgment = (peer.stackISN ?? SequenceNumber(0)) + Int(generator.next() % 3)
            injection.window = UInt16(truncatingIfNeeded: generator.next())
            injection.urgentPointer = UInt16(truncatingIfNeeded: generator.next())
            injection.options = (0..<Int(generator.next() % 40)).map { _ in
                UInt8(truncatingIfNeeded: generator.next() % 16)
            }
            injection.payload = [UInt8](repeating: 1, count: Int(generator.next() % 50))
            var packet = injection.packet()
            if index % 3 == 0 {
                packet[Int(generator.next() % UInt64(packet.count))] ^= UInt8(truncatingIfNeeded: generator.next())
            }
            peer.host.inject(packet)
            if index % 500 == 0 {
                peer.host.advance(by: .milliseconds(10))
                peer.pending.removeAll()
                peer.history.removeAll()
                peer.host.trace.removeAll()
                peer.host.strays.removeAll()
                peer.host.others.removeAll()
            }
        }
        peer.host.advance(by: .seconds(400))
        #expect(peer.host.stack.counters.impossibleStates == 0)
        peer.abort()
        #expect(peer.host.stack.memory.buffers == 0)
        #expect(peer.host.stack.memory.connectionCount == 0)
    }
}
