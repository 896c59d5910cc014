import TCPEngine
import TCPStack
import TCPWire
import Testing

/// What hostile neighbors can do: fill the table, have it ask, give it prefixes (RFC 6583). The counts are those of release
/// builds; debug builds take a tenth.
@Suite("Floods on the link")
struct FloodTests {
    #if DEBUG
        private static let count = 10_000
    #else
        private static let count = 100_000
    #endif

    private func host(_ change: (inout EthernetConfiguration) -> Void = { _ in }) -> EthernetHost {
        var configuration = EthernetConfiguration.quick
        change(&configuration)
        let now = Instant(nanoseconds: 1_000_000_000)
        let host = EthernetHost(1, configuration, stack: Configuration(), at: now)
        host.link.addAddress(AddressPrefix("10.0.0.1/8")!, to: &host.stack, at: now)
        host.link.addAddress(AddressPrefix("fd00::1/64")!, to: &host.stack, at: now)
        for second in 1...8 { host.advance(to: now + .seconds(second)) }
        while host.nextFrame(at: now + .seconds(8)) != nil {}
        return host
    }

    /// Makes a neighbor reachable by an answer that was asked for.
    private func befriend(_ host: EthernetHost, at now: Instant) throws {
        _ = try host.stack.connect(to: Endpoint(ip("10.255.0.2"), 80), at: now)
        while host.nextFrame(at: now) != nil {}
        host.receive(
            arpFrame(2, from: mac(2), ip("10.255.0.2"), to: ip("10.0.0.1"), targetHardware: mac(1), frameTo: mac(1)),
            at: now)
        while host.nextFrame(at: now) != nil {}
        #expect(host.neighbor(ip("10.255.0.2"))?.state == .reachable)
    }

    @Test(
        "100,000 askers of ARP, answered or not, hold no more than the table, and drive out no friend [6583-1]",
        arguments: [true, false])
    func askers(answers: Bool) throws {
        let host = host()
        let now = Instant(nanoseconds: 10_000_000_000)
        try befriend(host, at: now)
        var most = 0
        for number in 0..<FloodTests.count {
            let sender = IPAddress(ipv4: 0x0A01_0000 + UInt32(number))
            host.receive(arpFrame(1, from: mac(1000 + number), sender, to: ip("10.0.0.1")), at: now)
            if answers { while host.nextFrame(at: now) != nil {} }
            most = max(most, host.stack.memory.neighbors)
        }
        #expect(host.audit() == nil)
        #expect(host.link.neighbors.count == 512)
        #expect(most < 160 << 10)
        #expect(host.neighbor(ip("10.255.0.2"))?.state == .reachable)
        #expect(answers || host.link.counters[.replyDropped] > 0)
        #expect(host.link.counters.neighborsEvicted == UInt64(FloodTests.count + 1 - 512))
    }

    @Test("Being made to ask for 100,000 neighbors costs a few packets' room, and drives out no friend [6583-1]")
    func scan() throws {
        let host = host()
        var now = Instant(nanoseconds: 10_000_000_000)
        try befriend(host, at: now)
        // A ping from every address of the prefix: the answers have nowhere to go.
        var message: [UInt8] = [128, 0, 0, 0, 0, 1, 0, 1] + [UInt8](repeating: 7, count: 56)
        var most = 0
        for number in 0..<FloodTests.count / 10 {
            let source = IPAddress(high: 0xFD00_0000_0000_0000, low: UInt64(0x10000 + number))
            message.replaceSubrange(2..<4, with: [0, 0])
            var sum = Checksum()
            sum.add(message.span.bytes)
            sum.addPseudoHeader(
                source: source, destination: ip("fd00::1"), protocol: IPProtocol.icmpv6, length: message.count)
            message.replaceSubrange(2..<4, with: big16(sum.value))
            let packet =
                big32(0x6000_0000) + big16(UInt16(message.count)) + [58, 64] + octets(source) + octets(ip("fd00::1"))
                + message
            host.receive(ethernet(to: mac(1), from: mac(66), type: 0x86DD, packet), at: now)
            var asked = 0
            while host.nextFrame(at: now) != nil { asked += 1 }
            #expect(asked == 1, "\(number)")
            most = max(most, host.stack.memory.neighbors)
            if number % 100 == 0 {
                now = now + .milliseconds(10)
                host.advance(to: now)
            }
        }
        #expect(host.audit() == nil)
        #expect(host.link.neighbors.count { $0.state == .incomplete } <= 64)
        #expect(most < 64 << 10)
        #expect(host.neighbor(ip("10.255.0.2"))?.state == .reachable)
        // The real ones among them are found all the same: the oldest question gives way, not the latest.
        let honest = ip("fd00::ffff:1")
        _ = try host.stack.connect(to: Endpoint(honest, 80), at: now)
        while host.nextFrame(at: now) != nil {}
        host.receive(
            DiscoveryFrame(
                type: 136, source: honest, destination: ip("fd00::1"), hardware: mac(5), frameTo: mac(1),
                body: big32(3 << 29) + octets(honest) + linkOption(2, mac(5))
            ).frame(), at: now)
        #expect(host.neighbor(honest)?.state == .reachable)
        for second in 1...4 {
            host.advance(to: now + .seconds(second))
            while host.nextFrame(at: now + .seconds(second)) != nil {}
        }
        #expect(!host.link.neighbors.contains { $0.state == .incomplete })
        #expect(host.audit() == nil)
    }

