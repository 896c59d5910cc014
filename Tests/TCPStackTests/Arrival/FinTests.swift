import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.10.7.4, eighth: the FIN bit.
@Suite("Eighth, check the FIN bit")
struct FinTests {
    private func entered(_ family: Family, _ state: State) -> ScriptedPeer {
        let peer = ScriptedPeer(family)
        peer.enter(state)
        return peer
    }

    @Test(
        "ESTABLISHED and FIN: CLOSE-WAIT, FIN acknowledged, end of stream told [U-20, seed 27, seed 28, seed 30]",
        arguments: Family.allCases)
    func established(family: Family) {
        let peer = entered(family, .established)
        peer.send([.fin, .ack])
        peer.expect(.ack, seq: 1, ack: 2, within: .milliseconds(500))
        peer.expectState(.closeWait)
        #expect(peer.takeReadiness().contains(.endOfStream))
        peer.expectRead(.endOfStream)
        peer.expectRead(.endOfStream)
        // Nothing more happens until the program closes.
        peer.expectNothing(for: .seconds(3600))
        peer.expectState(.closeWait)
    }

    @Test("FIN-WAIT-1 and FIN without an ACK of ours: CLOSING [U-16]", arguments: Family.allCases)
    func closing(family: Family) {
        let peer = entered(family, .finWait1)
        peer.send([.fin, .ack], ack: 1)
        peer.expect(.ack, seq: 2, ack: 2, within: .milliseconds(500))
        peer.expectState(.closing)
        peer.send(.ack, ack: 2)
        peer.expectState(.timeWait)
        #expect(peer.path.suffix(4) == [.established, .finWait1, .closing, .timeWait])
    }

    @Test("FIN-WAIT-1 and FIN with an ACK of ours: straight to TIME-WAIT [U-17, seed 36]", arguments: Family.allCases)
    func straight(family: Family) {
        let peer = entered(family, .finWait1)
        peer.send([.fin, .ack], ack: 2)
        peer.expect(.ack, seq: 2, ack: 2)
        peer.expectState(.timeWait)
        #expect(!peer.path.contains(.closing))
    }

    @Test(
        "FIN-WAIT-2 and FIN: TIME-WAIT, ACK with SEQ=U+1 and ACK=W+1 [seed 41, seed 42, seed 43]",
        arguments: Family.allCases)
    func finWait2(family: Family) {
        let peer = entered(family, .finWait2)
        peer.send([.fin, .ack])
        peer.expect(.ack, seq: 2, ack: 2)
        peer.expectState(.timeWait)
        #expect(peer.host.stack.memory.timeWaitCount == 1)
    }

    @Test(
        "A FIN sent again is acknowledged again and moves nothing [§3.10.7.4 eighth]", arguments: Family.allCases,
        [State.closeWait, .closing, .lastAck])
    func duplicateFin(family: Family, state: State) {
        let peer = entered(family, state)
        let sendNext = ScriptedPeer.sendNext(in: state)
        peer.send([.fin, .ack], seq: 1, ack: 1)
        peer.expect(.ack, seq: sendNext, ack: 2)
        peer.expectState(state)
    }

    @Test("A FIN before missing data waits for the gap [U-39, B-27]", arguments: Family.allCases)
    func outOfOrder(family: Family) {
        let peer = entered(family, .established)
        peer.send([.fin, .ack], seq: 101, length: 50)
        peer.expect(.ack, seq: 1, ack: 1)
        peer.expectState(.established)
        peer.expectRead(.wouldBlock)
        peer.send(seq: 1, length: 100)
        peer.expect(.ack, seq: 1, ack: 152)
        peer.expectState(.closeWait)
        peer.expectRead(150)
        peer.expectRead(.endOfStream)
    }

    @Test("A lone FIN before missing data waits for the gap [U-39]", arguments: Family.allCases)
    func loneOutOfOrder(family: Family) {
        let peer = entered(family, .established)
        peer.send([.fin, .ack], seq: 101)
        peer.expectState(.established)
        peer.send(seq: 1, length: 100)
        peer.host.advance(by: .milliseconds(500))
        #expect(peer.pending.last.map(peer.relativeAcknowledgment) == 102)
        peer.expectState(.closeWait)
    }

