import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Listeners: their queues, their limits, and floods (RFC 4987, DESIGN rule 4).
@Suite("Listeners")
struct ListenerTests {
    private func peer(_ host: VirtualHost, _ family: Family, _ index: Int, _ listener: ListenerID?) -> ScriptedPeer {
        let peer = ScriptedPeer(family, host: host, number: 2 + index / 40_000, port: UInt16(2000 + index % 40_000))
        peer.listener = listener
        return peer
    }

    @Test("accept gives connections in the order their third segments came [seed 14]", arguments: Family.allCases)
    func order(family: Family) throws {
        let first = ScriptedPeer(family)
        first.listen()
        let peers = (0..<5).map { peer(first.host, family, $0, first.listener) }
        for one in peers { one.beginPassive() }
        let order = [3, 0, 4, 1, 2]
        for index in order { peers[index].send(.ack) }
        for index in order { peers[index].accept() }
        let listener = try #require(first.listener)
        #expect(first.host.accept(listener) == nil)
    }

    @Test(
        "A full accept queue takes no SYN; when there is room again the SYN sent anew gets through [RFC 4987, 4987-3]",
        arguments: Family.allCases)
    func backlog(family: Family) throws {
        let first = ScriptedPeer(family)
        first.listen(backlog: 2)
        let listener = try #require(first.listener)
        for index in 0..<2 {
            let one = peer(first.host, family, index, listener)
            one.beginPassive()
            one.send(.ack)
        }
        let late = peer(first.host, family, 2, listener)
        late.send(.syn)
        late.expectNothing(for: .seconds(1))
        #expect(first.host.stack.counters[.queueFull] >= 1)
        #expect(first.host.accept(listener) != nil)
        late.send(.syn, seq: 0)
        late.expect([.syn, .ack], seq: 0, ack: 1)
        late.send(.ack)
        #expect(first.host.accept(listener) != nil)
        #expect(first.host.accept(listener) != nil)
    }

    @Test(
        "A third segment that finds the queue full is made good by a later one [RFC 4987]", arguments: Family.allCases)
    func thirdFindsFull(family: Family) throws {
        let first = ScriptedPeer(family)
        first.listen(backlog: 1)
        let listener = try #require(first.listener)
        let peers = (0..<2).map { peer(first.host, family, $0, listener) }
        for one in peers { one.beginPassive() }
        for one in peers { one.send(.ack) }
        #expect(first.host.accept(listener) != nil)
        peers[1].discard()
        // The peer believes the connection open and sends.
        peers[1].send(length: 10)
        peers[1].discard()
        peers[1].connection = first.host.accept(listener)
        peers[1].expectRead(10)
    }

    @Test(
        "A flood of SYNs holds a bounded amount and leaves by itself; established connections go on [RFC 4987, 4987-1]",
        arguments: Family.allCases)
    func flood(family: Family) throws {
        #if DEBUG
            let count = 3000
        #else
            let count = 50_000
        #endif
        var configuration = Configuration()
        configuration.memoryBudget = 4 << 20
        let host = VirtualHost(configuration, families: [family])
        let client = ScriptedPeer(family, host: host, port: 1999)
        client.listen()
        client.establish()
        let empty = host.stack.memory.total
        for index in 0..<count {
            let spoofed = Injection(
                source: Endpoint(family.address(100 + index / 60_000), UInt16(3000 + index % 60_000)),
                destination: client.target,
                sequence: SequenceNumber(UInt32(index)), flags: .syn)
            host.inject(spoofed.packet())
        }
        #expect(host.stack.memory.total <= 4 << 20)
        client.send(length: 100)
        client.expectRead(100)
        client.expectState(.established)
        host.strays.removeAll()
        host.trace.removeAll()
        host.advance(by: .seconds(300))
        #expect(host.stack.memory.halfOpenCount == 0)
        #expect(host.stack.memory.total <= empty + 65_536)
        let late = peer(host, family, 0, client.listener)
        late.establish()
    }

