import TCPEngine
import TCPStack
import TCPWire
import Testing

@Suite struct UDPTests {
    private func peer(_ family: Family, _ port: UInt16 = 4000) -> Endpoint { Endpoint(family.peerAddress, port) }

    @Test(
        "A datagram comes whole, with its ends, its DSCP, ECN and hop limit [RFC 768, 768-1]",
        arguments: Family.allCases)
    func arrives(family: Family) throws {
        let host = VirtualHost()
        let socket = try host.stack.openUDP(on: 53, at: host.now)
        for payload in [[], [1], pattern(1200)] {
            host.inject(TestDatagram(payload: payload, trafficClass: 0xB9, hopLimit: 7).packet(family))
            #expect(host.events.contains(.datagrams(socket, .readable)))
            let (received, octets) = try #require(try host.receive(socket))
            #expect(octets == payload && received.length == payload.count)
            #expect(received.source == peer(family))
            #expect(received.destination == Endpoint(family.stackAddress, 53))
            #expect(received.trafficClass == 0xB9 && received.hopLimit == 7)
            #expect(try host.receive(socket) == nil)
        }
        #expect(host.stack.audit() == nil && host.stack.memory.buffers == 0)
    }

    @Test(
        "A datagram leaves with its length, checksum, ports and the socket's DSCP and hop limit [RFC 768]",
        arguments: Family.allCases)
    func leaves(family: Family) throws {
        let host = VirtualHost()
        var options = UDPOptions()
        options.differentiatedServices = 46
        options.hopLimit = 3
        let socket = try host.stack.openUDP(on: 53, options: options, at: host.now)
        for payload in [[], [9], pattern(1400)] {
            #expect(try host.send(socket, payload, to: peer(family)))
            let sent = try #require(host.takeDatagrams().first)
            #expect(sent.payload == payload && sent.source == 53 && sent.port == 4000)
            #expect(sent.ip.source == family.stackAddress && sent.ip.destination == family.peerAddress)
            #expect(sent.ip.trafficClass == 46 << 2 && sent.ip.hopLimit == 3)
            // Routers may cut it (RFC 6864 §4.2); IPv6 has no such thing.
            #expect((sent.ip.identification != nil) == (family == .ipv4))
        }
        #expect(host.stack.audit() == nil && host.stack.memory.buffers == 0)
    }

    @Test("A checksum that comes out as zero is sent as all ones [RFC 768, 768-2]", arguments: Family.allCases)
    func zeroChecksum(family: Family) throws {
        let host = VirtualHost()
        let socket = try host.stack.openUDP(on: 53, at: host.now)
        // One 16-bit word makes any sum: the one that makes it zero is among these.
        var found = false
        for word in 0...UInt16.max where !found {
            var sum = Checksum()
            sum.addPseudoHeader(
                source: family.stackAddress, destination: family.peerAddress, protocol: IPProtocol.udp, length: 10)
            sum.add((big16(53) + big16(4000) + big16(10) + [0, 0] + big16(word)).span.bytes)
            guard sum.value == 0 else { continue }
            found = true
            #expect(try host.send(socket, big16(word), to: peer(family)))
            let packet = try #require(host.others.first)
            let header = family == .ipv4 ? 20 : 40
            #expect(Array(packet[header + 6..<header + 8]) == [0xFF, 0xFF])
        }
        #expect(found)
    }

    @Test(
        "A wrong checksum is dropped; none at all is taken over IPv4 only [RFC 768, RFC 8200 §8.1, 768-2]",
        arguments: Family.allCases)
    func checksums(family: Family) throws {
        let host = VirtualHost()
        let socket = try host.stack.openUDP(on: 53, at: host.now)
        host.inject(TestDatagram(payload: [1, 2, 3], checksum: 0x1234).packet(family))
        #expect(try host.receive(socket) == nil)
        #expect(host.stack.counters[.badChecksum] == 1)
        host.inject(TestDatagram(payload: [1, 2, 3], checksum: 0).packet(family))
        #expect(try host.receive(socket)?.1 == (family == .ipv4 ? [1, 2, 3] : nil))
        #expect(host.stack.counters[.badChecksum] == (family == .ipv4 ? 1 : 2))
    }

    @Test(
        "A length below eight or past the packet is dropped; octets behind it are no part of it [RFC 768, 768-7]",
        arguments: Family.allCases)
    func lengths(family: Family) throws {
        let host = VirtualHost()
        let socket = try host.stack.openUDP(on: 53, at: host.now)
        for length in [0, 7, 12, 65535] as [UInt16] {
            host.inject(
                TestDatagram(payload: [1, 2, 3], length: length, checksum: family == .ipv4 ? 0 : nil).packet(family))
        }
        #expect(host.stack.counters[.badDatagramLength] == 4)
        #expect(try host.receive(socket) == nil)
        host.inject(TestDatagram(payload: [1, 2, 3], trailer: [7, 7, 7, 7]).packet(family))
        #expect(try host.receive(socket)?.1 == [1, 2, 3])
    }

