import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Loss recovery segment by segment: what is sent on each acknowledgment, held against `NaiveRecovery`. The network takes
/// 10 ms and a millisecond a segment, and loses the first sending of some; the receiver answers each arrival.
@Suite("Recovery, segment by segment")
struct GoldenRecoveryTests {
    /// Segments whose first sending is lost, counted from 0.
    static let losses: [Set<Int>] = [
        [0], [4], [9], [0, 1], [0, 2, 4, 6, 8], [2, 3, 4, 5], [0, 1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6, 7, 8, 9],
        [3, 12], [8, 9, 10, 11], [0, 10, 11], [5, 15, 16, 20],
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

    /// Says how many segments were sent again, and the threshold at the end.
    @discardableResult
    private func replay(_ losses: Set<Int>, _ family: Family, sack: Bool, isn: UInt32? = nil) -> (
        again: Int, threshold: Int
    ) {
        let total = 60
        var configuration = Configuration()
        configuration.fixedInitialSequence = isn.map { SequenceNumber($0) }
        // Nothing but acknowledgments and the reordering timer is to send anything.
        configuration.minimumRTO = .seconds(10)
        let peer = ScriptedPeer(family, configuration, offer: ScriptedPeer.Offer(mss: 1400, sack: sack))
        peer.establish()
        var naive = NaiveRecovery(hasSACK: sack, total: total, leastRoundTrip: 10_000)
        let start = peer.host.now
        var network: [(segment: Int, at: Int)] = []
        var lost = losses
        var receiver = Receiver()
        var lastArrival = 0
        func leave(_ segments: [Int], _ now: Int) {
            for segment in segments {
                if lost.remove(segment) != nil { continue }
                lastArrival = max(lastArrival + 1000, now + 10_000)
                network.append((segment, lastArrival))
            }
        }
        peer.write(total * 1400)
        var wanted = naive.start(0)
        leave(wanted, 0)
        var step = 0
        while true {
            let sent = peer.pending.map { (peer.relative($0) - 1) / 1400 }
            peer.discard()
            if sent != wanted {
                peer.fail(
                    "step \(step), lost \(losses.sorted()): expected the segments \(wanted)\n     got \(sent)",
                    #_sourceLocation)
                break
            }
            guard !network.isEmpty else { break }
            step += 1
            let arrival = network.removeFirst()
            wanted = []
            if let due = naive.timer, due < arrival.at {
                wanted = naive.expire(at: due)
                leave(wanted, due)
            }
            peer.host.advance(to: start + .microseconds(arrival.at)) { false }
            let blocks = receiver.take(arrival.segment)
            if sack, !blocks.isEmpty {
                peer.sendSACK(
                    ack: 1 + receiver.next * 1400, blocks.map { 1 + $0.lowerBound * 1400..<1 + $0.upperBound * 1400 })
            } else {
                peer.send(.ack, ack: 1 + receiver.next * 1400)
            }
            let more = naive.receive(receiver.next, sack ? blocks : [], at: arrival.at)
            leave(more, arrival.at)
            wanted += more
        }
        #expect(receiver.next == total, "all came through by acknowledgments alone, lost \(losses.sorted())")
        #expect(peer.status?.retransmittedSegments == naive.retransmissions)
        if receiver.next == total { #expect(peer.status?.congestionWindow == naive.window) }
        return (naive.retransmissions, naive.threshold)
    }

    @Test(
        "With SACK every segment is the one that RFC 8985 and RFC 9937 name [RFC 8985 §6.2, RFC 9937 §6, RFC 6675 §5, RFC 2018 §5, 6675-1, 6675-2, 6675-3, 6675-4, 8985-1, 9937-2]",
        arguments: Family.allCases, losses)
    func selective(family: Family, losses: Set<Int>) {
        let outcome = replay(losses, family, sack: true)
        #expect(outcome.again == losses.count, "nothing is sent twice without need")
    }

    @Test(
        "Without SACK every segment is the one NewReno names [RFC 5681 §3.2, RFC 6582, RFC 3042, RFC 9937 §6, 5681-5, 5681-6, 5681-9, 2525-8]",
        arguments: Family.allCases, losses.filter { $0.count < 5 })
    func newReno(family: Family, losses: Set<Int>) {
        let outcome = replay(losses, family, sack: false)
        #expect(outcome.again >= losses.count)
    }

    @Test("The threshold is half of what was in flight, without what limited transmit let out [RFC 5681 §3.2, 5681-3]")
    func threshold() {
        for sack in [false, true] {
            #expect(replay([0], .ipv4, sack: sack).threshold == 5 * 1400)
            // Four more were let out by slow start.
            #expect(replay([4], .ipv4, sack: sack).threshold == 7 * 1400)
        }
    }

    @Test(
        "Whatever is lost of the first flights, each segment is the one that the RFCs name [RFC 8985 §6.2, RFC 9937 §6]"
    )
    func anyLoss() {
        var state: UInt64 = 1
        func roll(_ faces: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % faces
        }
        for _ in 0..<12 {
            let losses = Set((0..<22).filter { roll($0 < 10 ? 3 : 6) == 0 })
            replay(losses, .ipv4, sack: true)
        }
    }

    @Test(
        "Recovery is the same where sequence numbers wrap [U-1, B-15]", arguments: [UInt32(0xFFFF_E000), 0x7FFF_E000])
    func wrap(isn: UInt32) {
        for losses in Self.losses.prefix(5) {
            replay(losses, .ipv4, sack: true, isn: isn)
            if losses.count < 5 { replay(losses, .ipv4, sack: false, isn: isn) }
        }
    }

    @Test(
        "The last segment of a flight lost: no duplicate tells, a timer does, and it alone goes again [RFC 6298 §5.4, RFC 8985 §7.2]",
        arguments: Family.allCases, [false, true])
    func last(family: Family, sack: Bool) {
        let peer = ScriptedPeer(family, offer: ScriptedPeer.Offer(mss: 1400, sack: sack))
        peer.establish()
        peer.write(10 * 1400)
        peer.discard()
        for index in 1...9 { peer.send(.ack, ack: 1 + index * 1400) }
        peer.expectNothing()
        // With SACK a probe, when the peer that acknowledged each segment at once might have held this one back.
        peer.expectNothing(for: .milliseconds(sack ? 45 : 199))
        peer.expect([.psh, .ack], seq: 1 + 9 * 1400, length: 1400, within: .milliseconds(sack ? 10 : 2))
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
