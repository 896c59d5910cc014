import TCPEngine
import TCPStack
import TCPWire
import Testing

@Suite("How an end is told, and what it leaves")
struct EndingTests {
    @Test("Entering TIME-WAIT is told as the end [B-9, MUST-12]", arguments: Family.allCases)
    func timeWait(family: Family) {
        for last in [State.finWait2, .closing] {
            let peer = ScriptedPeer(family)
            peer.enter(last)
            if last == .finWait2 {
                peer.send([.fin, .ack])
            } else {
                peer.send(.ack, ack: 2)
            }
            peer.expectState(.timeWait)
            #expect(peer.takeReadiness().contains(.ended), "from \(last)")
        }
    }

    @Test(
        "CLOSE with octets queued in SYN-RECEIVED sends them, and its FIN, once it is open [U-21]",
        arguments: Family.allCases)
    func closeInSynReceived(family: Family) {
        let peer = ScriptedPeer(family)
        peer.enter(.synReceived, .active)
        peer.write(100)
        peer.close()
        peer.expectNothing()
        peer.expectWrite(.closing)
        peer.send(.ack, ack: 1)
        peer.expect([.fin, .psh, .ack], seq: 1, ack: 1, length: 100)
        peer.expectState(.finWait1)
    }

    @Test(
        "A second CLOSE is an error, and sends nothing [U-21]", arguments: Family.allCases,
        [State.finWait1, .finWait2, .closing, .lastAck, .timeWait])
    func closeTwice(family: Family, state: State) throws {
        let peer = ScriptedPeer(family)
        peer.enter(state)
        let id = try #require(peer.connection)
        var thrown: ConnectionError?
        do throws(ConnectionError) { try peer.host.stack.close(id, at: peer.host.now) } catch { thrown = error }
        #expect(thrown == .closing)
        peer.host.settle()
        peer.expectNothing()
    }

    @Test("Letting go in FIN-WAIT-2 does not wait for ever [B-26]", arguments: Family.allCases)
    func releaseInFinWait2(family: Family) {
        let peer = ScriptedPeer(family)
        peer.enter(.finWait2)
        peer.release()
        #expect(peer.host.stack.memory.connectionCount == 1)
        peer.host.advance(by: .seconds(61))
        #expect(peer.host.stack.memory.connectionCount == 0)
    }
}
