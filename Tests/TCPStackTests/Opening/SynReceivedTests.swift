import TCPEngine
import TCPStack
import TCPWire
import Testing

/// SYN-RECEIVED as a small entry of a listener, and as a state of an active opener whose SYN crossed another.
@Suite("SYN-RECEIVED")
struct SynReceivedTests {
    private func received(_ family: Family, _ role: Role) -> ScriptedPeer {
        let peer = ScriptedPeer(family)
        peer.enter(.synReceived, role)
        return peer
    }

    @Test(
        "SYN,ACK acknowledges IRS+1 and accept waits for the third segment [seed 4, seed 5, seed 7, seed 8, seed 14]",
        arguments: Family.allCases)
    func passive(family: Family) throws {
        let peer = received(family, .passive)
        #expect(try peer.host.stack.accept(#require(peer.listener)) == nil)
        #expect(peer.host.events.isEmpty)
        #expect(peer.host.stack.memory.halfOpenCount == 1)
        #expect(peer.host.stack.memory.connectionCount == 0)
        peer.send(.ack)
        #expect(peer.host.events.contains(.acceptable(try #require(peer.listener))))
        peer.accept()
        peer.expectState(.established)
        #expect(peer.host.stack.memory.halfOpenCount == 0)
    }

    @Test(
        "An acceptable RST takes a passive SYN-RECEIVED back to LISTEN, and nobody is told [MUST-11, U-13]",
        arguments: Family.allCases)
    func passiveReset(family: Family) {
        let peer = received(family, .passive)
        peer.send(.rst, seq: 1)
        peer.expectNothing()
        #expect(peer.host.stack.memory.halfOpenCount == 0)
        #expect(peer.host.events.isEmpty)
        peer.next = 0
        peer.received = 0
        peer.stackISN = nil
        peer.establish()
    }

    @Test("An acceptable RST in an active SYN-RECEIVED is a refusal [MUST-11, U-13]", arguments: Family.allCases)
    func activeReset(family: Family) {
        let peer = received(family, .active)
        peer.send(.rst, seq: 1)
        peer.expectNothing(for: .seconds(60))
        #expect(peer.status?.error == .refused)
        peer.expectState(.closed)
    }

    @Test(
        "A RST inside the window but not at RCV.NXT draws a challenge ACK, one outside nothing [U-29, MAY-12, 5961-1]",
        arguments: Family.allCases, Role.allCases)
    func otherResets(family: Family, role: Role) {
        let peer = received(family, role)
        peer.send(.rst, seq: 2)
        peer.expect(.ack, seq: 1, ack: 1)
        peer.send(.rst, seq: 0)
        peer.send(.rst, seq: -100)
        peer.send(.rst, seq: 70_000)
        peer.expectNothing()
        peer.expectState(.synReceived)
    }

    @Test("A SYN sent again gets the same SYN,ACK again [U-31, B-5]", arguments: Family.allCases, Role.allCases)
    func duplicateSyn(family: Family, role: Role) {
        let peer = received(family, role)
        for _ in 0..<3 {
            peer.host.advance(by: .milliseconds(50))
            peer.send(.syn, seq: 0)
            peer.expect([.syn, .ack], seq: 0, ack: 1)
            peer.expectState(.synReceived)
        }
        peer.send(.ack)
        peer.expectState(role == .active ? .established : peer.state)
        if role == .passive { peer.accept() }
        peer.expectState(.established)
    }

    @Test(
        "A different SYN inside the window returns a passive SYN-RECEIVED to LISTEN [U-31]", arguments: Family.allCases)
    func differentSyn(family: Family) {
        let peer = received(family, .passive)
        peer.send(.syn, seq: 500)
        // Back in LISTEN, the entry may take the new SYN at once; the old connection is gone in any case.
        peer.discard()
        peer.send(.ack, seq: 1, ack: 1)
        peer.discard()
        #expect(peer.host.stack.memory.connectionCount == 0, "the old handshake must not finish")
        let again = ScriptedPeer(family, host: peer.host, isn: (peer.isn + 500).rawValue)
        again.send(.syn, seq: 0)
        again.expect([.syn, .ack], ack: 1)
    }