    @Test("A forged third segment makes nothing [RFC 4987, U-10, 4987-2]", arguments: Family.allCases)
    func forged(family: Family) throws {
        let first = ScriptedPeer(family)
        first.listen()
        for index in 0..<200 {
            let one = peer(first.host, family, index, first.listener)
            one.send(.ack, seq: 1, ack: index * 7919)
            one.expect(.rst)
        }
        #expect(first.host.stack.memory.connectionCount == 0)
        // No cookie was ever sent, and none is looked for.
        #expect(first.host.stack.counters.cookiesRefused == 0)
        let listener = try #require(first.listener)
        #expect(first.host.accept(listener) == nil)
    }

    @Test(
        "Closing a listener leaves its children alone, and the port answers with RST [MUST-41]",
        arguments: Family.allCases)
    func stopped(family: Family) throws {
        let first = ScriptedPeer(family)
        first.establish()
        first.host.stack.stopListening(try #require(first.listener), at: first.host.now)
        first.host.settle()
        first.send(length: 10)
        first.expectRead(10)
        let late = ScriptedPeer(family, host: first.host, port: 4002)
        late.send(.syn)
        late.expect([.rst, .ack], seq: 0, ack: 1)
        // And the port can be listened on again.
        let again = ScriptedPeer(family, host: first.host, port: 4003)
        again.establish()
    }

    @Test("One acceptable event is enough until the queue was looked at [rule 6]", arguments: Family.allCases)
    func events(family: Family) throws {
        let first = ScriptedPeer(family)
        first.listen()
        let listener = try #require(first.listener)
        for index in 0..<3 {
            let one = peer(first.host, family, index, listener)
            one.beginPassive()
            one.send(.ack)
        }
        #expect(first.host.events.filter { $0 == .acceptable(listener) }.count >= 1)
        var accepted = 0
        while first.host.accept(listener) != nil { accepted += 1 }
        #expect(accepted == 3)
        first.host.events.removeAll()
        let late = peer(first.host, family, 3, listener)
        late.beginPassive()
        late.send(.ack)
        #expect(first.host.events.contains(.acceptable(listener)))
    }

    @Test("A child keeps its data and its end while it waits for accept [U-19, U-20]", arguments: Family.allCases)
    func waits(family: Family) {
        let peer = ScriptedPeer(family)
        peer.beginPassive()
        peer.send(.ack)
        peer.send(length: 100)
        peer.send([.fin, .ack], length: 50)
        peer.host.advance(by: .seconds(5))
        peer.accept()
        peer.expectState(.closeWait)
        peer.expectRead(150)
        peer.expectRead(.endOfStream)
    }

    @Test("A child that was reset before accept does not stop the queue [MUST-11]", arguments: Family.allCases)
    func resetWhileWaiting(family: Family) throws {
        let first = ScriptedPeer(family)
        first.listen()
        let listener = try #require(first.listener)
        let peers = (0..<2).map { peer(first.host, family, $0, listener) }
        for one in peers {
            one.beginPassive()
            one.send(.ack)
        }
        peers[0].send(.rst)
        var live = 0
        for _ in 0..<3 {
            guard let id = first.host.accept(listener) else { break }
            if first.host.stack.status(of: id)?.state == .established { live += 1 }
            first.host.stack.release(id, at: first.host.now)
        }
        #expect(live == 1)
    }

    @Test(
        "flows() names each half-open, established and TIME-WAIT connection once [rule 2]", arguments: Family.allCases)
    func flows(family: Family) {
        let host = VirtualHost(families: [family])
        let open = ScriptedPeer(family, host: host, port: 4000)
        open.establish()
        let half = ScriptedPeer(family, host: host, port: 4001)
        half.listener = open.listener
        half.beginPassive()
        let waiting = ScriptedPeer(family, host: host, port: 4002)
        waiting.listener = open.listener
        waiting.enter(.timeWait)
        let states = host.stack.flows().filter { $0.state != .listen }
        #expect(Set(states.map(\.remote)) == [open.endpoint, half.endpoint, waiting.endpoint])
        #expect(states.count == 3)
        #expect(states.first { $0.remote == half.endpoint }?.state == .synReceived)
        #expect(states.first { $0.remote == waiting.endpoint }?.state == .timeWait)
        #expect(host.stack.memory.halfOpenCount == 1 && host.stack.memory.timeWaitCount == 1)
    }
}
