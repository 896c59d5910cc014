import TCPEngine
import TCPStack
import TCPWire
import Testing

/// What leaves when the peer's window, or the program's own limit, ends in the middle of something.
@Suite("A window that ends in the middle")
struct WindowEdgeTests {
    private func established(_ family: Family, window: UInt16) -> ScriptedPeer {
        let peer = ScriptedPeer(family)
        peer.window = window
        peer.establish()
        return peer
    }

    @Test("Not an octet leaves past the window [MUST-38, U-2]", arguments: Family.allCases)
    func exactly(family: Family) {
        let peer = established(family, window: 1000)
        peer.write(5000)
        peer.expect(.ack, seq: 1, length: 1000)
        peer.expectNothing()
    }

    @Test("What a window cuts off of a segment waits [MUST-38, SHLD-28]", arguments: Family.allCases)
    func wholeSegments(family: Family) {
        let peer = established(family, window: UInt16(1460 + 600))
        peer.write(5000)
        peer.expect(.ack, seq: 1, length: peer.mss)
        peer.expectNothing()
    }

    @Test("A sliver of the largest window waits for the override time-out [MUST-38]", arguments: Family.allCases)
    func sliver(family: Family) {
        let peer = established(family, window: 60_000)
        peer.send(.ack, window: 100)
        peer.offeredEdge = 101
        peer.write(5000)
        peer.expectNothing(for: .milliseconds(100))
        peer.expect(.ack, seq: 1, length: 100, within: .seconds(2))
    }

    @Test("A FIN needs room in the window behind its data [U-15, MUST-36]", arguments: Family.allCases)
    func fin(family: Family) {
        let peer = established(family, window: 1000)
        peer.write(1000)
        peer.expect([.psh, .ack], seq: 1, length: 1000)
        peer.close()
        peer.expectNothing()
        peer.send(.ack, ack: 1001, window: 1)
        peer.expect([.fin, .ack], seq: 1001)
        let other = established(family, window: 1000)
        other.host.batch {
            other.write(1000)
            other.close()
        }
        let data = other.expect(.ack, seq: 1, length: 1000)
        #expect(data?.flags.contains(.fin) == false)
    }

    @Test(
        "Of what may not be sent yet no more is taken than the program asked to have taken", arguments: Family.allCases)
    func unsent(family: Family) {
        var configuration = Configuration()
        configuration.unsentBuffer = 10_000
        let peer = ScriptedPeer(family, configuration)
        peer.establish()
        peer.window = 0
        peer.send(.ack)
        peer.offeredEdge = 1
        let taken = peer.write(50_000)
        #expect(taken == 10_000)
    }

    @Test("Reading all there is leaves what waits past a gap where it is [SHLD-31, B-28]", arguments: Family.allCases)
    func readsBeforeGap(family: Family) {
        let peer = established(family, window: 65535)
        peer.send(length: 10)
        peer.send(seq: 21, length: 10)
        peer.expectRead(10)
        peer.send(seq: 11, length: 10)
        peer.expectRead(20)
    }
}
