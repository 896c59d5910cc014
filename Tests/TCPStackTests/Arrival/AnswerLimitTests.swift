import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 5961 §7: what nobody asked for is answered so many times a second, and each connection has a number of its own.
@Suite("The limit of answers")
struct AnswerLimitTests {
    /// How many of `count` equal segments a connection answers within one second.
    private func answers(_ peer: ScriptedPeer, _ flags: TCPFlags, seq: Int, of count: Int = 100) -> Int {
        for _ in 0..<count { peer.send(flags, seq: seq) }
        return peer.discard()
    }

    @Test(
        "Empty segments outside the window are answered so often a second, and again in the next [5961-4, B-13]",
        arguments: Family.allCases)
    func emptySegments(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        for _ in 0..<3 {
            let count = answers(peer, .ack, seq: -70_000)
            #expect((16..<32).contains(count), "\(count) answers to 100 segments")
            peer.host.advance(by: .seconds(1))
        }
    }

    @Test(
        "Segments with text are all answered, however old: their sender may wait for it [MUST-59]",
        arguments: Family.allCases)
    func segmentsWithText(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        for _ in 0..<100 { peer.send(.ack, seq: -70_000, length: 1) }
        #expect(peer.discard() == 100)
    }

    @Test(
        "In TIME-WAIT and half-open too: two ends that disagree about the connection would answer for ever [5961-4, B-13]",
        arguments: Family.allCases, [State.timeWait, .synReceived])
    func smallEntries(family: Family, state: State) {
        let peer = ScriptedPeer(family)
        peer.enter(state)
        for sequence in [-70_000, 70_000] {
            for _ in 0..<2 {
                peer.host.advance(by: .seconds(1))
                peer.discard()
                let count = answers(peer, .ack, seq: sequence)
                #expect(count == 3, "\(count) answers to 100 segments at \(sequence)")
            }
        }
        // What carries octets is answered always: its sender may wait for it.
        for _ in 0..<100 { peer.send(.ack, seq: -70_000, length: 1) }
        #expect(peer.discard() == 100)
    }

    @Test("In TIME-WAIT challenges are limited too [5961-4]", arguments: Family.allCases)
    func timeWaitChallenges(family: Family) {
        let peer = ScriptedPeer(family)
        peer.enter(.timeWait)
        #expect(answers(peer, .rst, seq: 100) == 3)
        peer.host.advance(by: .seconds(1))
        #expect(answers(peer, [.syn, .ack], seq: 100) == 3)
    }

    @Test("Connections differ in how many challenges they answer [5961-4, B-4]", arguments: Family.allCases)
    func differentLimits(family: Family) {
        var counts: Set<Int> = []
        let first = ScriptedPeer(family)
        first.establish()
        counts.insert(answers(first, .rst, seq: 100))
        for port in 4001..<UInt16(4020) {
            let other = ScriptedPeer(family, host: first.host, port: port)
            other.listener = first.listener
            other.establish()
            counts.insert(answers(other, .rst, seq: 100))
        }
        #expect(counts.allSatisfy { (16..<32).contains($0) } && counts.count > 4, "\(counts.sorted())")
    }
}