    @Test(
        "An ACK that does not acknowledge our SYN draws RST, SEQ=SEG.ACK, and changes nothing [U-10, U-33]",
        arguments: Family.allCases, Role.allCases)
    func badAck(family: Family, role: Role) {
        let peer = received(family, role)
        for ack in [0, 2] {
            peer.send(.ack, seq: 1, ack: ack)
            peer.expect(.rst, seq: ack)
            peer.expectState(.synReceived)
            let memory = peer.host.stack.memory
            #expect(
                memory.halfOpenCount == (role == .passive ? 1 : 0) && memory.connectionCount == 1 - memory.halfOpenCount
            )
            #expect(peer.host.events.isEmpty, "nobody is told of a connection")
        }
        peer.send(.ack)
        if role == .passive { peer.accept() }
        peer.expectState(.established)
    }

    @Test("A segment without ACK is dropped [U-32]", arguments: Family.allCases, Role.allCases)
    func noAck(family: Family, role: Role) {
        let peer = received(family, role)
        peer.send([], seq: 1, length: 10)
        peer.send(.fin, seq: 1)
        peer.expectNothing()
        peer.expectState(.synReceived)
    }

    @Test(
        "A segment outside the window is answered by an ACK and dropped, even with a good ACK [U-2, U-11]",
        arguments: Family.allCases, Role.allCases)
    func outside(family: Family, role: Role) {
        let peer = received(family, role)
        peer.send(.ack, seq: 70_000, ack: 1)
        peer.expect(.ack, seq: 1, ack: 1)
        peer.expectState(.synReceived)
    }

    @Test("Data with an acceptable ACK opens as well as a bare third segment [seed 13]", arguments: Family.allCases)
    func dataOpens(family: Family) {
        let peer = received(family, .passive)
        peer.send([.psh, .ack], length: 100)
        peer.accept()
        peer.expect(.ack, seq: 1, ack: 101, within: .milliseconds(500))
        peer.expectRead(100)
    }

    @Test(
        "ACK and FIN together open and close: SYN-RECEIVED, ESTABLISHED, CLOSE-WAIT [U-33]", arguments: Family.allCases)
    func finOpens(family: Family) {
        let peer = received(family, .passive)
        peer.send([.fin, .ack], length: 20)
        peer.expect(.ack, seq: 1, ack: 22, within: .milliseconds(500))
        peer.accept()
        peer.expectState(.closeWait)
        peer.expectRead(20)
        peer.expectRead(.endOfStream)
    }

    @Test(
        "Data on a SYN is not delivered before ESTABLISHED, nor at all if a RST follows [U-4]",
        arguments: Family.allCases)
    func dataOnSyn(family: Family) throws {
        let peer = ScriptedPeer(family)
        peer.listen()
        peer.send(.syn, seq: 0, length: 100)
        // Not kept: only the SYN is acknowledged, so the peer sends the data again.
        peer.expect([.syn, .ack], seq: 0, ack: 1)
        peer.send(.rst, seq: 1)
        #expect(try peer.host.stack.accept(#require(peer.listener)) == nil)
        peer.stackISN = nil
        peer.send(.syn, seq: 0, length: 100)
        peer.expect([.syn, .ack], seq: 0, ack: 1)
        peer.next = 1
        peer.send(.ack, length: 100)
        peer.accept()
        peer.expectRead(100)
    }

    @Test(
        "CLOSE in SYN-RECEIVED with nothing queued sends FIN and enters FIN-WAIT-1 [U-21]", arguments: Family.allCases)
    func close(family: Family) {
        let peer = received(family, .active)
        peer.close()
        peer.expect([.fin, .ack], seq: 1, ack: 1)
        peer.expectState(.finWait1)
        #expect(peer.path.suffix(2) == [.synReceived, .finWait1])
        // The ACK of the SYN alone is not one of the FIN.
        peer.send(.ack, ack: 1)
        peer.expectState(.finWait1)
        peer.send(.ack, ack: 2)
        peer.expectState(.finWait2)
        peer.send([.fin, .ack])
        peer.expectState(.timeWait)
    }

    @Test("ABORT in SYN-RECEIVED sends RST with SEQ=SND.NXT [U-22]", arguments: Family.allCases)
    func abort(family: Family) {
        let peer = received(family, .active)
        peer.abort()
        let reset = peer.pending.first
        #expect(reset?.flags.contains(.rst) == true)
        #expect(reset.map(peer.relative) == 1)
        peer.discard()
        peer.expectNothing(for: .seconds(60))
    }

    @Test("What is written in SYN-RECEIVED waits for ESTABLISHED [U-19]", arguments: Family.allCases)
    func sendQueues(family: Family) {
        let peer = received(family, .active)
        peer.write(10)
        peer.expectNothing()
        peer.send(.ack)
        peer.expect([.psh, .ack], seq: 1, ack: 1, length: 10)
    }

    @Test("The third segment need not carry the timestamps both SYNs had [B-22]", arguments: Family.allCases)
    func thirdWithoutTimestamps(family: Family) {
        let peer = ScriptedPeer(family, offer: .timestamps)
        peer.beginPassive()
        peer.send(.ack, options: [])
        peer.send(.ack, length: 10)
        peer.accept()
        peer.expectState(.established)
        peer.expectRead(10)
    }

    @Test("A SYN,ACK that was sent twice measures no round trip: Karn [MUST-18, 6298-4]", arguments: Family.allCases)
    func ambiguousRoundTrip(family: Family) {
        let peer = received(family, .passive)
        peer.expect([.syn, .ack], seq: 0, ack: 1, after: .seconds(1))
        peer.host.advance(by: .milliseconds(10))
        peer.send(.ack)
        peer.accept()
        #expect(peer.status?.smoothedRTT == .zero)
        #expect(peer.status?.retransmissionTimeout ?? .zero >= .seconds(1))
    }
}
