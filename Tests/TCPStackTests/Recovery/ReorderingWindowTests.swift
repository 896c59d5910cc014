import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 8985 §6: what was sent before something that arrived, a round trip and the reordering window ago, is lost.
@Suite("RACK: what counts as lost, and when")
struct ReorderingWindowTests {
    @Test(
        "RFC 8985 §6.2 step 5: one segment reported leaves the one before it a quarter of the round trip, by the reordering timer [8985-1, 8985-4, 8985-8]",
        arguments: Family.allCases)
    func reorderingTimer(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.writeSegments(3)
        peer.expectSent([0, 1, 2])
        peer.wait(100)
        peer.acknowledge(0, 1..<2)
        peer.expectSent([0], after: 25)
        #expect(peer.phase == .fast)
    }

    @Test(
        "RFC 8985 §6.2 step 4: without reordering seen, three segments reported make the window zero [8985-3, 6675-2]",
        arguments: Family.allCases)
    func threeReported(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.fly(5)
        peer.acknowledge(0, 1..<2)
        peer.acknowledge(0, 1..<3)
        peer.expectSent([])
        peer.acknowledge(0, 1..<4)
        peer.expectSent([0])
        // The last was sent with the third that is reported, and lies above it.
        #expect(peer.lost == [])
    }

    @Test(
        "RFC 8985 §6.2 step 4: in recovery without reordering seen, the next hole is lost with the first report above it [8985-3]",
        arguments: Family.allCases)
    func inRecovery(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.fly(10)
        for end in 2...4 { peer.acknowledge(0, 1..<end) }
        peer.expectSent([0])
        #expect(peer.lost == [])
        peer.acknowledge(0, 5..<6, 1..<4)
        #expect(peer.lost == [4] || peer.takeSent() == [4])
    }

    /// Segments 0 and 1 arrive in the wrong order.
    private func reorder(_ peer: ScriptedPeer) {
        peer.writeSegments(2)
        peer.expectSent([0, 1])
        peer.wait(100)
        peer.acknowledge(0, 1..<2)
        peer.wait(1)
        peer.acknowledge(2)
        peer.expectSent([])
    }

    @Test(
        "RFC 8985 §6.2 steps 3 and 4: once reordering was seen the window is min_RTT/4, however much is reported [8985-5]",
        arguments: Family.allCases)
    func seen(family: Family) {
        let peer = ScriptedPeer.sender(family)
        reorder(peer)
        peer.writeSegments(8)
        peer.expectSent(Array(2..<10))
        peer.wait(100)
        peer.acknowledge(2, 3..<10)
        peer.expectSent([2], after: 25)
        // In recovery too.
        #expect(peer.phase == .fast)
    }

    @Test(
        "RFC 8985 §6.2 step 3: reports that one ACK brings, the latest first, are no reordering, though the ACKs between were lost",
        arguments: Family.allCases)
    func blocksOfOneAcknowledgment(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.fly(6)
        peer.acknowledge(0, 5..<6, 3..<4, 1..<2)
        // Nothing was reordered: the window is zero.
        #expect(peer.takeSent().first == 0)
        #expect(peer.phase == .fast)
    }

    @Test(
        "RFC 8985 §6.2 step 2: what was sent again, and is echoed, shows what was sent before it and did not arrive",
        arguments: Family.allCases)
    func echoOfRetransmission(family: Family) {
        let peer = ScriptedPeer.sender(family, timestamps: true)
        peer.writeSegments(5)
        peer.expectSent([0, 1, 2, 3, 4])
        peer.wait(50)
        peer.writeSegments(1)
        peer.expectSent([5])
        peer.wait(50)
        peer.acknowledge(0, 1..<5)
        peer.expectSent([0])
        peer.wait(101)
        // It echoes the sending of 100 ms ago: segment 5 left before that.
        peer.acknowledge(5)
        peer.expectSent([5])
        #expect(peer.phase == .fast)
    }

    @Test(
        "RFC 8985 §6.2 step 2: RACK.rtt is that of what was delivered last, though something sent later came first",
        arguments: Family.allCases)
    func roundTripOfTheLate(family: Family) {
        let peer = ScriptedPeer.sender(family)
        reorder(peer)
        peer.writeSegments(2)
        peer.expectSent([2, 3])
        peer.wait(10)
        peer.writeSegments(1)
        peer.expectSent([4])
        peer.wait(100)
        // 110 ms after segment 2 left, what was sent 100 ms ago: 2 and 3 are due 15 ms later.
        peer.acknowledge(2, 4..<5)
        peer.wait(10)
        // Segment 3 took 120 ms; so may segment 2, and the window of 25 ms: 145 ms after it left.
        peer.acknowledge(2, 3..<5)
        peer.expectSent([2], after: 25)
    }

