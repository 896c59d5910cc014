import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.10.7.3: the checks of SYN-SENT in their order.
@Suite("SYN-SENT")
struct SynSentTests {
    private func syned(_ family: Family) -> ScriptedPeer {
        let peer = ScriptedPeer(family)
        peer.enter(.synSent)
        return peer
    }

    @Test(
        "The first segment is a bare SYN from SYN-SENT with MSS [MUST-14, SHLD-5, seed 1, seed 3]",
        arguments: Family.allCases)
    func firstSegment(family: Family) {
        let peer = ScriptedPeer(family)
        peer.connect()
        let syn = peer.expect(.syn, seq: 0)
        #expect(syn?.tcp.options.maximumSegmentSize == UInt16(1500 - family.fixedHeaders))
        #expect(syn?.tcp.acknowledgment.rawValue == 0)
        peer.expectState(.synSent)
    }

    @Test(
        "An ACK outside ISS < SEG.ACK =< SND.NXT draws RST and changes nothing [U-10, U-24, B-32]",
        arguments: Family.allCases)
    func badAck(family: Family) {
        let peer = syned(family)
        for flags: TCPFlags in [.ack, [.syn, .ack], [.fin, .ack]] {
            for ack in [0, 2, -1, 1000, 0x7000_0000] {
                peer.send(flags, seq: 0, ack: ack)
                peer.expect(.rst, seq: ack)
                peer.expectState(.synSent)
            }
        }
        peer.send([.syn, .ack])
        peer.expect(.ack, seq: 1, ack: 1)
        peer.expectState(.established)
    }

    @Test("A RST with an unacceptable ACK, or with none, is dropped [U-12]", arguments: Family.allCases)
    func unacceptableReset(family: Family) {
        let peer = syned(family)
        peer.send(.rst, seq: 0)
        peer.send(.rst, seq: 1)
        for ack in [0, 2, -5] { peer.send([.rst, .ack], seq: 0, ack: ack) }
        peer.send([.rst, .syn], seq: 0)
        peer.expectNothing()
        peer.expectState(.synSent)
    }

    @Test(
        "A RST that acknowledges our SYN refuses the connection, and the user hears it [U-12, U-13, MUST-12]",
        arguments: Family.allCases)
    func refused(family: Family) {
        let peer = syned(family)
        // The reset of a closed port has sequence number zero.
        peer.send([.rst, .ack], seq: 0, ack: 1) { $0.sequence = SequenceNumber(0) }
        peer.expectNothing(for: .seconds(300))
        #expect(peer.status?.error == .refused)
        #expect(peer.takeReadiness().contains(.ended))
        peer.expectState(.closed)
        peer.expectRead(ConnectionError.refused)
        peer.expectWrite(.refused)
    }

    @Test("RST is looked at before SYN: RST,SYN,ACK with a good ACK refuses [U-12]", arguments: Family.allCases)
    func resetBeforeSyn(family: Family) {
        let peer = syned(family)
        peer.send([.rst, .syn, .ack], seq: 0, ack: 1)
        peer.expectNothing()
        #expect(peer.status?.error == .refused)
    }

    @Test(
        "With neither SYN nor RST a segment with a good ACK is dropped, its FIN too [U-38]", arguments: Family.allCases)
    func neither(family: Family) {
        let peer = syned(family)
        peer.send(.ack, seq: 0, ack: 1)
        peer.send(.ack, seq: 0, ack: 1, length: 20)
        peer.send([.fin, .ack], seq: 0, ack: 1)
        peer.send(.fin, seq: 0)
        peer.send([], seq: 0, length: 5)
        peer.expectNothing()
        peer.expectState(.synSent)
    }

