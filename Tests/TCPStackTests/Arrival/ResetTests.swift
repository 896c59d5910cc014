import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.10.7.4, second: RST by RFC 5961 §3 in every synchronized state.
@Suite("Second, check the RST bit")
struct ResetTests {
    private func entered(_ family: Family, _ state: State, _ role: Role) -> ScriptedPeer {
        let peer = ScriptedPeer(family)
        peer.enter(state, role)
        return peer
    }

    @Test("A RST at RCV.NXT ends the connection [U-13, U-29, 5961-1]", arguments: Family.allCases, State.synchronized)
    func exact(family: Family, state: State) {
        for role in Role.allCases {
            let peer = entered(family, state, role)
            peer.send(.rst, seq: ScriptedPeer.receiveNext(in: state))
            peer.expectNothing(for: .seconds(200))
            peer.expectState(.closed)
            let tellsReset: [State] = [.established, .finWait1, .finWait2, .closeWait]
            if tellsReset.contains(state) {
                #expect(peer.status?.error == .reset)
                #expect(peer.takeReadiness().contains(.ended))
                peer.expectRead(ConnectionError.reset)
            }
            #expect(peer.host.stack.memory.timeWaitCount == 0)
        }
    }

    @Test(
        "A RST inside the window but not at RCV.NXT draws a challenge ACK [U-29, B-3, 5961-1]",
        arguments: Family.allCases,
        State.synchronized)
    func inWindow(family: Family, state: State) {
        let receiveNext = ScriptedPeer.receiveNext(in: state)
        let sendNext = ScriptedPeer.sendNext(in: state)
        for atEdge in [false, true] {
            let peer = entered(family, state, .passive)
            let before = peer.host.stack.counters.challengeAcknowledgments
            peer.send(.rst, seq: atEdge ? peer.rightEdge - 1 : receiveNext + 1)
            peer.expect(.ack, seq: sendNext, ack: receiveNext)
            peer.expectNothing()
            peer.expectState(state)
            #expect(peer.host.stack.counters.challengeAcknowledgments == before + 1)
        }
    }

    @Test("A RST outside the window is dropped silently [U-29, 5961-1]", arguments: Family.allCases, State.synchronized)
    func outside(family: Family, state: State) {
        let peer = entered(family, state, .passive)
        let receiveNext = ScriptedPeer.receiveNext(in: state)
        for seq in [receiveNext - 1, receiveNext - 50_000, peer.rightEdge, peer.rightEdge + 1, 0x7000_0000] {
            peer.send(.rst, seq: seq)
            peer.send([.rst, .ack], seq: seq)
        }
        peer.expectNothing()
        peer.expectState(state)
    }

    @Test("A RST may carry data, which is not delivered [SHLD-2]", arguments: Family.allCases)
    func withData(family: Family) {
        let peer = entered(family, .established, .passive)
        peer.send(.rst, seq: 1, length: 30)
        peer.expectNothing()
        peer.expectState(.closed)
        #expect(peer.status?.error == .reset)
        peer.expectRead(ConnectionError.reset)
    }

    @Test(
        "A RST is judged by its sequence number alone: a wrong ACK in it does not matter [U-12]",
        arguments: Family.allCases)
    func anyAck(family: Family) {
        let peer = entered(family, .established, .passive)
        peer.send([.rst, .ack], seq: 1, ack: 0x3000_0000)
        peer.expectState(.closed)
        #expect(peer.status?.error == .reset)
    }

    @Test(
        "After a RST what was received but not read is flushed, and what was queued is not sent [U-13]",
        arguments: Family.allCases)
    func flushes(family: Family) {
        let peer = entered(family, .established, .passive)
        peer.window = 0
        peer.send(length: 50)
        peer.host.advance(by: .milliseconds(500))
        peer.discard()
        peer.write(5000)
        peer.discard()
        peer.send(.rst)
        peer.discard()
        peer.expectNothing(for: .seconds(300))
        peer.expectRead(ConnectionError.reset)
        peer.expectWrite(.reset)
        #expect(peer.host.stack.memory.buffers == 0)
    }

    @Test("A graceful end and an abort are told apart by the program [MUST-12]", arguments: Family.allCases)
    func gracefulOrNot(family: Family) {
        let graceful = entered(family, .established, .passive)
        graceful.send([.fin, .ack])
        graceful.expectRead(.endOfStream)
        #expect(graceful.status?.error == nil)
        let aborted = entered(family, .established, .passive)
        aborted.send(.rst)
        aborted.expectRead(ConnectionError.reset)
        #expect(aborted.status?.error == .reset)
    }

    @Test(
        "After a RST a SYN with the same four-tuple opens at once [B-26]", arguments: Family.allCases,
        State.synchronized)
    func resetThenSyn(family: Family, state: State) {
        let peer = entered(family, state, .passive)
        peer.send(.rst, seq: ScriptedPeer.receiveNext(in: state))
        let again = ScriptedPeer(family, host: peer.host, isn: 0x5000_0000)
        again.listener = peer.listener
        again.establish()
    }

    @Test(
        "Challenge ACKs are throttled, and one connection's budget says nothing of another's [B-4, RFC 5961 §7, 5961-4]",
        arguments: Family.allCases)
    func throttle(family: Family) {
        let victim = entered(family, .established, .passive)
        let other = ScriptedPeer(family, host: victim.host, port: 4001)
        other.listener = victim.listener
        other.establish()
        for _ in 0..<2000 { victim.send(.rst, seq: 100) }
        let spent = victim.discard()
        #expect(spent > 0 && spent < 2000, "\(spent) challenge ACKs for 2000 forged resets")
        for seq in [100, 200, 300] {
            other.send(.rst, seq: seq)
            other.expect(.ack, seq: 1, ack: 1)
        }
        // The budget comes back.
        victim.host.advance(by: .seconds(10))
        victim.send(.rst, seq: 100)
        victim.expect(.ack, seq: 1, ack: 1)
    }
}
