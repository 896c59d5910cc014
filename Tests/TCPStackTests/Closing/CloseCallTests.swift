import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.10.2 to §3.10.5: SEND, RECEIVE, CLOSE and ABORT in every state.
@Suite("CLOSE and ABORT")
struct CloseCallTests {
    private func entered(_ family: Family, _ state: State, _ role: Role = .passive) -> ScriptedPeer {
        let peer = ScriptedPeer(family)
        peer.enter(state, role)
        return peer
    }

    @Test(
        "CLOSE of ESTABLISHED sends FIN,ACK with the next number and enters FIN-WAIT-1 [U-21, seed 21, seed 22, seed 23]",
        arguments: Family.allCases)
    func established(family: Family) {
        let peer = entered(family, .established)
        peer.close()
        peer.expect([.fin, .ack], seq: 1, ack: 1)
        peer.expectState(.finWait1)
        peer.send(.ack)
        peer.expectState(.finWait2)
        peer.send([.fin, .ack])
        peer.expect(.ack, seq: 2, ack: 2)
        #expect(peer.path.suffix(4) == [.established, .finWait1, .finWait2, .timeWait])
    }

    @Test(
        "CLOSE of CLOSE-WAIT sends FIN and enters LAST-ACK; its ACK ends the connection [U-21, seed 35, seed 38, seed 39, seed 45]",
        arguments: Family.allCases)
    func closeWait(family: Family) {
        let peer = entered(family, .closeWait)
        peer.close()
        peer.expect([.fin, .ack], seq: 1, ack: 2)
        peer.expectState(.lastAck)
        peer.send(.ack, ack: 2)
        peer.expectState(.closed)
        #expect(peer.takeReadiness().contains(.ended))
        #expect(peer.status?.error == nil)
        peer.expectNothing(for: .seconds(200))
        #expect(peer.host.stack.memory.timeWaitCount == 0)
    }

    @Test(
        "CLOSE before the ACK of the peer's FIN left merges both: three segments close [seed 47]",
        arguments: Family.allCases)
    func threeSegments(family: Family) {
        let peer = entered(family, .established)
        peer.host.batch {
            peer.send([.fin, .ack])
            peer.close()
        }
        peer.expect([.fin, .ack], seq: 1, ack: 2)
        peer.expectState(.lastAck)
        peer.expectNothing()
        peer.send(.ack, ack: 2)
        peer.expectState(.closed)
    }

    @Test(
        "Everything written before CLOSE is sent first, the FIN last, with contiguous numbers [U-15]",
        arguments: Family.allCases)
    func dataFirst(family: Family) {
        let peer = ScriptedPeer(family)
        peer.window = 0
        peer.establish()
        #expect(peer.write(20_000) == 20_000)
        peer.close()
        #expect(peer.pending.allSatisfy { !$0.flags.contains(.fin) })
        peer.discard()
        peer.expectState(.finWait1)
        peer.window = 65535
        peer.received = 1
        peer.send(.ack, ack: 1)
        for _ in 0..<40 where peer.state == .finWait1 {
            peer.host.advance(by: .milliseconds(10))
            peer.send(.ack)
        }
        #expect(peer.received == 20_002)
        let fins = peer.history.filter { $0.flags.contains(.fin) }
        #expect(Set(fins.map { peer.relative($0) + $0.length }) == [20_001])
        peer.expectState(.finWait2)
    }

    @Test(
        "CLOSE twice makes no second FIN [U-21]", arguments: Family.allCases,
        [State.finWait1, .finWait2, .closing, .lastAck])
    func closeAgain(family: Family, state: State) {
        let peer = entered(family, state)
        let before = peer.history.filter { $0.flags.contains(.fin) }.count
        if let connection = peer.connection { try? peer.host.stack.close(connection, at: peer.host.now) }
        peer.host.settle()
        peer.expectNothing()
        peer.expectState(state)
        #expect(peer.history.filter { $0.flags.contains(.fin) }.count == before)
    }

