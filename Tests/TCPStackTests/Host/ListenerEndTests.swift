import TCPEngine
import TCPStack
import TCPWire
import Testing

/// What a listener owes those that wait for it, and what is left when it ends.
@Suite("Listeners that are full, and listeners that end")
struct ListenerEndTests {
    /// `count` peers of one listener, their SYNs answered.
    private func halfOpen(
        _ family: Family, _ count: Int, backlog: Int = 128, _ configuration: Configuration = Configuration()
    ) -> [ScriptedPeer] {
        let first = ScriptedPeer(family, configuration, port: 2000)
        first.listen(backlog: backlog)
        let others = (1..<count).map { ScriptedPeer(family, host: first.host, port: UInt16(2000 + $0)) }
        for one in [first] + others {
            one.listener = first.listener
            one.beginPassive()
        }
        return [first] + others
    }

    @Test("A listener that ends forgets its half-open connections [rule 4]", arguments: Family.allCases)
    func forgetsHalfOpen(family: Family) throws {
        let peer = halfOpen(family, 3)[2]
        peer.host.stack.stopListening(try #require(peer.listener), at: peer.host.now)
        #expect(peer.host.stack.memory.halfOpenCount == 0)
        peer.send(.ack)
        peer.expect(.rst, seq: 1)
        peer.expectNothing(for: .seconds(10))
    }

    @Test("A listener that ends resets the connections nobody has accepted [SHLD-3]", arguments: Family.allCases)
    func resetsWaiting(family: Family) throws {
        let peer = halfOpen(family, 1)[0]
        peer.send(.ack)
        peer.host.stack.stopListening(try #require(peer.listener), at: peer.host.now)
        peer.host.settle()
        peer.expect([.rst, .ack], seq: 1, ack: 1)
        #expect(peer.host.stack.memory.connectionCount == 0)
    }

    @Test("While connections wait, each accept is followed by word of the next", arguments: Family.allCases)
    func toldOfTheNext(family: Family) throws {
        let peers = halfOpen(family, 3)
        let (host, listener) = (peers[0].host, try #require(peers[0].listener))
        for peer in peers { peer.send(.ack) }
        for waiting in [2, 1, 0] {
            host.events.removeAll()
            #expect(host.accept(listener) != nil)
            host.settle()
            #expect(host.events.contains(.acceptable(listener)) == (waiting > 0))
        }
    }

    @Test("The handle of a listener that ended names no later one", arguments: Family.allCases)
    func staleHandle(family: Family) throws {
        let peer = ScriptedPeer(family)
        peer.listen()
        let old = try #require(peer.listener)
        peer.host.stack.stopListening(old, at: peer.host.now)
        peer.listen()
        peer.host.stack.stopListening(old, at: peer.host.now)
        peer.beginPassive()
        peer.send(.ack)
        #expect(peer.host.accept(old) == nil)
        peer.accept()
    }

    @Test(
        "A listener for one address comes before one for all, whichever was first [RFC 9293 §3.9.1.1]",
        arguments: Family.allCases, [false, true])
    func mostSpecific(family: Family, isFirst: Bool) throws {
        let peer = ScriptedPeer(family)
        let host = peer.host
        func listen(_ address: IPAddress?) throws -> ListenerID {
            try host.stack.listen(on: 80, address: address, at: host.now)
        }
        let before = isFirst ? try listen(family.stackAddress) : nil
        let all = try listen(nil)
        let one = try before ?? listen(family.stackAddress)
        peer.listener = one
        peer.beginPassive()
        peer.send(.ack)
        #expect(host.accept(all) == nil)
        peer.accept()
    }

    @Test(
        "A listener keeps as many half-open connections as its backlog says, and no fewer than 16 [RFC 4987, 4987-1]",
        arguments: Family.allCases, [(4, 16), (20, 20)])
    func halfOpenLimit(family: Family, limit: (backlog: Int, kept: Int)) {
        var configuration = Configuration()
        configuration.synCookies = .never
        configuration.halfOpenShare = 100
        let peers = halfOpen(family, limit.kept, backlog: limit.backlog, configuration)
        let late = ScriptedPeer(family, host: peers[0].host, port: 5000)
        late.send(.syn)
        late.expectNothing()
        #expect(late.host.stack.memory.halfOpenCount == limit.kept)
        #expect(late.host.stack.counters[.tooManyHalfOpen] == 1)
    }

    @Test("No more connections wait for accept than the backlog says [RFC 4987, 4987-3]", arguments: Family.allCases)
    func backlog(family: Family) throws {
        let peers = halfOpen(family, 4, backlog: 2)
        for peer in peers { peer.send(.ack) }
        let listener = try #require(peers[0].listener)
        var accepted = 0
        while peers[0].host.accept(listener) != nil { accepted += 1 }
        #expect(accepted == 2)
        #expect(peers[0].host.stack.memory.halfOpenCount == 2)
    }
}
