import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Loss recovery segment by segment: what RFC 6675 (with SACK) and RFC 5681 with 6582 and 3042 (without) say is sent on
/// each acknowledgment. The network is a queue that loses the first sending of some segments; the receiver answers each
/// arrival.
@Suite("Recovery, segment by segment")
struct GoldenRecoveryTests {
    struct Golden: Sendable, CustomTestStringConvertible {
        var name: String
        /// Segments whose first sending is lost, counted from 0.
        var lost: Set<Int>
        /// What is sent at first, and then on each acknowledgment, up to the one that ends recovery.
        var sent: [[Int]]
        /// The slow-start threshold afterwards, in segments: half the flight without limited transmit.
        var threshold: Int

        var testDescription: String { "lost: \(name)" }
    }

    static let selectiveRows: [Golden] = [
        Golden(
            name: "the first", lost: [0],
            sent: [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [10], [11], [0], [], [], [], [], [12], [13], [14], [15], [16]],
            threshold: 5),
        Golden(
            name: "the fifth", lost: [4],
            sent: [
                [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [10, 11], [12, 13], [14, 15], [16, 17], [18], [19], [4], [], [], [], [],
                [], [],
                [20], [21], [22], [23], [24], [25], [26],
            ], threshold: 7),
        Golden(
            name: "the first two", lost: [0, 1],
            sent: [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [10], [11], [0], [], [], [], [1], [12], [13], [14], [15], [16]],
            threshold: 5),
        Golden(
            name: "every other one", lost: [0, 2, 4, 6, 8],
            sent: [
                [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [10], [11], [0], [], [], [2, 4], [6, 8], [12], [13], [14], [15], [16],
            ],
            threshold: 5),
        Golden(
            name: "four in a row", lost: [2, 3, 4, 5],
            sent: [
                [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [10, 11], [12, 13], [14], [15], [2], [], [], [3], [4], [5], [16], [17],
                [18],
                [19], [20], [21],
            ], threshold: 6),
    ]

    static let newRenoRows: [Golden] = [
        Golden(
            name: "the first", lost: [0],
            sent: [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [10], [11], [0], [], [], [], [], [12], [13], [14], [15], [16]],
            threshold: 5),
        Golden(
            name: "the fifth", lost: [4],
            sent: [
                [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [10, 11], [12, 13], [14, 15], [16, 17], [18], [19], [4], [], [], [], [],
                [], [],
                [20], [21], [22], [23], [24], [25], [26],
            ], threshold: 7),
        Golden(
            name: "the first two", lost: [0, 1],
            sent: [
                [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [10], [11], [0], [], [], [], [], [12], [13], [14], [1, 15], [16], [17],
                [18],
                [19],
            ], threshold: 5),
        Golden(
            name: "every other one", lost: [0, 2, 4, 6, 8],
            sent: [
                [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [10], [11], [0], [], [], [], [], [2, 12], [4, 13], [14], [6, 15], [16],
                [17],
                [8, 18], [19], [20], [21], [22],
            ], threshold: 5),
        Golden(
            name: "four in a row", lost: [2, 3, 4, 5],
            sent: [
                [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [10, 11], [12, 13], [14], [15], [2], [], [], [], [], [], [16], [17],
                [3, 18],
                [19], [20], [4, 21], [22], [23], [24], [5, 25], [26], [27], [28], [29], [30],
            ], threshold: 6),
    ]

    /// A receiver that answers each segment, with up to four SACK blocks, the most recent first.
    private struct Receiver {
        var next = 0
        var held: Set<Int> = []
        var recent: [Int] = []

        mutating func take(_ index: Int) -> [Range<Int>] {
            if index >= next { held.insert(index) }
            while held.remove(next) != nil { next += 1 }
            recent.insert(index, at: 0)
            var blocks: [Range<Int>] = []
            for segment in recent where held.contains(segment) && blocks.count < 4 {
                var (low, high) = (segment, segment)
                while held.contains(low - 1) { low -= 1 }
                while held.contains(high + 1) { high += 1 }
                if !blocks.contains(low..<high + 1) { blocks.append(low..<high + 1) }
            }
            return blocks
        }
    }

    private func replay(_ golden: Golden, _ family: Family, sack: Bool, isn: UInt32? = nil) {
        var configuration = Configuration()
        configuration.fixedInitialSequence = isn.map { SequenceNumber($0) }
        let peer = ScriptedPeer(family, configuration, offer: ScriptedPeer.Offer(mss: 1400, sack: sack))
        peer.establish()
        peer.write(40 * 1400)
        var network: [Int] = []
        var lost = golden.lost
        var receiver = Receiver()
        for (step, wanted) in golden.sent.enumerated() {
            if step > 0 {
                guard !network.isEmpty else {
                    return peer.fail("step \(step): nothing is in the network", #_sourceLocation)
                }
                peer.host.advance(by: .milliseconds(1))
                let blocks = receiver.take(network.removeFirst())
                if sack, !blocks.isEmpty {
                    peer.sendSACK(
                        ack: 1 + receiver.next * 1400,
                        blocks.map { 1 + $0.lowerBound * 1400..<1 + $0.upperBound * 1400 })
                } else {
                    peer.send(.ack, ack: 1 + receiver.next * 1400)
                }
            }
            let sent = peer.pending.map { (peer.relative($0) - 1) / 1400 }
            peer.discard()
            if sent != wanted {
                return peer.fail("step \(step): expected the segments \(wanted)\n     got \(sent)", #_sourceLocation)
            }
            for segment in sent where lost.remove(segment) == nil { network.append(segment) }
        }
        #expect(peer.status?.slowStartThreshold == golden.threshold * 1400)
        #expect(peer.status?.congestionWindow == golden.threshold * 1400)
        #expect(peer.status?.retransmittedSegments == golden.lost.count)
        // The rest comes through.
        var rounds = 0
        while receiver.next < 40, !network.isEmpty, rounds < 200 {
            _ = receiver.take(network.removeFirst())
            peer.send(.ack, ack: 1 + receiver.next * 1400)
            network += peer.pending.map { (peer.relative($0) - 1) / 1400 }
            peer.discard()
            rounds += 1
        }
        #expect(receiver.next == 40)
        #expect(peer.status?.retransmittedSegments == golden.lost.count, "nothing is sent twice without need")
    }

    @Test(
        "With SACK every segment is the one RFC 6675 names [RFC 6675 §5, RFC 2018 §5, 6675-1, 6675-2, 6675-3, 6675-4]",
        arguments: Family.allCases,
        selectiveRows)
    func selective(family: Family, golden: Golden) { replay(golden, family, sack: true) }

    @Test(
        "Without SACK every segment is the one NewReno names [RFC 5681 §3.2, RFC 6582, RFC 3042, 5681-5, 5681-6, 5681-9, 2525-8]",
        arguments: Family.allCases, newRenoRows)
    func newReno(family: Family, golden: Golden) { replay(golden, family, sack: false) }

    @Test(
        "Recovery is the same where sequence numbers wrap [U-1, B-15]", arguments: [UInt32(0xFFFF_E000), 0x7FFF_E000])
    func wrap(isn: UInt32) {
        for golden in Self.selectiveRows { replay(golden, .ipv4, sack: true, isn: isn) }
        for golden in Self.newRenoRows { replay(golden, .ipv4, sack: false, isn: isn) }
    }

    @Test(
        "The last segment of a flight lost: no duplicate tells, the timer does, and it alone goes again [RFC 6298 §5.4]",
        arguments: Family.allCases, [false, true])
    func last(family: Family, sack: Bool) {
        let peer = ScriptedPeer(family, offer: ScriptedPeer.Offer(mss: 1400, sack: sack))
        peer.establish()
        peer.write(10 * 1400)
        peer.discard()
        for index in 1...9 { peer.send(.ack, ack: 1 + index * 1400) }
        peer.expectNothing()
        peer.expect([.psh, .ack], seq: 1 + 9 * 1400, length: 1400, after: .milliseconds(200))
        peer.send(.ack, ack: 1 + 10 * 1400)
        peer.expectNothing(for: .seconds(10))
        #expect(peer.status?.retransmittedSegments == 1)
    }

    @Test("A FIN as the last SACKed octet stalls nothing [B-30]", arguments: Family.allCases)
    func finSacked(family: Family) {
        let peer = ScriptedPeer(family, offer: ScriptedPeer.Offer(mss: 1400, sack: true))
        peer.establish()
        peer.write(4 * 1400)
        peer.close()
        peer.discard()
        peer.received = 1
        // The first is lost; the rest and the FIN are SACKed.
        peer.sendSACK(ack: 1, [1401..<2801])
        peer.sendSACK(ack: 1, [1401..<4201])
        peer.sendSACK(ack: 1, [1401..<5602])
        #expect(peer.pending.map(peer.relative) == [1])
        peer.discard()
        peer.send(.ack, ack: 5602)
        peer.expectState(.finWait2)
        peer.expectNothing(for: .seconds(10))
    }

    @Test(
        "After a timeout SACK information is not trusted: a reneging receiver gets everything [RFC 2018 §8, RFC 6675 §5.1, 2018-5, 6675-5]",
        arguments: Family.allCases)
    func reneging(family: Family) {
        let peer = ScriptedPeer(family, offer: ScriptedPeer.Offer(mss: 1400, sack: true))
        peer.establish()
        peer.write(10 * 1400)
        peer.discard()
        // Segments 1 to 3 are reported, then thrown away; nothing more is heard.
        peer.sendSACK(ack: 1, [1401..<5601])
        peer.discard()
        var next = 0
        var rounds = 0
        // From here on the receiver holds nothing out of order and reports nothing.
        while next < 10, rounds < 100 {
            peer.host.advance(to: peer.host.now + .seconds(10)) { !peer.pending.isEmpty }
            for segment in peer.pending where (peer.relative(segment) - 1) / 1400 == next {
                next += segment.length / 1400
            }
            peer.discard()
            peer.send(.ack, ack: 1 + next * 1400)
            for segment in peer.pending where (peer.relative(segment) - 1) / 1400 == next {
                next += segment.length / 1400
            }
            rounds += 1
        }
        #expect(next == 10, "\(peer.host.recentTrace())")
    }

    @Test(
        "An ACK that stops short of what was SACKed says that the receiver dropped it: it goes again, at once [2018-5]",
        arguments: Family.allCases)
    func takenBack(family: Family) {
        let peer = ScriptedPeer(family, offer: ScriptedPeer.Offer(mss: 1400, sack: true))
        peer.establish()
        peer.write(4 * 1400)
        peer.discard()
        peer.sendSACK(ack: 1, [1401..<4201])
        peer.host.advance(to: peer.host.now + .seconds(1)) { !peer.pending.isEmpty }
        #expect(peer.pending.map(peer.relative) == [1])
        peer.discard()
        // The first arrived, and was not followed by the second and third, which had been reported.
        peer.send(.ack, ack: 1401)
        #expect(peer.pending.map(peer.relative) == [1401, 2801])
    }

    @Test("SACKed data is kept until it is acknowledged cumulatively [RFC 2018 §5, 2018-4]", arguments: Family.allCases)
    func kept(family: Family) {
        let peer = ScriptedPeer(family, offer: ScriptedPeer.Offer(mss: 1400, sack: true))
        peer.establish()
        peer.write(5 * 1400)
        peer.discard()
        peer.sendSACK(ack: 1, [1401..<7001])
        #expect(peer.status?.unacknowledged == 5 * 1400)
    }

    @Test(
        "A timeout in recovery halves nothing a second time [RFC 6675 §5.1, RFC 5681 §3.1, 6675-5]",
        arguments: Family.allCases)
    func timeoutInRecovery(family: Family) {
        let peer = ScriptedPeer(family, .steadySegments, offer: ScriptedPeer.Offer(mss: 1400, sack: true))
        peer.establish()
        peer.write(20 * 1400)
        peer.discard()
        for index in 2...4 { peer.sendSACK(ack: 1, [1401..<1 + index * 1400]) }
        #expect(peer.status?.slowStartThreshold == 5 * 1400)
        peer.discard()
        peer.host.advance(by: .seconds(1))
        #expect(peer.status?.congestionWindow == 1400)
        let threshold = peer.status?.slowStartThreshold ?? 0
        #expect(threshold <= 6 * 1400 && threshold >= 2 * 1400)
        // Duplicates of before the timeout start no new recovery.
        let before = peer.status?.retransmittedSegments
        peer.discard()
        for index in 5...9 { peer.sendSACK(ack: 1, [1401..<1 + index * 1400]) }
        #expect(peer.status?.slowStartThreshold == threshold)
        #expect(peer.status?.retransmittedSegments == before)
    }
}