    @Test("A FIN cut off by the window does not count until it is sent again [U-39, B-27]", arguments: Family.allCases)
    func clipped(family: Family) {
        var configuration = Configuration()
        configuration.receiveBuffer = 4096
        let peer = ScriptedPeer(family, configuration)
        peer.establish()
        while peer.next < 4000 { peer.send(length: 1000) }
        peer.host.advance(by: .milliseconds(500))
        peer.discard()
        // 4001..<4101 and FIN, of which 96 octets fit.
        peer.send([.fin, .ack], seq: 4001, length: 100)
        peer.host.advance(by: .milliseconds(500))
        peer.expectState(.established)
        #expect(peer.pending.last.map(peer.relativeAcknowledgment) == 4097)
        peer.expectRead(4096)
        peer.expectRead(.wouldBlock)
        peer.send([.fin, .ack], seq: 4001, length: 100)
        peer.expectState(.closeWait)
        peer.expectRead(4)
        peer.expectRead(.endOfStream)
    }

    @Test(
        "Data and URG beyond a FIN are ignored [U-40, B-33, seed 40]", arguments: Family.allCases,
        [State.closeWait, .closing, .lastAck, .timeWait])
    func beyondFin(family: Family, state: State) {
        let peer = entered(family, state)
        peer.send([.urg, .ack], seq: 2, ack: ScriptedPeer.sendNext(in: .established), length: 20, urgent: 5)
        peer.send(.ack, seq: 2, ack: 1, length: 20)
        peer.host.advance(by: .milliseconds(500))
        for segment in peer.pending { #expect(peer.relativeAcknowledgment(segment) <= 2, "\(peer.text(segment))") }
        #expect(!peer.takeReadiness().contains(.urgent))
        peer.expectState(state)
        if state == .closeWait { peer.expectRead(.endOfStream) }
    }

    @Test("A second FIN further on, with more data before it, is ignored [B-33]", arguments: Family.allCases)
    func secondFin(family: Family) {
        let peer = entered(family, .established)
        peer.send([.fin, .ack], length: 10)
        peer.host.advance(by: .milliseconds(500))
        peer.discard()
        peer.send([.fin, .ack], seq: 11, length: 30)
        peer.host.advance(by: .milliseconds(500))
        for segment in peer.pending { #expect(peer.relativeAcknowledgment(segment) == 12, "\(peer.text(segment))") }
        peer.expectRead(10)
        peer.expectRead(.endOfStream)
    }

    @Test("Data held beyond where the FIN turns out to be is never delivered [B-33, U-40]", arguments: Family.allCases)
    func heldBeyondFin(family: Family) {
        let peer = entered(family, .established)
        peer.send(seq: 51, length: 50)
        peer.send([.fin, .ack], seq: 1, length: 20)
        peer.host.advance(by: .milliseconds(500))
        peer.expectState(.closeWait)
        peer.expectRead(20)
        peer.expectRead(.endOfStream)
    }

    @Test(
        "FIN with data: the data is delivered, then the end [U-39, U-20]", arguments: Family.allCases, State.receiving)
    func withData(family: Family, state: State) {
        let peer = entered(family, state)
        peer.send([.fin, .psh, .ack], ack: ScriptedPeer.sendNext(in: state), length: 100)
        peer.expect(.ack, ack: 102, within: .milliseconds(500))
        peer.expectState(state == .established ? .closeWait : .timeWait)
        if state == .established {
            peer.expectRead(100)
            peer.expectRead(.endOfStream)
        }
    }

    @Test(
        "Data in FIN-WAIT-1 and FIN-WAIT-2 is acknowledged and delivered [U-14, B-7, seed 24, seed 25]",
        arguments: Family.allCases, [State.finWait1, .finWait2])
    func dataInFinWait(family: Family, state: State) {
        let peer = entered(family, state)
        peer.send(ack: state == .finWait1 ? 1 : 2, length: 1460)
        peer.send(ack: state == .finWait1 ? 1 : 2, length: 1040)
        peer.expect(.ack, seq: 2, ack: nil, within: .milliseconds(500))
        peer.host.advance(by: .milliseconds(100))
        #expect(peer.history.last.map(peer.relativeAcknowledgment) == 2501)
        peer.discard()
        peer.expectRead(2500)
        peer.expectState(state)
    }

    @Test("Data with a FIN that crosses ours is delivered in CLOSING too [B-7, B-8]", arguments: Family.allCases)
    func crossingData(family: Family) {
        let peer = entered(family, .finWait1)
        peer.send([.fin, .ack], ack: 1, length: 100)
        peer.expect(.ack, seq: 2, ack: 102, within: .milliseconds(500))
        peer.expectState(.closing)
        peer.expectRead(100)
        peer.expectRead(.endOfStream)
    }
}
