import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.8.6.1: what a closed window leaves when it opens.
@Suite("A window that opens after probes")
struct WindowOpensTests {
    /// A connection whose peer closed its window, answered `probes` probes without taking their octet, and opens it now.
    private func opened(_ family: Family, probes: Int) -> ScriptedPeer {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.window = 0
        peer.send(.ack)
        peer.offeredEdge = 1
        peer.write(5000)
        for _ in 0..<probes {
            peer.expect(.ack, seq: 1, length: 1, within: .seconds(120))
            peer.send(.ack, ack: 1)
        }
        peer.window = 65535
        peer.send(.ack, ack: 1)
        return peer
    }

    @Test("The octet the probes carried is sent again as ordinary data [MUST-36, B-12]", arguments: Family.allCases)
    func octetAgain(family: Family) {
        let peer = opened(family, probes: 2)
        #expect(peer.pending.first.map(peer.relative) == 1)
        #expect(peer.pending.first?.length == peer.mss)
        #expect(peer.pending.map(\.length).reduce(0, +) == 5000)
    }

    @Test(
        "The back-off of the probes does not slow the data that follows [MUST-36, 6298-5]", arguments: Family.allCases)
    func noBackOff(family: Family) {
        let peer = opened(family, probes: 6)
        peer.discard()
        // Lost: it goes again after one timeout, as if there had been no probes.
        peer.expect(.ack, seq: 1, length: nil, within: .milliseconds(250))
    }
}