    @Test("A table full of friends takes an asker only in a friend's place when it answers this host's question")
    func friends() throws {
        let host = host { $0.neighbors = 4 }
        let now = Instant(nanoseconds: 10_000_000_000)
        func answer(_ number: UInt8) {
            host.receive(
                arpFrame(
                    2, from: mac(100 + Int(number)), IPAddress(10, 1, 0, number), to: ip("10.0.0.1"),
                    targetHardware: mac(1),
                    frameTo: mac(1)), at: now)
        }
        for number: UInt8 in 1...4 {
            _ = try host.stack.connect(to: Endpoint(IPAddress(10, 1, 0, number), 80), at: now)
            while host.nextFrame(at: now) != nil {}
            answer(number)
            while host.nextFrame(at: now) != nil {}
        }
        host.receive(arpFrame(1, from: mac(99), ip("10.1.0.99"), to: ip("10.0.0.1")), at: now)
        #expect(host.link.counters[.noMemory] == 1 && host.neighbor(ip("10.1.0.99")) == nil)
        // It is answered nevertheless.
        #expect(host.nextFrame(at: now).map { Array($0.octets.prefix(6)) } == octets(mac(99)))
        // The first is used again, so that the second is the one not used for longest.
        _ = try host.stack.connect(to: Endpoint(IPAddress(10, 1, 0, 1), 81), at: now)
        while host.nextFrame(at: now) != nil {}
        _ = try host.stack.connect(to: Endpoint(IPAddress(10, 1, 0, 5), 80), at: now)
        while host.nextFrame(at: now) != nil {}
        #expect(host.link.neighbors.count == 5)
        answer(5)
        let known = Set(host.link.neighbors.map(\.address))
        #expect(known == Set([1, 3, 4, 5].map { IPAddress(10, 1, 0, $0) }))
        #expect(host.audit() == nil)
    }

    @Test("Waiting packets keep to their limit of memory, and to the stack's budget")
    func waiting() throws {
        var settings = Configuration()
        settings.memoryBudget = 700 << 10
        for limit in [1, 4 << 10, 256 << 10] {
            var configuration = EthernetConfiguration.quick
            configuration.waitingBytes = limit
            let now = Instant(nanoseconds: 1_000_000_000)
            let host = EthernetHost(1, configuration, stack: settings, at: now)
            host.link.addAddress(AddressPrefix("10.0.0.1/8")!, to: &host.stack, at: now)
            for number in 1...400 {
                _ = try? host.stack.connect(to: Endpoint(IPAddress(ipv4: 0x0A01_0000 + UInt32(number)), 80), at: now)
                while host.nextFrame(at: now) != nil {}
                if let fault = host.audit() { Issue.record("\(fault)") }
            }
            let waiting = host.link.neighbors.map(\.waitingPackets).reduce(0, +)
            #expect(waiting > 0 && (limit > 1 || waiting == 1))
            #expect(host.stack.memory.total <= settings.memoryBudget)
            #expect(limit > 5000 || host.link.counters.packetsWithoutMemory > 0)
        }
    }

    @Test("A flood of router advertisements is kept within the limits, and counted")
    func advertisements() {
        let host = host { $0.autoconfigures = true }
        var now = Instant(nanoseconds: 10_000_000_000)
        host.advance(to: now)
        var most = 0
        for number in 0..<FloodTests.count / 50 {
            var options: [UInt8] = []
            for index in 0..<10 {
                options += prefixOption(
                    "2001:db8:\(String(number % 65_536, radix: 16)):\(index)::/64", valid: 7200, preferred: 7200)
            }
            host.receive(advertisement(router: 100 + number, options: options).frame(), at: now)
            while host.nextFrame(at: now) != nil {}
            most = max(most, host.stack.memory.neighbors)
            if number % 50 == 0 {
                now = now + .seconds(1)
                host.advance(to: now)
            }
        }
        #expect(host.audit() == nil)
        #expect(host.link.defaultRouters.count == 8 && host.link.counters[.tooManyRouters] > 0)
        #expect(host.link.addresses.count { $0.origin == .autoconfigured } == 16)
        #expect(host.link.counters[.tooManyAddresses] > 0 && host.link.counters[.tooManyPrefixes] > 0)
        #expect(most < 100 << 10)
        while host.nextFrame(at: now) != nil {}
        host.advance(to: now + .seconds(9000))
        host.advance(to: now + .seconds(9001))
        #expect(host.link.defaultRouters.isEmpty && host.link.addresses.count == 3)
        #expect(host.audit() == nil)
    }
}
