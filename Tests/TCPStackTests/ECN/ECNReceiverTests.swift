import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 3168 §6.1.3: what the end that gets marks tells of them.
@Suite("A receiver echoes marks until it hears that the window came down")
struct ECNReceiverTests {
    private func open(_ family: Family = .ipv4, answer: TCPFlags = .ece) -> MarkedPath {
        let path = MarkedPath(family)
        path.connect(answer: answer)
        path.peer.discard()
        return path
    }

    /// The flags of ECN on the acknowledgments of two segments of the peer's.
    private func pair(_ path: MarkedPath, _ flags: TCPFlags = .ack) -> [TCPFlags] {
        path.data(.capable0, flags)
        path.data(.capable0)
        return path.take().map(\.ecnFlags)
    }

    @Test(
        "A mark is acknowledged at once with ECE, and every acknowledgment has it until CWR [RFC 3168 §6.1.3, 3168-3]",
        arguments: Family.allCases)
    func echo(family: Family) {
        let path = open(family)
        #expect(pair(path) == [[]])
        path.data(.congestion)
        path.peer.expect([.ack, .ece], ack: 3001)
        for _ in 0..<3 { #expect(pair(path) == [.ece]) }
        // Data carries it too, again and again, and is no less ECN-capable.
        path.peer.write(path.size)
        let data = path.take()
        #expect(data.map(\.ecnFlags) == [.ece] && data.map(\.codepoint) == [.capable0])
        path.peer.host.advance(by: .milliseconds(250))
        #expect(path.take().map(\.ecnFlags).allSatisfy { $0 == .ece })
        path.peer.send(.ack)
        path.data(.capable0, [.ack, .cwr])
        path.peer.expect(.ack)
        #expect(pair(path) == [[]])
        #expect(path.peer.host.stack.counters.congestionMarksReceived == 1)
    }

    @Test("Marked and with CWR: what came before is answered, and this is another mark [RFC 3168 §6.1.3, 3168-3]")
    func both() {
        let path = open()
        path.data(.congestion)
        path.peer.expect([.ack, .ece])
        path.data(.congestion, [.ack, .cwr])
        path.peer.expect([.ack, .ece])
        #expect(pair(path) == [.ece])
        #expect(path.peer.host.stack.counters.congestionMarksReceived == 2)
    }

    @Test(
        "A mark on what lies outside the window, or came before, says nothing [RFC 3168 §6.1.5, 3168-4]",
        arguments: Family.allCases)
    func outside(family: Family) {
        let path = open(family)
        #expect(pair(path) == [[]])
        path.data(.congestion, seq: 1, length: 1000)
        path.peer.expect(.ack, ack: 2001)
        path.data(.congestion, seq: 1 << 24)
        path.peer.expect(.ack, ack: 2001)
        // Nor one with an acknowledgment that cannot be.
        path.data(.congestion, seq: 2001, ack: 1 << 24)
        path.peer.expect(.ack, ack: 2001)
        #expect(path.peer.host.stack.counters.congestionMarksReceived == 0)
    }

    @Test("A marked segment past a gap is told of with the duplicate acknowledgment [RFC 3168 §6.1.3, 3168-3]")
    func outOfOrder() {
        let path = open()
        path.data(.congestion, seq: 1001)
        path.peer.expect([.ack, .ece], ack: 1)
        #expect(path.peer.history.last?.sack.count == 1)
    }

    @Test("A marked acknowledgment without octets is not told of: no end of RFC 3168 sends such as ECN-capable")
    func pureAcknowledgment() {
        let path = open()
        path.peer.send(.ack) { $0.trafficClass = 3 }
        #expect(pair(path) == [[]])
    }

    @Test("Where ECN was not agreed on marks say nothing, nor do ECE and CWR [RFC 3168 §6.1.1, 3168-1]")
    func notAgreed() {
        let path = open(answer: [])
        path.data(.congestion)
        path.data(.congestion, [.ack, .cwr, .ece])
        path.peer.expect(.ack, ack: 2001)
        path.peer.write(4 * path.size)
        #expect(path.take().allSatisfy { $0.codepoint == .notCapable && $0.ecnFlags == [] })
        path.peer.send([.ack, .ece])
        let counters = path.peer.host.stack.counters
        #expect(counters.reductionsByMarks == 0 && counters.congestionMarksReceived == 0)
    }

    @Test("The DSCP stays beside the ECN field [RFC 3168 §5, MUST-48]", arguments: Family.allCases)
    func differentiatedServices(family: Family) {
        let path = MarkedPath(family)
        var options = ConnectionOptions()
        options.differentiatedServices = 46
        path.connect(options: options)
        path.peer.discard()
        path.peer.write(path.size)
        path.data(.capable0)
        path.data(.capable0)
        #expect(path.take().map(\.ip.trafficClass) == [46 << 2 | 2, 46 << 2])
    }
}