    @Test(
        "SEND after our CLOSE is an error [U-19]", arguments: Family.allCases,
        [State.finWait1, .finWait2, .closing, .lastAck])
    func sendAfterClose(family: Family, state: State) {
        let peer = entered(family, state)
        peer.expectWrite(.closing)
        peer.expectNothing()
    }

    @Test("SEND in CLOSE-WAIT sends [U-19, U-14, seed 37]", arguments: Family.allCases)
    func sendInCloseWait(family: Family) {
        let peer = entered(family, .closeWait)
        peer.write(1000)
        peer.expect([.psh, .ack], seq: 1, ack: 2, length: 1000)
        peer.send(.ack, ack: 1001)
        peer.close()
        peer.expect([.fin, .ack], seq: 1001, ack: 2)
        peer.expectState(.lastAck)
    }

    @Test(
        "RECEIVE in CLOSE-WAIT gives what is unread, then says end of stream every time [U-20]",
        arguments: Family.allCases)
    func receiveInCloseWait(family: Family) {
        let peer = entered(family, .established)
        peer.send(length: 500)
        peer.send([.fin, .ack], length: 100)
        peer.expectRead(400, limit: 400)
        peer.expectRead(200)
        for _ in 0..<3 { peer.expectRead(.endOfStream) }
    }

    @Test(
        "CLOSE is simplex: after our FIN the peer sends on, all is read and acknowledged [U-14, B-7, MAY-1]",
        arguments: Family.allCases)
    func simplex(family: Family) {
        #if DEBUG
            let total = 100_000
        #else
            let total = 1 << 20
        #endif
        let peer = entered(family, .finWait2)
        while peer.next <= total {
            peer.send(length: min(1460, total + 1 - peer.next))
            if peer.next % 20_000 < 1460 { peer.expectRead(peer.next - 1 - peer.consumed) }
        }
        peer.host.advance(by: .milliseconds(500))
        #expect(peer.history.last.map(peer.relativeAcknowledgment) == total + 1)
        peer.expectRead(total - peer.consumed)
        peer.expectState(.finWait2)
        peer.discard()
        peer.send([.fin, .ack])
        peer.expect(.ack, seq: 2, ack: total + 2)
        peer.expectState(.timeWait)
    }

    @Test(
        "ABORT sends RST with SEQ=SND.NXT and leaves nothing [U-22]", arguments: Family.allCases,
        [State.established, .finWait1, .finWait2, .closeWait])
    func abort(family: Family, state: State) {
        for role in Role.allCases {
            let peer = entered(family, state, role)
            peer.abort()
            let reset = peer.pending.first
            #expect(peer.pending.count == 1, "one reset\n\(peer.host.recentTrace())")
            #expect(reset?.flags.contains(.rst) == true)
            #expect(reset.map(peer.relative) == ScriptedPeer.sendNext(in: state))
            peer.discard()
            #expect(peer.status == nil)
            #expect(peer.host.stack.flows().allSatisfy { $0.state == .listen })
            peer.expectNothing(for: .seconds(200))
            peer.expectRead(ConnectionError.notOpen)
            peer.expectWrite(.notOpen)
        }
    }

    @Test("ABORT in CLOSING and LAST-ACK sends nothing [U-22]", arguments: Family.allCases, [State.closing, .lastAck])
    func abortQuietly(family: Family, state: State) {
        let peer = entered(family, state)
        peer.abort()
        peer.expectNothing(for: .seconds(200))
        #expect(peer.host.stack.flows().allSatisfy { $0.state == .listen })
    }

    @Test("ABORT in TIME-WAIT sends nothing [U-22]", arguments: Family.allCases)
    func abortTimeWait(family: Family) {
        let peer = entered(family, .timeWait)
        peer.abort()
        peer.expectNothing(for: .seconds(200))
    }

