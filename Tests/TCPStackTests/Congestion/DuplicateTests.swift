import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Which duplicates are signs of loss, and what a partial acknowledgment and a second timeout ask for.
@Suite("Duplicate acknowledgments and what follows them")
struct DuplicateTests {
    private let size = 1400

    /// A connection with ten full segments in flight.
    private func flight(_ family: Family, sack: Bool = false, more: Int = 0) -> ScriptedPeer {
        let peer = ScriptedPeer(family, .steadySegments, offer: ScriptedPeer.Offer(mss: UInt16(size), sack: sack))
        peer.establish()
        peer.write((10 + more) * size)
        peer.discard()
        return peer
    }

    /// The number of a segment's first octet.
    private func start(_ segment: Int) -> Int { 1 + segment * size }

    @Test(
        "With SACK an acknowledgment whose blocks tell nothing new is no duplicate [RFC 6675 §2, 6675-1]",
        arguments: Family.allCases)
    func nothingNew(family: Family) {
        let peer = flight(family, sack: true)
        // The round trip of the handshake: what is overtaken is waited for (RFC 8985 §6.2).
        peer.host.advance(by: .milliseconds(10))
        for _ in 0..<6 { peer.sendSACK(ack: 1, [start(1)..<start(2)]) }
        peer.expectNothing()
        #expect(peer.status?.retransmittedSegments == 0)
    }

    @Test(
        "Duplicates of what a timeout sent again start no fast retransmit [RFC 6582 §3.2 step 1, 5681-6]",
        arguments: Family.allCases)
    func afterTimeout(family: Family) {
        let peer = flight(family)
        peer.expect(.ack, seq: 1, length: size, after: .milliseconds(200))
        // The peer had them all: only its acknowledgments were lost.
        peer.send(.ack, ack: start(10))
        peer.write(10 * size)
        #expect(peer.discard() > 0)
        for _ in 0..<4 { peer.send(.ack, ack: start(10)) }
        #expect(peer.status?.retransmittedSegments == 1)
    }

    @Test(
        "Only duplicates in a row count: an acknowledgment of new data starts the count anew [RFC 5681 §3.2, 5681-10]",
        arguments: Family.allCases)
    func inARow(family: Family) {
        let peer = flight(family)
        for segment in 0..<4 {
            for _ in 0..<2 { peer.send(.ack, ack: start(segment)) }
        }
        peer.expectNothing()
        #expect(peer.status?.retransmittedSegments == 0)
    }

    @Test(
        "A partial acknowledgment sends the next hole at once, though the window has no room [RFC 6582 §3.2 step 3, 5681-6]",
        arguments: Family.allCases)
    func partial(family: Family) {
        let peer = flight(family)
        for _ in 0..<3 { peer.send(.ack, ack: 1) }
        peer.expect(.ack, seq: 1, length: size)
        peer.send(.ack, ack: start(1))
        peer.expect(.ack, seq: start(1), length: size)
        peer.expectNothing()
    }

    @Test(
        "When a second timeout follows the first, what was SACKed goes again like all else [RFC 2018 §8, 2018-5]",
        arguments: Family.allCases)
    func secondTimeout(family: Family) {
        let peer = flight(family, sack: true)
        peer.sendSACK(ack: 1, [start(3)..<start(6)])
        peer.host.advance(by: .seconds(1))
        #expect(peer.discard() >= 3, "fast retransmit, and two timeouts")
        // The window grows by a segment with each acknowledgment, and reaches what the peer has dropped.
        peer.send(.ack, ack: start(1))
        #expect(peer.pending.map(peer.relative) == [start(1), start(2)])
        peer.discard()
        peer.send(.ack, ack: start(2))
        #expect(peer.pending.map(peer.relative) == [start(3), start(4)])
    }
}