    @Test(
        "RFC 8985 §6.2 step 4: each round trip with a D-SACK makes the window a quarter of min_RTT wider, to SRTT at most [8985-6, 8985-7]",
        arguments: Family.allCases)
    func duplicatesWiden(family: Family) {
        let peer = ScriptedPeer.sender(family) { $0.minimumRTO = .seconds(1) }
        var next = 0
        for quarters in 1...6 {
            peer.writeSegments(2)
            peer.expectSent([next, next + 1])
            peer.wait(100)
            peer.acknowledge(next, next + 1..<next + 2)
            let wait = min(Int64(quarters) * 25, 100)
            peer.expectNothing(for: .milliseconds(wait), slack: .milliseconds(2))
            // It was only late, and nothing was sent again.
            peer.acknowledge(next + 2)
            next += 2
            // A round trip in which two duplicates are reported counts as one.
            peer.fly(1)
            peer.acknowledge(next, 0..<1)
            peer.acknowledge(next, 0..<1)
            peer.acknowledge(next + 1)
            next += 1
        }
        // SRTT and the round trips stayed at about 100 ms; the window does not grow past it.
        peer.fly(2)
        peer.acknowledge(next, next + 1..<next + 2)
        let smoothed = (peer.status?.smoothedRTT ?? .zero) / .milliseconds(1)
        #expect(smoothed > 90 && smoothed < 150)
        peer.expectSent([next], after: Int64(smoothed))
    }

    @Test(
        "RFC 8985 §6.2 step 4: a D-SACK on the ACK that ends the round counts for the next",
        arguments: Family.allCases)
    func duplicateAtTheEndOfTheRound(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.exchange(1, from: 0)
        peer.fly(2)
        // The round lasts until segment 2, which is out, is acknowledged.
        peer.acknowledge(2, 0..<1)
        peer.acknowledge(3, 0..<1)
        peer.fly(2)
        peer.acknowledge(3, 4..<5)
        peer.expectSent([3], after: 75)
    }

    @Test(
        "RFC 8985 §6.2 step 4: sixteen recoveries without a D-SACK make the window narrow again [8985-7]",
        arguments: Family.allCases)
    func decay(family: Family) {
        let peer = ScriptedPeer.sender(family) { $0.minimumRTO = .seconds(1) }
        peer.exchange(1, from: 0)
        peer.fly(1)
        peer.acknowledge(2, 0..<1)
        var next = 2
        for recovery in 1...18 {
            peer.writeSegments(2)
            peer.expectSent([next, next + 1])
            peer.wait(100)
            peer.acknowledge(next, next + 1..<next + 2)
            peer.expectSent([next], after: recovery <= 16 ? 50 : 25)
            peer.wait(100)
            peer.acknowledge(next + 2)
            next += 2
        }
    }

    @Test(
        "RFC 8985 §6.2 step 5: a retransmission is lost as anything else, by what was sent after it; that is another reduction [8985-2, 8985-9, RFC 5681 §4.3]",
        arguments: Family.allCases)
    func lostRetransmission(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.writeSegments(30)
        peer.expectSent(Array(0..<10))
        peer.wait(100)
        for end in 2...4 { peer.acknowledge(0, 1..<end) }
        peer.expectSent([10, 11, 0])
        #expect(peer.thresholdSegments == 5)
        for end in 5...10 { peer.acknowledge(0, 1..<end) }
        let later = peer.takeSent()
        #expect(!later.isEmpty && !later.contains(0))
        peer.wait(100)
        // What was sent before the retransmission says nothing of it.
        peer.acknowledge(0, 1..<12)
        #expect(!peer.takeSent().contains(0))
        // What was sent after it does.
        peer.acknowledge(0, 1..<13)
        #expect(peer.takeSent().first == 0)
        #expect(peer.thresholdSegments < 5)
    }

    @Test(
        "RFC 8985 §6.2 step 2: an ACK of a retransmission that comes sooner than any round trip answers the first sending, and shows nothing lost [8985-10]",
        arguments: Family.allCases)
    func tooSoon(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.fly(10)
        for end in 2...4 { peer.acknowledge(0, 1..<end) }
        #expect(peer.takeSent().contains(0))
        peer.wait(1)
        peer.acknowledge(4)
        #expect(peer.lost == [])
        #expect(!peer.takeSent().contains(4))
    }