    @Test(
        "SYN,ACK opens: ESTABLISHED at its arrival, ACK with SEQ=ISS+1, ACK=IRS+1 [seed 9, seed 11, seed 12, seed 13]",
        arguments: Family.allCases)
    func opens(family: Family) {
        let peer = syned(family)
        peer.send([.syn, .ack])
        peer.expectState(.established)
        peer.expect(.ack, seq: 1, ack: 1)
        #expect(peer.path == [.closed, .synSent, .established])
        #expect(peer.takeReadiness().contains(.opened))
        peer.expectNothing(for: .seconds(600))
    }

    @Test(
        "A SYN without ACK takes SYN-SENT to SYN-RECEIVED and repeats the ISS in SYN,ACK [U-25, MUST-10]",
        arguments: Family.allCases)
    func bareSyn(family: Family) {
        let peer = syned(family)
        peer.send(.syn, window: 5000)
        peer.expect([.syn, .ack], seq: 0, ack: 1)
        peer.expectState(.synReceived)
        peer.send(.ack, window: 5000)
        peer.expectState(.established)
        #expect(peer.status?.sendWindow == 5000)
    }

    @Test("Data in the SYN,ACK is processed like any other [U-26, B-32]", arguments: Family.allCases)
    func dataInSynAck(family: Family) {
        let peer = syned(family)
        peer.send([.syn, .ack], length: 100)
        let first = peer.expect(.ack, seq: 1, ack: nil, within: .milliseconds(500))
        // RFC 9293 lets the ACK of the SYN be suppressed when one for the data follows.
        if first.map(peer.relativeAcknowledgment) == 1 {
            peer.expect(.ack, seq: 1, ack: 101, within: .milliseconds(500))
        }
        peer.expectState(.established)
        peer.expectRead(100)
    }

    @Test("A FIN in the SYN,ACK is processed: ESTABLISHED, then CLOSE-WAIT [U-26]", arguments: Family.allCases)
    func finInSynAck(family: Family) {
        let peer = syned(family)
        peer.send([.syn, .fin, .ack])
        peer.host.advance(by: .milliseconds(500))
        #expect(peer.pending.last.map(peer.relativeAcknowledgment) == 2, "the FIN is acknowledged")
        peer.expectState(.closeWait)
        #expect(peer.path == [.closed, .synSent, .established, .closeWait])
        peer.expectRead(.endOfStream)
    }

    @Test("Data and FIN in the SYN,ACK are processed in order [U-26]", arguments: Family.allCases)
    func dataAndFinInSynAck(family: Family) {
        let peer = syned(family)
        peer.send([.syn, .fin, .ack], length: 50)
        peer.host.advance(by: .milliseconds(500))
        #expect(peer.pending.last.map(peer.relativeAcknowledgment) == 52)
        peer.expectState(.closeWait)
        peer.expectRead(50)
        peer.expectRead(.endOfStream)
    }

    @Test("What is written in SYN-SENT waits and leaves once the connection opens [U-19]", arguments: Family.allCases)
    func sendQueues(family: Family) {
        let peer = syned(family)
        #expect(peer.write(300) == 300)
        peer.expectNothing()
        peer.send([.syn, .ack])
        peer.host.settle()
        // The ACK may carry the data at once.
        if peer.pending.count == 2 { peer.expect(.ack, seq: 1, ack: 1) }
        peer.expect([.psh, .ack], seq: 1, ack: 1, length: 300)
    }

    @Test("CLOSE in SYN-SENT deletes the connection without a segment [U-21]", arguments: Family.allCases)
    func close(family: Family) {
        let peer = syned(family)
        peer.close()
        peer.expectNothing(for: .seconds(200))
        peer.expectState(.closed)
        peer.send([.syn, .ack])
        peer.expect(.rst, seq: 1)
    }

    @Test("ABORT and release in SYN-SENT leave nothing and send nothing [U-22]", arguments: Family.allCases)
    func abort(family: Family) {
        for releases in [false, true] {
            let peer = syned(family)
            if releases { peer.release() } else { peer.abort() }
            peer.expectNothing(for: .seconds(200))
            #expect(peer.status == nil)
            #expect(peer.host.stack.flows().isEmpty)
        }
    }
}
