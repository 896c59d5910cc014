import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.10.7.1: what a port without a connection and without a listener answers.
@Suite("CLOSED")
struct ClosedTests {
    @Test(
        "A SYN to a closed port is answered RST,ACK with SEQ 0 and the SYN acknowledged [U-9]",
        arguments: Family.allCases)
    func syn(family: Family) {
        let peer = ScriptedPeer(family)
        peer.send(.syn)
        peer.expect([.rst, .ack], seq: 0, ack: 1)
        #expect(peer.host.stack.flows().isEmpty)
    }

    @Test("SEG.LEN in the answer counts data, SYN and FIN [U-9, U-3]", arguments: Family.allCases)
    func lengths(family: Family) {
        let peer = ScriptedPeer(family)
        peer.send(.syn, seq: 0, length: 100)
        peer.expect([.rst, .ack], seq: 0, ack: 101)
        peer.send(.fin, seq: 50)
        peer.expect([.rst, .ack], seq: 0, ack: 51)
        peer.send([.syn, .fin], seq: 0, length: 10)
        peer.expect([.rst, .ack], seq: 0, ack: 12)
        peer.send([], seq: 7, length: 10)
        peer.expect([.rst, .ack], seq: 0, ack: 17)
        peer.send([], seq: 7)
        peer.expect([.rst, .ack], seq: 0, ack: 7)
    }

    @Test("A segment with ACK to a closed port is answered RST with SEQ=SEG.ACK [U-9]", arguments: Family.allCases)
    func ack(family: Family) {
        let peer = ScriptedPeer(family)
        for flags: TCPFlags in [.ack, [.fin, .ack], [.syn, .ack], [.psh, .ack]] {
            peer.send(flags, seq: 1, ack: 777, length: flags.contains(.psh) ? 20 : 0)
            peer.expect(.rst, seq: 777)
        }
    }

    @Test("A RST to a closed port is answered with nothing [U-9, U-13]", arguments: Family.allCases)
    func reset(family: Family) {
        let peer = ScriptedPeer(family)
        peer.send(.rst, seq: 5)
        peer.send([.rst, .ack], seq: 5, ack: 9)
        peer.send([.rst, .syn], seq: 5)
        peer.send([.rst, .fin], seq: 5, length: 3)
        peer.expectNothing(for: .seconds(10))
    }

    @Test("A FIN to a closed port makes no state [U-38]")
    func fin() {
        let peer = ScriptedPeer()
        peer.send([.fin, .ack], seq: 1, ack: 1)
        peer.expect(.rst, seq: 1)
        #expect(peer.host.stack.flows().isEmpty)
        #expect(peer.host.stack.memory.halfOpenCount == 0)
    }

    @Test("A reset sent for a closed port is counted, and its sequence number wraps with the segment's [U-1, U-9]")
    func wrap() {
        let peer = ScriptedPeer(isn: 0xFFFF_FFF0)
        peer.send(.syn, seq: 0, length: 100)
        let reset = peer.expect([.rst, .ack], ack: 101)
        #expect(reset?.tcp.acknowledgment == SequenceNumber(0xFFFF_FFF0) + 101)
        #expect(peer.host.stack.counters.resetsSent == 1)
    }

    @Test(
        "A reset is never answered by a reset: two closed hosts fall silent at once [U-9]", arguments: Family.allCases)
    func twoClosedHosts(family: Family) throws {
        let pair = JoinedHosts(family)
        // A SYN that neither host sent arrives at the server as if from the client.
        let stale = Injection(
            source: Endpoint(pair.clientAddress, 4000), destination: Endpoint(pair.serverAddress, 80),
            sequence: SequenceNumber(99), flags: .syn)
        pair.server.inject(stale.packet())
        pair.run(for: .seconds(60))
        #expect(pair.carried == 1, "one reset and no more\n\(pair.trace())")
    }
}
