import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.10.7.4, fifth: the ACK field.
@Suite("Fifth, check the ACK field")
struct AckCheckTests {
    private func entered(_ family: Family, _ state: State) -> ScriptedPeer {
        let peer = ScriptedPeer(family)
        peer.enter(state)
        return peer
    }

    @Test(
        "An ACK half the circle away acknowledges nothing, even if the peer never opened its window [RFC 5961 §5.2]",
        arguments: Family.allCases)
    func halfTheCircleAway(family: Family) {
        let peer = ScriptedPeer(family)
        peer.window = 0
        peer.establish()
        peer.send(.ack, ack: 1 + (1 << 31))
        peer.expect(.ack, seq: 1, ack: 1)
        peer.expectNothing()
        #expect(peer.host.stack.audit() == nil)
        peer.expectState(.established)
        // The connection goes on as if nothing had come.
        peer.offeredEdge = 0
        peer.write(100)
        peer.window = 65535
        peer.send(.ack, ack: 1)
        peer.expect(.ack, seq: 1, length: 100)
    }

    @Test("A segment without ACK is dropped without an answer [U-32]", arguments: Family.allCases, State.synchronized)
    func noAck(family: Family, state: State) {
        let peer = entered(family, state)
        let next = ScriptedPeer.receiveNext(in: state)
        peer.send([], seq: next, length: 10)
        peer.send(.fin, seq: next)
        peer.send(.psh, seq: next, length: 3)
        peer.expectNothing()
        peer.expectState(state)
        if State.receiving.contains(state) { peer.expectRead(.wouldBlock) }
    }

    @Test(
        "An ACK of what was never sent is answered by an ACK, and its data dropped [U-35, MAY-12, B-32, 5961-3]",
        arguments: Family.allCases, State.synchronized)
    func ackOfUnsent(family: Family, state: State) {
        let peer = entered(family, state)
        let sendNext = ScriptedPeer.sendNext(in: state)
        let receiveNext = ScriptedPeer.receiveNext(in: state)
        for ack in [sendNext + 1, sendNext + 70_000, sendNext + 0x7000_0000] {
            peer.send(.ack, seq: receiveNext, ack: ack, length: 10)
            peer.expect(.ack, seq: sendNext, ack: receiveNext)
        }
        peer.expectNothing()
        peer.expectState(state)
        if State.receiving.contains(state) { peer.expectRead(.wouldBlock) }
    }

    @Test(
        "An ACK down to SND.UNA-MAX.SND.WND is acceptable, one below is answered and dropped [MAY-12, B-32, 5961-3]",
        arguments: Family.allCases)
    func oldAck(family: Family) {
        let peer = ScriptedPeer(family)
        peer.window = 2000
        peer.establish()
        peer.send(seq: 1, ack: 1 - 2001, length: 10)
        peer.expect(.ack, seq: 1, ack: 1)
        peer.expectRead(.wouldBlock)
        peer.send(seq: 1, ack: 1 - 2000, length: 10)
        peer.expect(.ack, seq: 1, ack: 11, within: .milliseconds(500))
        peer.expectRead(10)
    }

    @Test("MAX.SND.WND is the largest window ever, not the last [MAY-12]", arguments: Family.allCases)
    func largestWindow(family: Family) {
        let peer = ScriptedPeer(family)
        peer.window = 30_000
        peer.establish()
        peer.send(.ack, window: 100)
        peer.send(seq: 1, ack: 1 - 30_000, length: 10)
        peer.expect(.ack, seq: 1, ack: 11, within: .milliseconds(500))
        peer.expectRead(10)
    }

    @Test("A duplicate ACK is ignored, its data is not [§3.10.7.4]", arguments: Family.allCases)
    func duplicateAck(family: Family) {
        let peer = entered(family, .established)
        peer.write(100)
        peer.expect([.psh, .ack], length: 100)
        peer.send(.ack, ack: 101)
        peer.send(.ack, ack: 51, length: 20)
        peer.expect(.ack, seq: 101, ack: 21, within: .milliseconds(500))
        #expect(peer.status?.unacknowledged == 0)
        peer.expectRead(20)
    }

