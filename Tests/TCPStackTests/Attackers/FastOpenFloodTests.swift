import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Floods of SYNs with octets (RFC 7413 §5): guessed cookies, one that was overheard, and many that were.
@Suite("Fast Open, floods")
struct FastOpenFloodTests {
    private struct Victim {
        let host: VirtualHost
        let family: Family
        let listener: ListenerID

        init(_ family: Family, pending: Int = 64, _ change: (inout Configuration) -> Void = { _ in }) throws {
            var configuration = Configuration()
            configuration.memoryBudget = 1 << 20
            configuration.synAckRetries = 0
            change(&configuration)
            self.family = family
            host = VirtualHost(configuration, families: [family])
            listener = try host.stack.listen(on: 80, backlog: 512, options: .fast(pending: pending), at: host.now)
        }

        func source(_ number: Int) -> IPAddress {
            // A /64 of its own for each.
            family == .ipv4
                ? IPAddress(ipv4: 0x0A00_0000 | UInt32(2 + number))
                : IPAddress(high: 0xFD01 << 48 | UInt64(number), low: 1)
        }

        func cookie(_ source: IPAddress) -> [UInt8] {
            host.stack.fastOpenCookie(client: source, server: family.stackAddress).octets
        }

        /// A SYN with that cookie and 1,000 octets.
        func syn(_ source: IPAddress, port: Int, _ cookie: [UInt8]) {
            var injection = Injection(
                source: Endpoint(source, UInt16(1024 + port % 60_000)), destination: Endpoint(family.stackAddress, 80),
                sequence: SequenceNumber(UInt32(truncatingIfNeeded: port &* 7919)), flags: .syn)
            injection.options = WireOption.fastOpen(cookie).encoded(base: SequenceNumber(0))
            injection.payload = [UInt8](repeating: 1, count: 1000)
            host.inject(injection.packet())
            host.strays.removeAll()
            host.trace.removeAll()
        }

        /// Whether an honest client that never was here gets a connection, and its octets through.
        func serves() -> Bool {
            let peer = ScriptedPeer(family, host: host, number: 250, port: 777)
            peer.send(.syn)
            guard peer.expect([.syn, .ack], seq: nil, ack: 1) != nil else { return false }
            peer.send(.ack)
            peer.send(length: 10)
            peer.discard()
            while let id = host.stack.accept(listener) {
                if host.stack.status(of: id)?.remote == peer.endpoint {
                    return host.stack.status(of: id)?.unread == 10
                }
                host.stack.abort(id, at: host.now)
            }
            return false
        }
    }

    private let count = attacks(50_000, debug: 1_500)

    @Test(
        "Guessed cookies open nothing, and cost half-open entries at most [7413-1, 7413-5, 4987-1]",
        arguments: Family.allCases)
    func guessed(family: Family) throws {
        let victim = try Victim(family)
        var state: UInt64 = 1
        for number in 0..<count {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let cookie = (0..<8).map { UInt8(truncatingIfNeeded: state >> (8 * UInt64($0))) }
            victim.syn(victim.source(number % 200), port: number, cookie)
        }
        let memory = victim.host.stack.memory
        #expect(memory.connectionCount == 0 && memory.buffers == 0)
        #expect(victim.host.stack.counters.fastOpensAccepted == 0)
        #expect(victim.host.stack.counters.fastOpenCookiesRefused == UInt64(count))
        #expect(victim.host.stack.audit() == nil)
        #expect(victim.serves())
    }

    @Test(
        "An overheard cookie opens no more than its source's share, resets or not [7413-5, 7413-10]",
        arguments: Family.allCases, [false, true])
    func overheard(family: Family, resets: Bool) throws {
        let victim = try Victim(family)
        let source = victim.source(5)
        let cookie = victim.cookie(source)
        for number in 0..<count {
            victim.syn(source, port: number, cookie)
            guard resets else { continue }
            var reset = Injection(
                source: Endpoint(source, UInt16(1024 + number % 60_000)),
                destination: Endpoint(family.stackAddress, 80),
                sequence: SequenceNumber(UInt32(truncatingIfNeeded: number &* 7919)) + 1001, flags: .rst)
            reset.payload = []
            victim.host.inject(reset.packet())
        }
        let accepted = victim.host.stack.counters.fastOpensAccepted
        // Half of 64 to one source at a time; with resets as many as the limit before the hold is over.
        #expect(accepted == (resets ? 64 : 32))
        #expect(victim.host.stack.memory.buffers <= 64 * 2048)
        #expect(victim.host.stack.audit() == nil)
        #expect(victim.serves())
    }

    @Test("Cookies of a thousand sources open no more than the limit [7413-5]", arguments: Family.allCases)
    func manySources(family: Family) throws {
        let victim = try Victim(family)
        for number in 0..<count {
            let source = victim.source(number % 1000)
            victim.syn(source, port: number, victim.cookie(source))
        }
        #expect(victim.host.stack.counters.fastOpensAccepted == 64)
        #expect(victim.host.stack.memory.total <= 1 << 20)
        #expect(victim.host.stack.audit() == nil)
        #expect(victim.serves())
    }

    @Test(
        "Without a limit memory has one: where it is scarce all shake hands [7413-5, B-29]", arguments: Family.allCases)
    func memory(family: Family) throws {
        let victim = try Victim(family, pending: 1_000_000) { $0.halfOpenShare = 100 }
        for number in 0..<count {
            let source = victim.source(number % 1000)
            victim.syn(source, port: number, victim.cookie(source))
            // The program takes them all, and reads nothing.
            while victim.host.stack.accept(victim.listener) != nil {}
        }
        let memory = victim.host.stack.memory
        #expect(memory.total <= 1 << 20)
        #expect(victim.host.stack.memoryLevel <= .sendingCookies)
        #expect(victim.host.stack.counters.fastOpensOverLimit > 0)
        #expect(victim.host.stack.audit() == nil)
    }
}
