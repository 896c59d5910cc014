import TCPEngine
import TCPStack
import TCPWire
import Testing

/// SYNs and SYN,ACKs that get lost: their schedule, and when they are given up (RFC 9293 §3.8.3, RFC 6298).
@Suite("Lost handshakes")
struct HandshakeLossTests {
    @Test(
        "An unanswered SYN is sent again, the same, after 1, 2, 4, 8, 16, 32 seconds [MUST-19, MUST-22, seed 18]",
        arguments: Family.allCases)
    func synSchedule(family: Family) {
        let peer = ScriptedPeer(family)
        peer.connect()
        let first = peer.expect(.syn, seq: 0)
        for seconds in [1, 2, 4, 8, 16, 32] {
            let again = peer.expect(.syn, seq: 0, after: .seconds(seconds))
            #expect(again?.tcp.sequence == first?.tcp.sequence)
            #expect(again?.source == first?.source)
        }
    }

    @Test(
        "R1 is reported at the third SYN retransmission, R2 ends the open no earlier than after 180 s [MUST-22, MUST-23, SHLD-9, SHLD-10]",
        arguments: Family.allCases)
    func synGivenUp(family: Family) {
        let peer = ScriptedPeer(family)
        let start = peer.host.now
        peer.connect()
        peer.expect(.syn)
        for seconds in [1, 2] { peer.expect(.syn, after: .seconds(seconds)) }
        #expect(!peer.takeReadiness().contains(.troubled))
        peer.expect(.syn, after: .seconds(4))
        #expect(peer.takeReadiness() == .troubled)
        peer.host.advance(to: start + .seconds(400)) { peer.state == .closed }
        #expect(peer.host.now - start >= .seconds(180))
        #expect(peer.host.now - start <= .seconds(250))
        #expect(peer.status?.error == .timedOut)
        #expect(peer.takeReadiness() == .ended)
        peer.discard()
        peer.expectNothing(for: .seconds(600))
    }

    @Test(
        "A SYN answered after its first retransmission opens with the retransmitted one's number [seed 18]",
        arguments: Family.allCases)
    func lateAnswer(family: Family) {
        let peer = ScriptedPeer(family)
        peer.connect()
        peer.expect(.syn)
        peer.expect(.syn, seq: 0, after: .seconds(1))
        peer.send([.syn, .ack])
        peer.expect(.ack, seq: 1, ack: 1)
        peer.expectState(.established)
        peer.expectNothing(for: .seconds(60))
    }

    @Test("After a SYN timed out the RTO for data is 3 s, not 1 s [RFC 6298 §5.7, 6298-3]", arguments: Family.allCases)
    func threeSeconds(family: Family) {
        let peer = ScriptedPeer(family)
        peer.connect()
        peer.expect(.syn)
        peer.expect(.syn, after: .seconds(1))
        peer.send([.syn, .ack])
        peer.expect(.ack)
        peer.write(100)
        peer.expect([.psh, .ack], seq: 1, length: 100)
        peer.expect([.psh, .ack], seq: 1, length: 100, after: .seconds(3))
    }

    @Test(
        "After a lost SYN the congestion window starts at one segment [RFC 5681 §3.1, 5681-1]",
        arguments: Family.allCases)
    func initialWindowAfterLoss(family: Family) {
        let peer = ScriptedPeer(family)
        peer.connect()
        peer.expect(.syn)
        peer.expect(.syn, after: .seconds(1))
        peer.send([.syn, .ack])
        peer.expect(.ack)
        peer.write(10 * 1460)
        peer.expect(.ack, seq: 1, length: peer.mss)
        peer.expectNothing()
    }

    @Test(
        "The SYN's retransmission yields no round-trip sample without timestamps [MUST-18]", arguments: Family.allCases)
    func karnOnSyn(family: Family) {
        let peer = ScriptedPeer(family)
        peer.connect()
        peer.expect(.syn)
        peer.expect(.syn, after: .seconds(1))
        peer.host.advance(by: .milliseconds(10))
        peer.send([.syn, .ack])
        peer.expect(.ack)
        #expect(peer.status?.smoothedRTT == .zero)
    }

