import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.10.7.4, first: the four cases of acceptability, and what an unacceptable segment is answered.
@Suite("First, check sequence number")
struct SequenceCheckTests {
    /// A connection whose window is small enough to fill.
    private func small(_ family: Family, isn: UInt32 = 0x2000_0000) -> ScriptedPeer {
        var configuration = Configuration()
        configuration.receiveBuffer = 4096
        let peer = ScriptedPeer(family, configuration, isn: isn)
        peer.establish()
        return peer
    }

    @Test(
        "An empty segment is acceptable from RCV.NXT up to, not at, RCV.NXT+RCV.WND [U-2, U-11]",
        arguments: Family.allCases)
    func emptySegments(family: Family) {
        let peer = small(family)
        let edge = peer.rightEdge
        #expect(edge == 1 + 4096)
        for seq in [1, 2, 2000, edge - 1] {
            peer.send(.ack, seq: seq)
            peer.expectNothing()
        }
        for seq in [0, -1, -5000, edge, edge + 1, edge + 100_000] {
            peer.send(.ack, seq: seq)
            peer.expect(.ack, seq: 1, ack: 1)
        }
        peer.expectState(.established)
    }

    @Test(
        "A segment with data is acceptable if its first or its last octet lies in the window [U-2, U-27]",
        arguments: Family.allCases)
    func dataSegments(family: Family) {
        let peer = small(family)
        let edge = peer.rightEdge
        // Wholly outside: answered, dropped.
        for seq in [-9, -100, edge, edge + 1] {
            peer.send(seq: seq, length: 10)
            peer.expect(.ack, seq: 1, ack: 1)
        }
        peer.expectRead(.wouldBlock)
        // One octet inside at the right end: kept, the rest cut off.
        peer.send(seq: edge - 1, length: 10)
        peer.expect(.ack, seq: 1, ack: 1)
        // One octet inside at the left end.
        peer.send(seq: -8, length: 10)
        peer.expect(.ack, seq: 1, ack: 2, within: .milliseconds(500))
        peer.next = 2
        while peer.next < edge - 1 { peer.send(length: min(1000, edge - 1 - peer.next)) }
        peer.host.advance(by: .milliseconds(500))
        #expect(peer.pending.last.map(peer.relativeAcknowledgment) == edge, "the octet at the right edge was kept")
        peer.expectRead(4096)
    }

    @Test("With a zero window only an empty segment at RCV.NXT is acceptable [U-2, MAY-8]", arguments: Family.allCases)
    func zeroWindow(family: Family) {
        let peer = small(family)
        peer.window = 65535
        while peer.next < 4097 { peer.send(length: 1024) }
        peer.host.advance(by: .milliseconds(500))
        #expect(peer.pending.last?.tcp.window == 0)
        peer.discard()
        peer.send(.ack, seq: 4097)
        peer.expectNothing()
        for (seq, length) in [(4096, 0), (4098, 0), (4097, 1), (4096, 1), (4097, 1000)] {
            peer.send(.ack, seq: seq, length: length)
            peer.expect(.ack, seq: 1, ack: 4097, window: 0)
        }
        peer.expectRead(4096)
    }

    @Test(
        "With a zero window a valid ACK is still taken, data behind it is not [U-28, U-44]", arguments: Family.allCases)
    func ackInZeroWindow(family: Family) {
        let peer = small(family)
        while peer.next < 4097 { peer.send(length: 1024) }
        peer.host.advance(by: .milliseconds(500))
        peer.discard()
        peer.write(100)
        peer.expect([.psh, .ack], seq: 1, ack: 4097, length: 100)
        peer.send(.ack, ack: 101)
        #expect(peer.status?.unacknowledged == 0)
        peer.write(100)
        peer.expect([.psh, .ack], seq: 101, length: 100)
        // The peer probes our zero window; its probe acknowledges what it got.
        peer.send(.ack, seq: 4097, ack: 201, length: 1)
        #expect(peer.status?.unacknowledged == 0)
        peer.expect(.ack, seq: 201, ack: 4097, window: 0)
        peer.expectNothing(for: .seconds(5))
    }

    @Test("A RST in sequence resets even a connection with a zero window [MUST-66, U-28]", arguments: Family.allCases)
    func resetInZeroWindow(family: Family) {
        let peer = small(family)
        while peer.next < 4097 { peer.send(length: 1024) }
        peer.host.advance(by: .milliseconds(500))
        peer.discard()
        peer.send(.rst)
        peer.expectNothing()
        peer.expectState(.closed)
        #expect(peer.status?.error == .reset)
    }

    @Test("URG is processed even with a zero window [MUST-66, U-28]", arguments: Family.allCases)
    func urgentInZeroWindow(family: Family) {
        let peer = small(family)
        while peer.next < 4097 { peer.send(length: 1024) }
        peer.host.advance(by: .milliseconds(500))
        peer.discard()
        _ = peer.takeReadiness()
        peer.send([.urg, .ack], urgent: 20)
        #expect(peer.takeReadiness().contains(.urgent))
    }

    @Test(
        "An unacceptable segment draws one empty ACK with the current numbers, and its FIN, SYN or data count for nothing [U-11]",
        arguments: Family.allCases, State.synchronized)
    func unacceptable(family: Family, state: State) {
        let peer = ScriptedPeer(family)
        peer.enter(state)
        let sendNext = ScriptedPeer.sendNext(in: state)
        let receiveNext = ScriptedPeer.receiveNext(in: state)
        peer.send([.fin, .ack], seq: 100_000, ack: sendNext, length: 10)
        peer.expect(.ack, seq: sendNext, ack: receiveNext)
        peer.send(.ack, seq: -20, ack: sendNext, length: 10)
        peer.expect(.ack, seq: sendNext, ack: receiveNext)
        peer.expectNothing()
        peer.expectState(state)
    }

    @Test(
        "Acceptability is modulo 2^32: the window lies across zero and across 2^31 [U-1, B-15]",
        arguments: Family.allCases, [UInt32(0xFFFF_FF00), 0x7FFF_FF00])
    func wrap(family: Family, isn: UInt32) {
        let peer = small(family, isn: isn)
        let edge = peer.rightEdge
        peer.send(.ack, seq: edge - 1)
        peer.expectNothing()
        peer.send(.ack, seq: edge)
        peer.expect(.ack, seq: 1, ack: 1)
        peer.send(.ack, seq: 0)
        peer.expect(.ack, seq: 1, ack: 1)
        peer.send(length: 1000)
        peer.send(length: 1000)
        peer.host.advance(by: .milliseconds(500))
        #expect(peer.pending.last.map(peer.relativeAcknowledgment) == 2001)
        peer.expectRead(2000)
    }
}
