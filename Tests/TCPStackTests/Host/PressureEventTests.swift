import TCPEngine
import TCPStack
import TCPWire
import Testing

/// What a program is told of memory and of its listeners.
@Suite("Levels of memory, and what listeners refuse")
struct PressureEventTests {
    private func levels(_ host: VirtualHost) -> [MemoryLevel] {
        host.events.compactMap { if case .memoryLevel(let level) = $0 { level } else { nil } }
    }

    private func status(_ host: VirtualHost, _ listener: ListenerID) -> ListenerStatus? {
        host.stack.status(of: listener)
    }

    @Test("The levels follow one another, and their defaults do", arguments: [1 << 16, 8 << 20, 1 << 40])
    func order(budget: Int) {
        let levels = MemoryLevels()
        let starts = [
            levels.returningBuffers, levels.holdingWindows, levels.shrinkingWindows, levels.endingTimeWait,
            levels.sendingCookies, levels.refusingConnections, levels.resettingOrphans, levels.refusingOctets,
            100 - levels.keptBack,
        ]
        #expect(starts == starts.sorted() && Set(starts).count == starts.count)
        #expect(MemoryLevel.allCases == MemoryLevel.allCases.sorted())
        #expect(MemoryLevel.ample < .returningBuffers && !(MemoryLevel.resettingOrphans < .ample))
        // Whatever a program writes into it, there is a stack.
        var configuration = Configuration()
        configuration.memoryBudget = budget
        configuration.memoryLevels.keptBack = 1000
        configuration.memoryLevels.endingTimeWait = -5
        let host = VirtualHost(configuration)
        #expect(host.stack.audit() == nil)
    }

    @Test(
        "A level is told once when it is entered, and once when it is left, not while memory goes to and fro",
        arguments: Family.allCases)
    func told(family: Family) {
        var configuration = PressureTests.configuration(1 << 20) {
            $0.returningBuffers = 20
            $0.holdingWindows = 40
        }
        configuration.sendBuffer = 1 << 20
        let peer = ScriptedPeer(family, configuration)
        peer.window = 65_535
        peer.establish()
        #expect(peer.host.stack.memoryLevel == .ample && levels(peer.host).isEmpty)
        peer.write(140_000)
        #expect(levels(peer.host).isEmpty)
        peer.write(100_000)
        #expect(levels(peer.host) == [.returningBuffers] && peer.host.stack.memoryLevel == .returningBuffers)
        peer.write(250_000)
        #expect(levels(peer.host) == [.returningBuffers, .holdingWindows])
        // Below the start by less than a thirty-second of the budget: it stays.
        peer.discard()
        peer.received = 0
        peer.host.events.removeAll()
        while peer.status?.unacknowledged ?? 0 > 410_000 {
            peer.send(.ack, ack: (peer.history.map { peer.relative($0) + $0.length }.max() ?? 1))
        }
        #expect(levels(peer.host).isEmpty)
        peer.abort()
        #expect(levels(peer.host) == [.ample] && peer.host.stack.memoryLevel == .ample)
        let hasMore = peer.host.stack.hasEvents
        #expect(!hasMore)
    }

    @Test(
        "While a listener's queue is full nothing is answered, with cookies as without; its status tells [RFC 4987, 4987-3]",
        arguments: Family.allCases, [SynCookies.always, .underPressure])
    func fullQueue(family: Family, cookies: SynCookies) throws {
        var configuration = Configuration()
        configuration.synCookies = cookies
        let first = ScriptedPeer(family, configuration)
        first.listen(backlog: 1)
        let listener = try #require(first.listener)
        let peers = (0..<3).map { ScriptedPeer(family, host: first.host, port: UInt16(5000 + $0)) }
        for peer in peers {
            peer.listener = listener
            if peer !== peers[2] { peer.beginPassive() }
        }
        peers[0].send(.ack)
        #expect(status(first.host, listener)?.isFull == true)
        // A third segment, and octets behind it: no reset, which would end what the peer believes open.
        peers[1].send(.ack)
        peers[1].send(.ack, length: 100)
        peers[1].send(.ack, length: 100)
        peers[2].send(.syn)
        peers[1].expectNothing()
        peers[2].expectNothing()
        let counted = try #require(status(first.host, listener))
        #expect(counted.waiting == 1 && counted.backlog == 1 && counted.isFull)
        #expect(counted.refusedForQueue == 4 && first.host.stack.counters[.queueFull] == 4)
        peers[0].accept()
        #expect(status(first.host, listener)?.isFull == false)
        // What the peer sends again gets it in.
        peers[1].send(.ack, seq: 1, length: 100)
        peers[1].accept()
        peers[1].expectRead(100)
        first.host.stack.stopListening(listener, at: first.host.now)
        #expect(status(first.host, listener) == nil)
    }

