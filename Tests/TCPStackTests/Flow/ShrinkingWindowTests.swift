import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.8.6: a peer that takes its window back.
@Suite("Shrinking windows")
struct ShrinkingWindowTests {
    /// A connection with ten segments in flight and more waiting.
    private func inFlight(_ family: Family) -> ScriptedPeer {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.setOptions { $0.userTimeout = .seconds(Int64.max) }
        peer.write(100_000)
        peer.discard()
        return peer
    }

    @Test(
        "A window taken back below what is in flight stops new data and breaks nothing [MUST-34, SHLD-15, B-17]",
        arguments: Family.allCases, [UInt16(0), 1, 100, 1000, 4000])
    func shrunk(family: Family, window: UInt16) {
        let peer = inFlight(family)
        let sent = peer.received
        peer.send(.ack, ack: 1, window: window)
        peer.host.advance(by: .seconds(5))
        let highest = peer.pending.map { peer.relative($0) + $0.length }.max() ?? 0
        #expect(highest <= sent, "nothing beyond the old SND.NXT")
        peer.discard()
        peer.expectState(.established)
        // The window opens, and all is well.
        peer.send(.ack, ack: sent)
        peer.discard()
        peer.send(.ack)
        #expect(peer.received > sent)
    }

    @Test(
        "Old data within the new window is sent again when its time comes, and none past it [SHLD-16]",
        arguments: Family.allCases, [UInt16(100), 3000])
    func retransmits(family: Family, window: UInt16) {
        let peer = inFlight(family)
        peer.send(.ack, ack: 1, window: window)
        peer.host.advance(by: .milliseconds(250))
        let again = peer.pending.filter { $0.length > 0 }
        #expect(again.first.map(peer.relative) == 1)
        #expect(again.allSatisfy { peer.relative($0) + $0.length <= 1 + Int(window) })
    }

    @Test("A window shrunk to zero is probed like any closed one [MUST-35]", arguments: Family.allCases)
    func toZero(family: Family) {
        let peer = inFlight(family)
        let sent = peer.received
        peer.send(.ack, ack: 1, window: 0)
        peer.host.advance(by: .seconds(3))
        #expect(!peer.pending.isEmpty)
        #expect(peer.pending.allSatisfy { $0.length <= 1 }, "probes, not data\n\(peer.host.recentTrace())")
        peer.discard()
        peer.received = sent
        peer.send(.ack, ack: sent)
        #expect(peer.pending.contains { peer.relative($0) >= sent && $0.length > 1 })
    }

    @Test(
        "Data beyond the new edge does not time the connection out while the peer answers [SHLD-17, MAY-7]",
        arguments: Family.allCases)
    func noTimeout(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.write(14_600)
        peer.discard()
        // The first two segments are taken, the window closes in front of the rest.
        peer.send(.ack, ack: 1 + 2 * peer.mss, window: 0)
        let end = peer.host.now + .seconds(3600)
        while peer.host.now < end, peer.state == .established {
            peer.host.advance(to: end) { !peer.pending.isEmpty }
            peer.discard()
            peer.send(.ack, ack: 1 + 2 * peer.mss, window: 0)
        }
        peer.expectState(.established)
    }

    @Test(
        "A right edge that jumps about at random never makes the sender pass the last one [B-17, MUST-34]",
        arguments: Family.allCases)
    func random(family: Family) {
        var generator = Pseudorandom(seed: 11)
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.setOptions { $0.userTimeout = .seconds(Int64.max) }
        peer.write(500_000)
        for _ in 0..<400 {
            let window = UInt16(generator.next() % 6 == 0 ? 0 : generator.next() % 20_000)
            let before = peer.history.map { peer.relative($0) + $0.length }.max() ?? 1
            let ack = peer.received - Int(generator.next() % 2) * min(peer.received - 1, Int(generator.next() % 3000))
            peer.discard()
            peer.send(.ack, ack: ack, window: window)
            peer.host.advance(by: .milliseconds(Int(generator.next() % 300)))
            let limit = max(before, peer.offeredEdge + 1)
            #expect(peer.pending.allSatisfy { peer.relative($0) + $0.length <= limit })
            peer.expectState(.established)
        }
        // In the end everything arrives.
        for _ in 0..<400 where peer.received < 500_001 {
            peer.discard()
            peer.send(.ack)
            peer.host.advance(by: .milliseconds(50))
        }
        #expect(peer.received == 500_001)
    }
}
