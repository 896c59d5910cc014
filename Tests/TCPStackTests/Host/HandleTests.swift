import TCPEngine
import TCPStack
import TCPWire
import Testing

/// What a handle and an address stand for once what they named is gone.
@Suite("Handles, addresses and memory that are gone")
struct HandleTests {
    @Test("An address that was taken away is this host's no longer [MUST-57, MUST-44]", arguments: Family.allCases)
    func removedAddress(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.host.stack.removeAddress(family.stackAddress)
        peer.send(length: 10)
        let late = ScriptedPeer(family, host: peer.host, port: 4001)
        late.send(.syn)
        peer.expectNothing(for: .seconds(1))
        late.expectNothing()
        #expect(peer.host.stack.counters[.notForUs] == 2)
        #expect(throws: OpenError.noLocalAddress) {
            try peer.host.stack.connect(to: peer.endpoint, from: family.stackAddress, at: peer.host.now)
        }
        #expect(throws: OpenError.noLocalAddress) {
            try peer.host.stack.listen(on: 81, address: family.stackAddress, at: peer.host.now)
        }
        // Given back, it hears again.
        peer.host.stack.addAddress(AddressPrefix(family.stackAddress, length: family.prefixLength))
        peer.send(seq: 1, length: 10)
        peer.expectRead(10)
    }

    @Test("The handle of a released connection is stale while the connection still closes", arguments: Family.allCases)
    func released(family: Family) throws {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.release()
        #expect(peer.host.state(local: peer.target, remote: peer.endpoint) == .finWait1)
        #expect(peer.status == nil)
        peer.expectWrite(.notOpen)
        peer.expectRead(ConnectionError.notOpen)
        // Nor does aborting by it end what it no longer names.
        peer.discard()
        peer.abort()
        peer.expectNothing()
    }

    @Test("A handle never names a later connection in the place of its own", arguments: Family.allCases)
    func reused(family: Family) throws {
        let old = ScriptedPeer(family)
        old.establish()
        let stale = try #require(old.connection)
        old.abort()
        let new = ScriptedPeer(family, host: old.host, port: 4001)
        new.listener = old.listener
        new.establish()
        let fresh = try #require(new.connection)
        #expect(fresh.slot == stale.slot, "the place is used again")
        #expect(old.host.stack.status(of: stale) == nil)
        old.expectWrite(.notOpen)
        old.abort()
        new.expectState(.established)
    }

    @Test("Aborting a connection that has ended gives back what was not read", arguments: Family.allCases)
    func unreadAtTheEnd(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.send([.fin, .ack], length: 100)
        peer.close()
        peer.discard()
        peer.send(.ack)
        peer.expectState(.closed)
        #expect(peer.status?.unread == 100)
        peer.abort()
        #expect(peer.host.stack.memory.buffers == 0)
    }

    @Test("A writer that found no memory is told when others have given some back", arguments: Family.allCases)
    func memoryComesBack(family: Family) {
        var configuration = Configuration()
        configuration.memoryBudget = 1 << 20
        let greedy = ScriptedPeer(family, configuration)
        greedy.establish()
        #expect(greedy.write(1 << 20) < 1 << 20)
        let late = ScriptedPeer(family, host: greedy.host, port: 4001)
        late.listener = greedy.listener
        late.establish()
        #expect(late.write(100_000) < 100_000)
        #expect(!late.takeReadiness().contains(.writable))
        greedy.abort()
        #expect(late.takeReadiness().contains(.writable))
        #expect(late.write(1000) == 1000)
    }
}
