import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.8.6.3: when acknowledgments leave.
@Suite("Delayed acknowledgments")
struct DelayedAckTests {
    private func opened(_ family: Family) -> ScriptedPeer {
        let peer = ScriptedPeer(family)
        peer.establish()
        return peer
    }

    @Test(
        "A single segment is acknowledged after the delay, below half a second [MUST-40, SHLD-18]",
        arguments: Family.allCases)
    func single(family: Family) {
        let peer = opened(family)
        peer.send(length: 1460)
        peer.expect(.ack, seq: 1, ack: 1461, after: .milliseconds(40))
        peer.expectNothing(for: .seconds(5))
    }

    @Test(
        "The delay stays below 500 ms even if a longer one is configured [MUST-40]", arguments: Family.allCases,
        [1, 100, 499, 500, 5000])
    func configured(family: Family, milliseconds: Int) {
        var configuration = Configuration()
        configuration.delayedAcknowledgment = .milliseconds(milliseconds)
        let peer = ScriptedPeer(family, configuration)
        peer.establish()
        peer.send(length: 100)
        let start = peer.host.now
        let ack = peer.expect(.ack, ack: 101, within: .seconds(10))
        #expect((ack?.time ?? .distantFuture) - start < .milliseconds(500))
    }

    @Test(
        "Every second full-sized segment is acknowledged at once [SHLD-19, RFC 2525, 2525-13]",
        arguments: Family.allCases)
    func everySecond(family: Family) {
        let peer = opened(family)
        var acks: [Int] = []
        for _ in 0..<10 {
            peer.send(length: 1460)
            acks += peer.pending.map(peer.relativeAcknowledgment)
            peer.discard()
        }
        #expect(acks == [2921, 5841, 8761, 11_681, 14_601])
    }

    @Test("No more than one acknowledgment for each segment [RFC 5681 §4.2, 5681-8]", arguments: Family.allCases)
    func atMostOne(family: Family) {
        let peer = opened(family)
        for index in 0..<50 {
            peer.send(seq: 1 + (index * 37 % 50) * 100, length: 100)
            #expect(peer.pending.count <= 1)
            peer.discard()
        }
    }

    @Test(
        "Data that leaves in time carries the acknowledgment with it [§3.10.7.4 seventh, MUST-58]",
        arguments: Family.allCases)
    func piggybacked(family: Family) {
        let peer = opened(family)
        peer.send(length: 100)
        peer.host.advance(by: .milliseconds(20))
        peer.write(50)
        peer.expect([.psh, .ack], seq: 1, ack: 101, length: 50)
        peer.send(.ack)
        peer.expectNothing(for: .seconds(1))
    }

    @Test(
        "Behind a gap that much came past sixteen acknowledgments wait for no company, for the sender's window is small then",
        arguments: Family.allCases, [(1460, 16), (512, 16), (511, 1), (100, 1)])
    func behindGap(family: Family, _ way: (length: Int, quick: Int)) {
        let peer = opened(family)
        peer.send(seq: 1 + way.length, length: way.length)
        peer.expect(.ack, ack: 1)
        // The first of them is that of what fills the gap, which never waits.
        peer.send(seq: 1, length: way.length)
        peer.expect(.ack, ack: 1 + 2 * way.length)
        peer.next = 1 + 2 * way.length
        var quick = 1
        while quick < 40 {
            peer.send(length: way.length)
            guard !peer.pending.isEmpty else { break }
            peer.discard()
            quick += 1
        }
        #expect(quick == way.quick)
    }

    @Test(
        "A lone ACK is never acknowledged: no segment answers an acceptable empty one [U-3]", arguments: Family.allCases
    )
    func noAckOfAck(family: Family) {
        let peer = opened(family)
        for _ in 0..<10 { peer.send(.ack) }
        peer.expectNothing(for: .seconds(10))
    }

    @Test(
        "The sequence ledger: octets sent plus SYN and FIN are what is acknowledged in the end [U-3]",
        arguments: Family.allCases, Role.allCases)
    func ledger(family: Family, role: Role) {
        let peer = ScriptedPeer(family)
        peer.establish(role)
        for size in [1, 100, 1460, 3000] {
            peer.send(length: size)
            peer.write(size)
            peer.discard()
            peer.send(.ack)
        }
        let total = 1 + 100 + 1460 + 3000
        peer.close()
        peer.discard()
        peer.send([.fin, .ack])
        #expect(peer.history.last.map(peer.relativeAcknowledgment) == total + 2)
        #expect(peer.received == total + 2)
        peer.expectState(.timeWait)
    }
}