    @Test(
        "One source takes its share of the half-open places and no more; others find theirs [RFC 4987, 4987-6]",
        arguments: Family.allCases, [SynCookies.never, .underPressure])
    func fairness(family: Family, cookies: SynCookies) throws {
        var configuration = Configuration()
        configuration.synCookies = cookies
        configuration.halfOpenPerListener = 64
        configuration.halfOpenShare = 25
        let host = VirtualHost(configuration, families: [family])
        let listener = try host.stack.listen(on: 80, backlog: 64, at: host.now)
        func syn(_ number: Int, _ port: Int) {
            var injection = Injection(
                source: Endpoint(family.address(number), UInt16(1024 + port)),
                destination: Endpoint(family.stackAddress, 80), sequence: SequenceNumber(5), flags: .syn)
            // Another host of the same /64 is the same source (RFC 4291 §2.5.4).
            if family == .ipv6, port % 2 == 1 {
                injection.source.address = IPAddress(
                    high: injection.source.address.high, low: injection.source.address.low + 0x1000)
            }
            host.inject(injection.packet())
        }
        for port in 0..<100 { syn(2, port) }
        #expect(host.stack.memory.halfOpenCount == 16)
        #expect(status(host, listener)?.halfOpen == 16)
        let others = cookies == .never ? host.stack.counters[.tooManyHalfOpen] : host.stack.counters.cookiesSent
        #expect(others == 84)
        if family == .ipv6 {
            // All of the link is one /64: somebody from another.
            let far = Injection(
                source: Endpoint(IPAddress(high: 0x2001_0DB8_0000_0000, low: 9), 4000),
                destination: Endpoint(family.stackAddress, 80), sequence: SequenceNumber(5), flags: .syn)
            host.inject(far.packet())
            #expect(host.stack.memory.halfOpenCount == 17)
        } else {
            for number in 10..<58 { syn(number, 0) }
            // Two sources may share a count, which costs them a place.
            #expect(host.stack.memory.halfOpenCount >= 60)
        }
        #expect(host.stack.audit() == nil)
        // The places come back with the entries.
        host.advance(by: .seconds(200))
        #expect(host.stack.memory.halfOpenCount == 0)
        syn(2, 500)
        #expect(host.stack.memory.halfOpenCount == 1 && host.stack.audit() == nil)
    }

    @Test("All listeners together have a bound as well [RFC 4987, 4987-1]", arguments: Family.allCases)
    func total(family: Family) throws {
        var configuration = Configuration()
        configuration.halfOpenConnections = 10
        configuration.halfOpenShare = 100
        let host = VirtualHost(configuration, families: [family])
        for port: UInt16 in [80, 81] { _ = try host.stack.listen(on: port, backlog: 64, at: host.now) }
        for number in 0..<40 {
            let injection = Injection(
                source: Endpoint(family.address(2), UInt16(1024 + number)),
                destination: Endpoint(family.stackAddress, UInt16(80 + number % 2)), sequence: SequenceNumber(5),
                flags: .syn)
            host.inject(injection.packet())
        }
        #expect(host.stack.memory.halfOpenCount == 10 && host.stack.counters.cookiesSent == 30)
    }
}