    @Test("ABORT drops what is queued: it is not sent after the RST [U-22]", arguments: Family.allCases)
    func abortWithData(family: Family) {
        let peer = entered(family, .established)
        peer.write(100_000)
        let sent = peer.received
        peer.discard()
        peer.abort()
        let reset = peer.pending.first
        #expect(reset?.flags.contains(.rst) == true)
        #expect(reset.map(peer.relative) == sent)
        peer.discard()
        peer.expectNothing(for: .seconds(300))
        #expect(peer.host.stack.memory.buffers == 0)
    }

    @Test("release with unread octets sends RST instead of FIN [SHLD-3, B-35, 2525-17]", arguments: Family.allCases)
    func releaseUnread(family: Family) {
        let peer = entered(family, .established)
        peer.send(length: 100)
        peer.host.advance(by: .milliseconds(500))
        peer.discard()
        peer.release()
        #expect(peer.pending.count == 1)
        #expect(peer.pending.first?.flags.contains(.rst) == true)
        #expect(peer.pending.first?.flags.contains(.fin) == false)
        #expect(peer.pending.first.map(peer.relative) == 1)
        peer.discard()
        peer.expectNothing(for: .seconds(200))
    }

    @Test("Data that arrives after release draws RST [SHLD-3, 2525-16]", arguments: Family.allCases)
    func dataAfterRelease(family: Family) {
        for acknowledged in [false, true] {
            let peer = entered(family, .established)
            peer.release()
            peer.expect([.fin, .ack], seq: 1, ack: 1)
            if acknowledged { peer.send(.ack) }
            peer.send(ack: acknowledged ? 2 : 1, length: 100)
            let reset = peer.pending.first
            #expect(reset?.flags.contains(.rst) == true, "\(peer.host.recentTrace())")
            peer.discard()
            #expect(peer.host.stack.flows().allSatisfy { $0.state == .listen })
            peer.expectNothing(for: .seconds(200))
        }
    }

    @Test("release with everything read closes as CLOSE does [SHLD-3, MAY-1]", arguments: Family.allCases)
    func releaseRead(family: Family) {
        let peer = entered(family, .established)
        peer.send(length: 100)
        peer.expectRead(100)
        peer.host.advance(by: .milliseconds(500))
        peer.discard()
        peer.release()
        peer.expect([.fin, .ack], seq: 1, ack: 101)
        peer.send(.ack)
        peer.send([.fin, .ack])
        peer.expect(.ack, seq: 2, ack: 102)
        peer.expectState(.timeWait)
    }

    @Test("Data written before release is delivered, FIN last [U-15]", arguments: Family.allCases)
    func releaseWithQueue(family: Family) {
        let peer = entered(family, .established)
        peer.write(40_000)
        peer.release()
        for _ in 0..<60 {
            peer.host.advance(by: .milliseconds(5))
            peer.send(.ack)
        }
        #expect(peer.received == 40_002)
    }

    @Test(
        "An orphan in FIN-WAIT-2 is given up after its time, and answers a late FIN as CLOSED does [B-26]",
        arguments: Family.allCases)
    func orphan(family: Family) {
        let peer = entered(family, .established)
        peer.release()
        peer.expect([.fin, .ack])
        peer.send(.ack)
        peer.host.advance(by: .seconds(59))
        peer.expectState(.finWait2)
        peer.host.advance(by: .seconds(3))
        peer.expectState(.closed)
        #expect(peer.host.stack.memory.connectionCount == 0)
        peer.discard()
        peer.send([.fin, .ack], seq: 1, ack: 2)
        peer.expect(.rst, seq: 2)
        // A SYN from the same port opens.
        let again = ScriptedPeer(family, host: peer.host, isn: 0x6000_0000)
        again.listener = peer.listener
        again.establish()
    }

    @Test("FIN-WAIT-2 with its program still there waits for ever [B-26, U-14]", arguments: Family.allCases)
    func waitsForEver(family: Family) {
        let peer = entered(family, .finWait2)
        peer.expectNothing(for: .seconds(100_000))
        peer.expectState(.finWait2)
        peer.send(length: 10)
        peer.expectRead(10)
    }
}
