import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Closes with lost segments, and closes that cross (RFC 9293 §3.6).
@Suite("Lost and crossing closes")
struct LostCloseTests {
    private func entered(_ family: Family, _ state: State) -> ScriptedPeer {
        let peer = ScriptedPeer(family)
        peer.enter(state)
        return peer
    }

    @Test(
        "An unacknowledged FIN is sent again with the same number, ever more slowly [B-6, seed 25]",
        arguments: Family.allCases, [State.finWait1, .closing, .lastAck])
    func finAgain(family: Family, state: State) {
        let peer = entered(family, state)
        let ack = ScriptedPeer.receiveNext(in: state)
        // The FIN left when the state was entered; the time already gone by is not known to the microsecond.
        peer.expect([.fin, .ack], seq: 1, ack: ack, within: .milliseconds(202))
        for milliseconds in [400, 800, 1600, 3200] {
            peer.expect([.fin, .ack], seq: 1, ack: ack, after: .milliseconds(milliseconds))
        }
        peer.expectState(state)
        peer.send(.ack, seq: ack, ack: 2)
        let after: [State: State] = [.finWait1: .finWait2, .closing: .timeWait, .lastAck: .closed]
        peer.expectState(after[state]!)
        peer.expectNothing(for: .seconds(20))
    }

    @Test(
        "A FIN nobody acknowledges is not sent for ever: R2 ends it [B-6, MUST-20]", arguments: Family.allCases,
        [State.finWait1, .closing, .lastAck])
    func finGivenUp(family: Family, state: State) {
        let peer = entered(family, state)
        peer.host.advance(by: .seconds(500))
        peer.expectState(.closed)
        #expect(peer.status?.error == .timedOut)
        peer.discard()
        peer.expectNothing(for: .seconds(500))
    }

    @Test("The same for an orphan: its memory comes back [B-6, B-9]", arguments: Family.allCases)
    func orphanGivenUp(family: Family) {
        let peer = entered(family, .established)
        peer.write(5000)
        peer.release()
        peer.host.advance(by: .seconds(1000))
        #expect(peer.host.stack.memory.connectionCount == 0)
        #expect(peer.host.stack.memory.buffers == 0)
        peer.discard()
        peer.expectNothing(for: .seconds(500))
    }

    @Test("The second wave lost, the FIN,ACK of the third does for both [seed 36]", arguments: Family.allCases)
    func secondWaveLost(family: Family) {
        let peer = entered(family, .finWait1)
        peer.send([.fin, .ack], ack: 2)
        peer.expect(.ack, seq: 2, ack: 2)
        peer.expectState(.timeWait)
    }

    @Test("Data and FIN lost together are sent again, data first [B-6, U-15]", arguments: Family.allCases)
    func dataAndFinLost(family: Family) {
        let peer = entered(family, .established)
        peer.write(100)
        peer.close()
        peer.expect([.psh, .ack], seq: 1, length: 100)
        peer.expect([.fin, .ack], seq: 101)
        // The FIN may be sent again with the data or after it, but not instead of it.
        peer.expectNothing(for: .milliseconds(199))
        peer.host.advance(by: .milliseconds(3))
        let again = peer.pending.first
        #expect(again.map(peer.relative) == 1 && again?.length == 100, "\(peer.host.recentTrace())")
        peer.discard()
        peer.send(.ack, ack: 101)
        peer.expectState(.finWait1)
        if again?.flags.contains(.fin) == true { peer.expectNothing() }
        peer.host.advance(by: .seconds(2))
        #expect(peer.pending.contains { $0.flags.contains(.fin) && peer.relative($0) == 101 })
        peer.send(.ack, ack: 102)
        peer.expectState(.finWait2)
    }

    /// Opens a connection between two stacks and gives both handles.
    private func opened(_ pair: JoinedHosts) throws -> (ConnectionID, ConnectionID) {
        let listener = try pair.server.stack.listen(on: 80, at: pair.now)
        let one = try pair.client.stack.connect(to: Endpoint(pair.serverAddress, 80), at: pair.now)
        pair.run(for: .seconds(1))
        return (one, try #require(pair.server.accept(listener)))
    }

    @Test(
        "Two crossing FINs: CLOSING and TIME-WAIT on both sides, whichever segment is lost [U-16, B-8]",
        arguments: Family.allCases, -1..<7)
    func crossing(family: Family, lost: Int) throws {
        let pair = JoinedHosts(family)
        let (one, other) = try opened(pair)
        let base = pair.carried
        pair.isLost = { index, _ in index == base + lost }
        try pair.client.stack.close(one, at: pair.now)
        try pair.server.stack.close(other, at: pair.now)
        pair.run(for: .seconds(20))
        for host in [pair.client, pair.server] {
            #expect(host.stack.memory.timeWaitCount == 1, "\(pair.trace())")
            #expect(host.stack.memory.connectionCount == 0 || host.stack.memory.timeWaitCount == 1)
        }
        if lost == -1 {
            let path = pair.client.changes.map(\.to).suffix(3)
            #expect(path == [.finWait1, .closing, .timeWait], "\(pair.trace())")
            #expect(pair.carried - base == 4, "two FINs and two ACKs [seed 47]\n\(pair.trace())")
        }
        pair.run(for: .seconds(70))
        for host in [pair.client, pair.server] {
            #expect(host.stack.memory.timeWaitCount == 0, "\(pair.trace())")
            #expect(host.stack.flows().allSatisfy { $0.state == .listen }, "\(pair.trace())")
        }
    }

    @Test(
        "A four-segment close survives the loss of each of its segments [seed 33, seed 44, B-8, B-25]",
        arguments: Family.allCases, 0..<4)
    func fourSegments(family: Family, lost: Int) throws {
        let pair = JoinedHosts(family)
        let (one, other) = try opened(pair)
        let base = pair.carried
        pair.isLost = { index, _ in index == base + lost }
        try pair.client.stack.close(one, at: pair.now)
        pair.run(for: .seconds(2))
        #expect(pair.server.stack.status(of: other)?.state == .closeWait, "\(pair.trace())")
        try pair.server.stack.close(other, at: pair.now)
        pair.run(for: .seconds(20))
        #expect(pair.server.stack.status(of: other)?.state ?? .closed == .closed, "\(pair.trace())")
        #expect(pair.client.stack.memory.timeWaitCount == 1, "\(pair.trace())")
        pair.run(for: .seconds(90))
        #expect(pair.client.stack.memory.timeWaitCount == 0, "\(pair.trace())")
    }

    @Test("Every way a connection ends is told to whoever waits [B-9]", arguments: Family.allCases, State.synchronized)
    func everyEndIsTold(family: Family, state: State) {
        guard state != .timeWait else { return }
        let peer = entered(family, state)
        peer.send(.rst, seq: ScriptedPeer.receiveNext(in: state))
        #expect(peer.takeReadiness().contains(.ended))
    }
}