    @Test("An ACK of part of what was sent frees that part [§3.10.7.4]", arguments: Family.allCases)
    func partial(family: Family) {
        let peer = entered(family, .established)
        peer.write(3000)
        peer.discard()
        peer.send(.ack, ack: 1001)
        #expect(peer.status?.unacknowledged == 2000)
        peer.send(.ack, ack: 3001)
        #expect(peer.status?.unacknowledged == 0)
        peer.expectNothing(for: .seconds(5))
    }

    @Test(
        "The window is taken from newer segments alone: SND.WL1 and SND.WL2 decide [U-34]", arguments: Family.allCases)
    func windowUpdate(family: Family) {
        let peer = entered(family, .established)
        peer.send(seq: 1, length: 10, window: 5000)
        peer.next = 11
        #expect(peer.status?.sendWindow == 5000)
        // An older segment, in window only by its number: WL1 > SEG.SEQ.
        peer.send(.ack, seq: 11, window: 6000)
        #expect(peer.status?.sendWindow == 6000)
        peer.send(seq: 6, length: 5, window: 65535)
        #expect(peer.status?.sendWindow == 6000, "an old segment's window is ignored")
        // Same sequence number, older ACK: WL2 > SEG.ACK.
        peer.discard()
        peer.write(100)
        peer.expect([.psh, .ack], length: 100)
        peer.send(.ack, ack: 101, window: 7000)
        #expect(peer.status?.sendWindow == 7000)
        peer.send(.ack, ack: 51, window: 60_000)
        #expect(peer.status?.sendWindow == 7000, "an old acknowledgment's window is ignored")
        // Same numbers, new window: taken.
        peer.send(.ack, ack: 101, window: 8000)
        #expect(peer.status?.sendWindow == 8000)
        peer.send(.ack, ack: 101, window: 500)
        #expect(peer.status?.sendWindow == 500)
    }

    @Test("WL1 follows the data received, so a window opens again after more than 2^31 octets [U-34, B-14]")
    func longReceive() {
        // Sequence numbers jump by whole windows with scale 14: 2^31 octets are 3 windows of 2^30.
        #if DEBUG
            let total = 24 << 20
        #else
            let total = (1 << 31) + (64 << 20)
        #endif
        var configuration = Configuration()
        configuration.receiveBuffer = 4 << 20
        let peer = ScriptedPeer(.ipv4, configuration, offer: .scaled)
        peer.checksLedger = false
        peer.establish()
        let chunk = [UInt8](repeating: 7, count: 60_000)
        var drain = [UInt8](repeating: 0, count: 1 << 20)
        while peer.next < total {
            peer.send(data: chunk)
            peer.host.trace.removeAll()
            peer.history.removeAll()
            peer.pending.removeAll()
            if let connection = peer.connection, peer.next % (1 << 20) < 60_000 {
                var span = drain.mutableSpan
                var bytes = span.mutableBytes
                while case .bytes = try? peer.host.stack.read(connection, into: &bytes, at: peer.host.now) {}
                peer.host.settle()
            }
        }
        peer.host.advance(by: .milliseconds(500))
        peer.discard()
        peer.send(.ack, window: 0)
        #expect(peer.status?.sendWindow == 0)
        peer.send(.ack, window: 300)
        #expect(peer.status?.sendWindow == 300 << 7)
    }

    @Test(
        "FIN-WAIT-1 goes on only by an ACK of the FIN, not of the data before it [U-36, seed 32]",
        arguments: Family.allCases)
    func finWait1(family: Family) {
        let peer = entered(family, .established)
        peer.write(100)
        peer.close()
        peer.expect([.psh, .ack], seq: 1, length: 100)
        peer.expect([.fin, .ack], seq: 101)
        peer.send(.ack, ack: 101)
        peer.expectState(.finWait1)
        peer.send(.ack, ack: 102)
        peer.expectState(.finWait2)
    }

    @Test("CLOSING and LAST-ACK go on only by an ACK of the FIN [U-36]", arguments: Family.allCases)
    func closingAndLastAck(family: Family) {
        for state in [State.closing, .lastAck] {
            let peer = entered(family, state)
            peer.send(.ack, seq: 2, ack: 1)
            peer.expectState(state)
            peer.send(.ack, seq: 2, ack: 2)
            peer.expectState(state == .closing ? .timeWait : .closed)
        }
    }
}