    @Test(
        "RFC 8985 §6.2 step 2: an ACK whose TSecr is older than the retransmission answers the first sending, however late [8985-10]",
        arguments: Family.allCases)
    func olderEcho(family: Family) {
        let peer = ScriptedPeer.sender(family, timestamps: true)
        peer.writeSegments(10)
        peer.discard()
        let echo = peer.lastTimestamp
        peer.wait(100)
        for end in 2...4 { peer.acknowledge(0, 1..<end) }
        #expect(peer.takeSent().contains(0))
        peer.wait(120)
        peer.lastTimestamp = echo
        peer.acknowledge(4)
        #expect(peer.lost == [])
        #expect(!peer.takeSent().contains(4))
    }

    @Test(
        "RFC 8985 §6.3: a timeout makes the first segment lost, and of the others those that are due by now [8985-11]",
        arguments: Family.allCases)
    func timeoutMarks(family: Family) {
        let peer = ScriptedPeer.sender(family) { $0.minimumRTO = .milliseconds(350) }
        peer.exchange(2, from: 0)
        peer.writeSegments(2)
        peer.expectSent([2, 3])
        // The probe, and the timeout from there.
        peer.expectSent([3], after: 200)
        peer.wait(300)
        peer.writeSegments(2)
        peer.expectSent([4, 5])
        peer.expectSent([2], after: 50)
        #expect(peer.phase == .timeout)
        #expect(peer.lost == [3])
    }

    @Test(
        "RFC 8985 §9.3: zero to three segments of reordering send nothing again [8985-12]", arguments: Family.allCases,
        0...3)
    func reorderedOnly(family: Family, distance: Int) {
        let peer = ScriptedPeer.sender(family)
        peer.writeSegments(200)
        var rounds = 0
        var next = 0
        while next < 200, rounds < 40 {
            let flight = peer.takeSent()
            rounds += 1
            peer.wait(100)
            // Each sixth segment comes `distance` later, which is within the window of time.
            var order = flight
            for index in stride(from: 0, to: flight.count - distance, by: 6) {
                order.remove(at: index)
                order.insert(flight[index], at: index + distance)
            }
            var held: Set<Int> = []
            for segment in order {
                held.insert(segment)
                while held.remove(next) != nil { next += 1 }
                // While reordering has not been seen, DupThresh holds: two segments pass, the third would not.
                if held.isEmpty {
                    peer.acknowledge(next)
                } else if let low = held.min(), let high = held.max(), rounds > 1 || high - low < 2 {
                    peer.acknowledge(next, low..<high + 1)
                }
            }
        }
        #expect(next == 200)
        #expect(peer.status?.retransmittedSegments == 0)
        #expect(peer.phase == .open)
    }

    @Test(
        "RFC 8985 §6.2: at a round trip of nothing to 50 µs recovery goes on, without a timeout",
        arguments: Family.allCases,
        [Int64(0), 10, 50])
    func tinyRoundTrips(family: Family, microseconds: Int64) {
        let roundTrip = Duration.microseconds(microseconds)
        let peer = ScriptedPeer.sender(family, roundTrip: roundTrip)
        peer.writeSegments(60)
        var lost: Set<Int> = [3, 11, 12, 30, 59]
        var held: Set<Int> = []
        var next = 0
        var rounds = 0
        let start = peer.host.now
        while next < 60, rounds < 60 {
            rounds += 1
            if peer.pending.isEmpty { peer.host.advance(to: peer.host.now + .seconds(2)) { !peer.pending.isEmpty } }
            peer.host.advance(by: roundTrip)
            for segment in peer.takeSent() where lost.remove(segment) == nil {
                held.insert(segment)
                while held.remove(next) != nil { next += 1 }
                if let last = held.max(), segment >= next {
                    var low = segment
                    while held.contains(low - 1) { low -= 1 }
                    peer.acknowledge(next, low..<segment + 1)
                    _ = last
                } else {
                    peer.acknowledge(next)
                }
            }
        }
        #expect(next == 60)
        // The tail is probed for after the delay an acknowledgment may have; nothing else waits.
        #expect(peer.host.now - start < .milliseconds(210))
        #expect(peer.status?.retransmittedSegments == 5)
        #expect(peer.phase == .open)
    }
}