    @Test(
        "An unanswered SYN,ACK is sent again after 1, 2, 4, 8, 16 s, then the entry goes [MUST-19, MUST-20, seed 19]",
        arguments: Family.allCases)
    func synAckSchedule(family: Family) {
        let peer = ScriptedPeer(family)
        peer.beginPassive()
        for seconds in [1, 2, 4, 8, 16] {
            peer.expect([.syn, .ack], seq: 0, ack: 1, after: .seconds(seconds))
        }
        peer.expectNothing(for: .seconds(120))
        #expect(peer.host.stack.memory.halfOpenCount == 0)
        #expect(peer.host.events.isEmpty)
        // The listener is as it was.
        peer.next = 0
        peer.stackISN = nil
        peer.received = 0
        peer.establish()
    }

    @Test("A third segment that comes after SYN,ACKs were sent again still opens [seed 13]", arguments: Family.allCases)
    func lateThird(family: Family) {
        let peer = ScriptedPeer(family)
        peer.beginPassive()
        peer.expect([.syn, .ack], after: .seconds(1))
        peer.expect([.syn, .ack], after: .seconds(2))
        peer.send(.ack)
        peer.accept()
        peer.expectState(.established)
        peer.expectNothing(for: .seconds(60))
    }

    @Test(
        "A lost third segment is made good by the SYN,ACK sent again: an ACK answers it [B-22]",
        arguments: Family.allCases)
    func lostThird(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish(.active)
        // The peer did not get our ACK.
        peer.send([.syn, .ack], seq: 0, ack: 1)
        peer.expect(.ack, seq: 1, ack: 1)
        peer.expectState(.established)
    }

    @Test(
        "Each segment of the handshake lost in turn, the connection opens all the same [MUST-10, seed 16]",
        arguments: Family.allCases, 0..<4)
    func eachLost(family: Family, lost: Int) throws {
        let pair = JoinedHosts(family)
        pair.isLost = { index, _ in index == lost }
        let listener = try pair.server.stack.listen(on: 80, at: pair.now)
        let id = try pair.client.stack.connect(to: Endpoint(pair.serverAddress, 80), at: pair.now)
        pair.run(for: .seconds(30))
        #expect(pair.client.stack.status(of: id)?.state == .established, "\(pair.trace())")
        let accepted = pair.server.stack.accept(listener)
        let state = accepted.flatMap { pair.server.stack.status(of: $0)?.state }
        #expect(state == .established, "\(pair.trace())")
    }

    @Test(
        "An old duplicate SYN is undone by the peer's RST, and the real SYN opens [U-5, seed 15]",
        arguments: Family.allCases)
    func figure8(family: Family) {
        let peer = ScriptedPeer(family)
        peer.listen()
        // The old SYN.
        peer.send(.syn, seq: -1000)
        peer.expect([.syn, .ack], ack: -999)
        peer.send(.rst, seq: -999)
        #expect(peer.host.stack.memory.halfOpenCount == 0)
        peer.stackISN = nil
        peer.establish()
        peer.expectNothing(for: .seconds(10))
    }

    @Test(
        "The real SYN may overtake the RST for the old one: after it sent the SYN again all is well [U-5]",
        arguments: Family.allCases)
    func figure8Overtaken(family: Family) {
        let peer = ScriptedPeer(family)
        peer.listen()
        peer.send(.syn, seq: -100_000)
        peer.expect([.syn, .ack], ack: -99_999)
        // The real SYN is outside the old one's window: it gets an ACK, which its sender answers with RST.
        peer.send(.syn, seq: 0)
        peer.discard()
        peer.send(.rst, seq: -99_999)
        peer.host.advance(by: .seconds(1))
        peer.discard()
        peer.stackISN = nil
        peer.send(.syn, seq: 0)
        peer.expect([.syn, .ack], seq: 0, ack: 1)
        peer.next = 1
        peer.received = 1
        peer.send(.ack)
        peer.accept()
        peer.expectState(.established)
    }

    @Test("A SYN that neither of two listeners sent leaves both listening [U-8]", arguments: Family.allCases)
    func figure11(family: Family) throws {
        let pair = JoinedHosts(family)
        _ = try pair.client.stack.listen(on: 4000, at: pair.now)
        _ = try pair.server.stack.listen(on: 80, at: pair.now)
        let stale = Injection(
            source: Endpoint(pair.clientAddress, 4000), destination: Endpoint(pair.serverAddress, 80),
            sequence: SequenceNumber(99), flags: .syn)
        pair.server.inject(stale.packet())
        pair.run(for: .seconds(120))
        #expect(pair.carried == 2, "SYN,ACK and RST\n\(pair.trace())")
        #expect(pair.client.stack.memory.halfOpenCount == 0)
        #expect(pair.server.stack.memory.halfOpenCount == 0)
    }
}
