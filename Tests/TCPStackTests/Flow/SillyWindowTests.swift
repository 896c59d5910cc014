import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.8.6.2: silly windows, on both sides.
@Suite("Silly-window avoidance")
struct SillyWindowTests {
    @Test(
        "A window opened one octet at a time draws no small segments before the override timer [MUST-38]",
        arguments: Family.allCases)
    func sender(family: Family) {
        let peer = ScriptedPeer(family)
        peer.window = 8000
        peer.establish()
        peer.window = 0
        peer.send(.ack)
        peer.write(20_000)
        peer.expectNothing()
        // Within the override time, 100 ms at the least.
        for window in 1...60 {
            peer.send(.ack, window: UInt16(window))
            peer.expectNothing()
            peer.host.advance(by: .milliseconds(1))
        }
    }

    @Test("As soon as a full segment fits it leaves [MUST-38]", arguments: Family.allCases)
    func fullSegment(family: Family) {
        let peer = ScriptedPeer(family)
        peer.window = 8000
        peer.establish()
        peer.send(.ack, window: 0)
        peer.write(20_000)
        peer.send(.ack, window: UInt16(peer.mss - 1))
        peer.expectNothing()
        peer.send(.ack, window: UInt16(peer.mss))
        peer.expect(.ack, seq: 1, length: peer.mss)
        peer.expectNothing()
    }

    @Test(
        "Half of the largest window there was is enough where no full segment ever fits [MUST-38]",
        arguments: Family.allCases)
    func halfWindow(family: Family) {
        let peer = ScriptedPeer(family)
        peer.window = 1000
        peer.establish()
        peer.send(.ack, window: 0)
        peer.write(20_000)
        peer.send(.ack, window: 499)
        peer.expectNothing()
        peer.send(.ack, window: 500)
        peer.expect(.ack, seq: 1, length: 500)
    }

    @Test(
        "The override timer lets a small segment go in the end: no deadlock [MUST-38, MUST-60]",
        arguments: Family.allCases)
    func override(family: Family) {
        let peer = ScriptedPeer(family)
        peer.window = 8000
        peer.establish()
        peer.send(.ack, window: 0)
        peer.write(20_000)
        peer.send(.ack, window: 100)
        let segment = peer.expect(.ack, seq: 1, length: nil, within: .seconds(2))
        #expect((segment?.length ?? 0) <= 100 && (segment?.length ?? 0) > 0)
    }

    @Test("All that is queued may leave though it is small [MUST-38]", arguments: Family.allCases)
    func everything(family: Family) {
        let peer = ScriptedPeer(family)
        peer.window = 8000
        peer.establish()
        peer.send(.ack, window: 0)
        peer.write(50)
        peer.send(.ack, window: 100)
        peer.expect([.psh, .ack], seq: 1, length: 50)
    }

    @Test(
        "The receiver's right edge moves in steps of min(half the buffer, MSS) [MUST-39, RFC 2525]",
        arguments: Family.allCases, [4096, 2000, 20_000])
    func receiver(family: Family, buffer: Int) {
        var configuration = Configuration()
        configuration.receiveBuffer = buffer
        let peer = ScriptedPeer(family, configuration)
        peer.establish()
        while peer.next < buffer + 1 { peer.send(length: min(1000, buffer + 1 - peer.next)) }
        peer.host.advance(by: .milliseconds(500))
        peer.discard()
        let step = min(buffer / 2, 1500 - family.fixedHeaders)
        var edge = peer.rightEdge
        var edges: [Int] = []
        for _ in 0..<buffer {
            peer.expectRead(1, limit: 1)
            // Whatever is said now: an answer to a probe must not tell of slivers either.
            if peer.consumed % 100 == 0 { peer.send(seq: peer.next - 1) }
            if peer.rightEdge != edge {
                edges.append(peer.rightEdge - edge)
                edge = peer.rightEdge
            }
            peer.discard()
            peer.history.removeAll()
        }
        #expect(!edges.isEmpty)
        #expect(edges.dropLast().allSatisfy { $0 >= step }, "\(edges)")
    }

    @Test(
        "Reading from a full buffer sends the window update that the peer waits for [B-31, B-12]",
        arguments: Family.allCases)
    func update(family: Family) {
        var configuration = Configuration()
        configuration.receiveBuffer = 16_384
        let peer = ScriptedPeer(family, configuration)
        peer.establish()
        while peer.next < 16_385 { peer.send(length: 1024) }
        peer.host.advance(by: .milliseconds(500))
        #expect(peer.pending.last?.tcp.window == 0)
        peer.discard()
        peer.expectRead(8192, limit: 8192)
        let update = peer.expect(.ack, seq: 1, ack: 16_385)
        #expect((update?.tcp.window ?? 0) >= 8192)
        peer.expectNothing(for: .seconds(10))
    }

    @Test(
        "The window follows the buffer: what is unread is not offered again [SHLD-14, MAY-8]",
        arguments: Family.allCases)
    func accounting(family: Family) {
        var configuration = Configuration()
        configuration.receiveBuffer = 10_000
        let peer = ScriptedPeer(family, configuration)
        peer.establish()
        for _ in 0..<6 {
            peer.send(length: 1460)
            peer.host.advance(by: .milliseconds(50))
            let ack = peer.history.last
            let window = Int(ack?.tcp.window ?? 0)
            #expect((ack.map(peer.relativeAcknowledgment) ?? 0) + window == 10_001)
        }
        peer.discard()
        peer.expectRead(6 * 1460)
    }
}