    @Test(
        "A datagram nobody wants draws port unreachable that quotes it [RFC 1122 §4.1.3.1, 768-5, 4443-3]",
        arguments: Family.allCases)
    func unreachable(family: Family) throws {
        let host = VirtualHost()
        let packet = TestDatagram(port: 99, payload: pattern(2000)).packet(family)
        host.inject(packet)
        let error = try #require(host.takeICMP(family).first)
        #expect((error.type, error.code) == (family == .ipv4 ? (3, 3) : (1, 4)))
        #expect(error.parameter == 0)
        #expect(error.ip.source == family.stackAddress && error.ip.destination == family.peerAddress)
        #expect(error.rest == Array(packet.prefix(family == .ipv4 ? 548 : 1232)))
        #expect(host.stack.counters[.noSocket] == 1 && host.stack.counters.errorsSent == 1)
    }

    @Test(
        "A datagram larger than the link leaves in fragments, and one in fragments arrives [RFC 791, 8200 §4.5]",
        arguments: Family.allCases)
    func fragments(family: Family) throws {
        let host = VirtualHost()
        let socket = try host.stack.openUDP(on: 53, at: host.now)
        let most = family == .ipv4 ? 65_507 : 65_527
        for size in [1472, 1473, 3000, 65_507, most] {
            #expect(try host.send(socket, pattern(size), to: peer(family)))
            #expect(host.others.allSatisfy { $0.count <= 1500 })
            #expect(host.takeDatagrams().first?.payload == pattern(size))
            for piece in cut(
                TestDatagram(payload: pattern(size)).octets(family),
                sizes: Array(repeating: 1400, count: 60), number: IPProtocol.udp)
            where family == .ipv4 || size <= 65_507 {
                host.inject(piece, family)
            }
            if family == .ipv4 || size <= 65_507 { #expect(try host.receive(socket)?.1 == pattern(size)) }
        }
        #expect(throws: DatagramError.tooLarge) { try host.send(socket, pattern(most + 1), to: peer(family)) }
        #expect(host.stack.audit() == nil && host.stack.memory.buffers == 0)
    }

    @Test(
        "A socket that does not fragment refuses what the path does not take whole, and says DF [RFC 8899 §3]",
        arguments: Family.allCases)
    func whole(family: Family) throws {
        let host = VirtualHost()
        var options = UDPOptions()
        options.doesNotFragment = true
        let socket = try host.stack.openUDP(on: 53, options: options, at: host.now)
        try host.stack.connectUDP(socket, to: peer(family), at: host.now)
        let most = 1500 - (family == .ipv4 ? 28 : 48)
        #expect(try host.send(socket, pattern(most)))
        #expect(host.takeDatagrams().first?.ip.identification == nil)
        #expect(throws: DatagramError.tooLarge) { try host.send(socket, pattern(most + 1)) }
    }

    @Test(
        "A router's word makes datagrams to that destination smaller, for ten minutes [RFC 1191 §6.2, RFC 8201 §5.2]",
        arguments: Family.allCases)
    func pathMTU(family: Family) throws {
        let host = VirtualHost()
        let socket = try host.stack.openUDP(on: 53, at: host.now)
        try host.stack.connectUDP(socket, to: peer(family), at: host.now)
        #expect(try host.send(socket, pattern(1400)))
        let first = host.others[0]
        #expect(first.count > 1400)
        host.injectICMP(
            family, type: family == .ipv4 ? 3 : 2, code: family == .ipv4 ? 4 : 0, mtu: 1300, about: first)
        _ = host.takeDatagrams()
        #expect(try host.send(socket, pattern(1400)))
        #expect(host.others.map(\.count).max()! <= 1300)
        #expect(host.takeDatagrams().first?.payload == pattern(1400))
        // More than what was named before is no news.
        host.injectICMP(
            family, type: family == .ipv4 ? 3 : 2, code: family == .ipv4 ? 4 : 0, mtu: 1400, about: first)
        #expect(try host.send(socket, pattern(1380)))
        #expect(host.others.map(\.count).max()! <= 1300)
        host.others.removeAll()
        host.advance(by: .seconds(601))
        #expect(try host.send(socket, pattern(1400)))
        #expect(host.others.count == 1)
    }

    @Test("A forged word about a flow that is not there changes nothing [RFC 8201 §4]", arguments: Family.allCases)
    func forgedMTU(family: Family) throws {
        let host = VirtualHost()
        let socket = try host.stack.openUDP(on: 53, at: host.now)
        #expect(try host.send(socket, pattern(1400), to: peer(family)))
        var forged = host.others[0]
        host.others.removeAll()
        forged[family == .ipv4 ? 20 : 40] ^= 1
        host.injectICMP(family, type: family == .ipv4 ? 3 : 2, code: family == .ipv4 ? 4 : 0, mtu: 1280, about: forged)
        #expect(try host.send(socket, pattern(1400), to: peer(family)))
        #expect(host.others.count == 1)
    }

    @Test(
        "A connected socket hears its peer only, before others; it is told of errors, once [RFC 1122 §4.1.3.3, §4.1.3.5, 768-6]",
        arguments: Family.allCases)
    func connected(family: Family) throws {
        let host = VirtualHost()
        let all = try host.stack.openUDP(on: 53, at: host.now)
        let bound = try host.stack.openUDP(on: 53, address: family.stackAddress, at: host.now)
        let flow = try host.stack.openUDP(on: 54, at: host.now)
        try host.stack.connectUDP(flow, to: peer(family), at: host.now)
        host.inject(TestDatagram(sourcePort: 4000, port: 54, payload: [1]).packet(family))
        host.inject(TestDatagram(sourcePort: 4001, port: 54, payload: [2]).packet(family))
        host.inject(TestDatagram(sourcePort: 4000, port: 53, payload: [3]).packet(family))
        #expect(try host.receive(flow)?.1 == [1])
        #expect(try host.receive(flow) == nil)
        #expect(try host.receive(bound)?.1 == [3])
        #expect(try host.receive(all) == nil)
        #expect(host.stack.counters[.noSocket] == 1)

        host.others.removeAll()
        #expect(try host.send(flow, [5]))
        host.injectICMP(
            family, type: family == .ipv4 ? 3 : 1, code: family == .ipv4 ? 3 : 4, mtu: 0, about: host.others[0])
        #expect(throws: DatagramError.refused) { try host.receive(flow) }
        #expect(try host.receive(flow) == nil)
        host.injectICMP(family, type: family == .ipv4 ? 3 : 1, code: 1, mtu: 0, about: host.others[0])
        #expect(throws: (family == .ipv4 ? DatagramError.unreachable : .refused)) { try host.send(flow, [6]) }
        #expect(try host.send(flow, [6]))
        #expect(throws: DatagramError.otherPeer) { try host.send(flow, [7], to: peer(family, 9)) }
    }

    @Test(
        "What waits to be read is bounded, a socket and all together; the rest is counted [768-3]",
        arguments: Family.allCases)
    func bounded(family: Family) throws {
        var configuration = Configuration()
        configuration.memoryBudget = 1 << 20
        configuration.udpReceiveBuffer = 100 << 10
        let host = VirtualHost(configuration)
        let sockets = try (0..<4).map { try host.stack.openUDP(on: 50 + $0, at: host.now) }
        for socket in 0..<4 {
            for _ in 0..<200 {
                host.inject(TestDatagram(port: 50 + UInt16(socket), payload: pattern(1000)).packet(family))
            }
            #expect(host.stack.memory.buffers <= (1 << 20) / 4)
        }
        #expect(host.stack.counters[.datagramQueueFull] > 500)
        #expect(host.stack.audit() == nil)
        var read = 0
        while try host.receive(sockets[0]) != nil { read += 1 }
        #expect(read == (100 << 10) / 1040)
        for socket in sockets { host.stack.closeUDP(socket, at: host.now) }
        #expect(host.stack.memory.buffers == 0 && host.stack.memory.datagramSocketCount == 0)
        #expect(host.stack.audit() == nil)
    }

    @Test(
        "What waits for a full link is bounded a socket; the event says when there is room [768-4]",
        arguments: Family.allCases)
    func backPressure(family: Family) throws {
        var configuration = Configuration()
        configuration.udpSendBuffer = 10_000
        let host = VirtualHost(configuration)
        let socket = try host.stack.openUDP(on: 53, at: host.now)
        host.isLinkFull = true
        var queued = 0
        while try host.send(socket, pattern(952), to: peer(family)) { queued += 1 }
        #expect(queued == 10)
        host.events.removeAll()
        host.isLinkFull = false
        host.settle()
        #expect(host.events == [.datagrams(socket, .writable)])
        #expect(host.takeDatagrams().count == 10)
        #expect(try host.send(socket, pattern(952), to: peer(family)))
    }

    @Test("Ephemeral ports are 49152 and up, unlike each other, and end when all are taken [RFC 6056 §3]")
    func ports() throws {
        var configuration = Configuration()
        configuration.memoryBudget = 64 << 20
        let host = VirtualHost(configuration)
        var ports: Set<UInt16> = []
        for _ in 0..<500 {
            let socket = try host.stack.openUDP(at: host.now)
            ports.insert(host.stack.endpoints(of: socket)?.local.port ?? 0)
        }
        #expect(ports.count == 500 && ports.allSatisfy { $0 >= 49152 })
        let sorted = ports.sorted()
        // Neighbours among 500 of 16,384 are few unless ports are counted up.
        #expect(zip(sorted, sorted.dropFirst()).count { $1 - $0 == 1 } < 60)
    }

    @Test(
        "The program may choose the address a datagram leaves from [RFC 1122 §4.1.3.5, 768-8]",
        arguments: Family.allCases)
    func source(family: Family) throws {
        let host = VirtualHost()
        let second = family.address(77)
        host.stack.addAddress(AddressPrefix(second, length: family.prefixLength))
        let socket = try host.stack.openUDP(on: 53, at: host.now)
        for source in [family.stackAddress, second] {
            #expect(try host.send(socket, [1], to: peer(family), from: source))
            #expect(host.takeDatagrams().first?.ip.source == source)
        }
        #expect(throws: DatagramError.noLocalAddress) {
            try host.send(socket, [1], to: peer(family), from: family.address(78))
        }
        let other: Family = family == .ipv4 ? .ipv6 : .ipv4
        #expect(throws: DatagramError.noLocalAddress) {
            try host.send(socket, [1], to: peer(family), from: other.stackAddress)
        }
    }

    @Test(
        "Of a datagram that finds no memory nothing stays, and what was queued before it leaves whole",
        arguments: Family.allCases)
    func noMemory(family: Family) throws {
        var configuration = Configuration()
        configuration.memoryBudget = 128 << 10
        let host = VirtualHost(configuration)
        let socket = try host.stack.openUDP(on: 53, at: host.now)
        host.isLinkFull = true
        #expect(try host.send(socket, pattern(60_000), to: peer(family)))
        #expect(try !host.send(socket, pattern(60_000, seed: 1), to: peer(family)))
        #expect(host.stack.audit() == nil)
        host.isLinkFull = false
        host.settle()
        #expect(host.takeDatagrams().map(\.payload) == [pattern(60_000)])
        #expect(host.stack.memory.buffers == 0 && host.stack.audit() == nil)
    }

    @Test("Mistakes of the program are told by name")
    func mistakes() throws {
        let host = VirtualHost()
        let socket = try host.stack.openUDP(on: 53, at: host.now)
        #expect(throws: OpenError.addressInUse) { try host.stack.openUDP(on: 53, at: host.now) }
        #expect(throws: OpenError.noLocalAddress) {
            try host.stack.openUDP(on: 5, address: IPAddress(192, 0, 2, 1), at: host.now)
        }
        #expect(throws: DatagramError.notConnected) { try host.send(socket, [1]) }
        for address in [IPAddress(0, 0, 0, 0), IPAddress(224, 0, 0, 1), IPAddress(10, 0, 255, 255)] {
            #expect(throws: DatagramError.invalidAddress) { try host.send(socket, [1], to: Endpoint(address, 5)) }
        }
        #expect(throws: DatagramError.invalidAddress) {
            try host.send(socket, [1], to: Endpoint(IPAddress(10, 0, 0, 2), 0))
        }
        host.stack.closeUDP(socket, at: host.now)
        #expect(throws: DatagramError.notOpen) { try host.send(socket, [1], to: peer(.ipv4)) }
        #expect(throws: DatagramError.notOpen) { try host.receive(socket) }
        #expect(host.stack.endpoints(of: socket) == nil)
        _ = try host.stack.openUDP(on: 53, at: host.now)
    }

    @Test("Datagrams and segments take turns on a link: neither waits for all of the other")
    func turns() throws {
        let peer = ScriptedPeer(.ipv4)
        let host = peer.host
        let socket = try host.stack.openUDP(on: 53, at: host.now)
        let connection = try host.stack.connect(to: Endpoint(IPAddress(10, 0, 0, 9), 80), at: host.now)
        host.isLinkFull = true
        for _ in 0..<20 { _ = try host.send(socket, [1], to: self.peer(.ipv4)) }
        host.isLinkFull = false
        host.outbox = []
        host.settle()
        let kinds = (host.outbox ?? []).map { $0[9] }
        #expect(try #require(kinds.firstIndex(of: IPProtocol.tcp)) <= 1)
        #expect(kinds.count { $0 == IPProtocol.udp } == 20)
        host.stack.abort(connection, at: host.now)
    }
}
