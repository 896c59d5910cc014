import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9937: the window comes down to its threshold as segments are delivered.
@Suite("Proportional rate reduction")
struct ReductionTests {
    /// RFC 9937 §6, in exact fractions of octets.
    private struct Naive {
        var delivered = 0
        var out = 0
        var flight: Int

        mutating func window(_ newly: Int, pipe: Int, threshold: Int, isSafe: Bool, size: Int) -> Int {
            delivered += newly
            var count: Int
            if pipe > threshold {
                let exact = Double(delivered) * Double(threshold) / Double(flight)
                count = Int(exact.rounded(.up)) - out
            } else {
                count = max(delivered - out, newly)
                if isSafe { count += size }
                count = min(threshold - pipe, count)
            }
            if out == 0 { count = max(count, size) }
            return pipe + max(count, 0)
        }
    }

    private struct Numbers: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ state >> 29
        }
    }

    @Test(
        "RFC 9937 §6: on each acknowledgment the window is the pipe and sndcnt, proportional above the threshold and rounded up, bounded below it [9937-1, 9937-2, 9937-3, 9937-4]"
    )
    func formulas() {
        var random = Numbers(state: 7)
        for _ in 0..<200 {
            let size = 1000
            let flight = Int.random(in: 4...100, using: &random) * size + Int.random(in: 0...1, using: &random) * 123
            let threshold = flight / 2
            var pipe = flight
            var naive = Naive(flight: flight)
            var reduction = ProportionalRateReduction()
            reduction.begin(flight: flight)
            for _ in 0..<40 {
                let newly = min(pipe, [0, 1, 333, 1000, 2000].randomElement(using: &random) ?? 0)
                let lost = Int.random(in: 0..<8, using: &random) == 0 ? min(pipe - newly, 3000) : 0
                pipe -= newly + lost
                let isSafe = lost == 0 && Bool.random(using: &random)
                let wanted = naive.window(newly, pipe: pipe, threshold: threshold, isSafe: isSafe, size: size)
                let window = reduction.window(
                    delivered: newly, pipe: pipe, threshold: UInt32(threshold), isSafe: isSafe, segmentSize: size)
                #expect(Int(window) == wanted)
                while pipe + size <= Int(window) {
                    pipe += size
                    naive.out += size
                    reduction.send(size)
                }
            }
        }
    }

    private func entered(_ family: Family, control: CongestionControl = .newReno) -> ScriptedPeer {
        let peer = ScriptedPeer.sender(family, control: control)
        peer.writeSegments(60)
        peer.expectSent(Array(0..<10))
        peer.wait(100)
        for end in 2...4 { peer.acknowledge(0, 1..<end) }
        return peer
    }

    @Test(
        "RFC 9937 §6.2: the first retransmission is never held back, whatever the proportion says [9937-5]",
        arguments: Family.allCases)
    func forced(family: Family) {
        let peer = entered(family)
        // Ten in flight and two of limited transmit; the third report delivers one of them.
        #expect(peer.takeSent() == [10, 11, 0])
        #expect(peer.phase == .fast)
    }

    @Test(
        "RFC 9937 §6.2: with half the window to keep every second report lets a segment out [9937-2]",
        arguments: Family.allCases)
    func proportional(family: Family) {
        let peer = entered(family)
        peer.discard()
        var sent: [Int] = []
        for end in 5...10 {
            peer.acknowledge(0, 1..<end)
            sent.append(peer.takeSent().count)
        }
        // RecoverFS is the twelve in flight without the two that were reported before: 10. ssthresh is 5.
        // prr_delivered is 1 at entry, where one went. Then sndcnt is 0, half a segment, and a segment with the fourth that
        // is delivered. With the sixth the pipe is at the threshold, and with the seventh below it: one, to catch up.
        #expect(sent == [0, 0, 1, 0, 0, 1])
    }

    @Test(
        "RFC 9937 §6.2: below the threshold an ACK that shows more loss lets out what it delivered; a safe one a segment more [9937-3, 9937-4]",
        arguments: Family.allCases)
    func safe(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.fly(60)
        // Seven of ten are lost: the pipe falls below the threshold of five.
        peer.acknowledge(0, 7..<10)
        #expect(peer.phase == .fast)
        // pipe 0, delivered 3: min(5 - 0, 3).
        #expect(peer.takeSent() == [0, 1, 2])
        peer.wait(100)
        // Safe: SND.UNA moves, nothing more is lost. pipe 2: min(5 - 2, max(4 - 3, 1) + 1).
        peer.acknowledge(1, 7..<10)
        #expect(peer.takeSent() == [3, 4])
        peer.acknowledge(2, 7..<10)
        #expect(peer.takeSent() == [5, 6])
    }

    @Test(
        "RFC 9937 §6.3, RFC 6675 §5: when recovery ends the window is the threshold [9937-6, 6675-4]",
        arguments: Family.allCases, [CongestionControl.newReno, .cubic])
    func ends(family: Family, control: CongestionControl) {
        let peer = entered(family, control: control)
        let threshold = control == .newReno ? 5 : 7
        #expect(peer.thresholdSegments == threshold)
        for end in 5...10 { peer.acknowledge(0, 1..<end) }
        peer.wait(100)
        let out =
            (peer.details?.sendNext ?? SequenceNumber(0)).distance(from: peer.stackISN ?? SequenceNumber(0)) / 1000
        peer.acknowledge(11, 11..<12)
        #expect(peer.phase == .fast)
        peer.acknowledge(12)
        #expect(peer.phase == .open)
        #expect(peer.windowSegments == threshold)
        #expect(out > 12)
    }

    @Test(
        "RFC 9937 §6: a sender that has nothing to send catches up no faster than the threshold allows [9937-7]",
        arguments: Family.allCases)
    func applicationLimited(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.fly(10)
        for end in 2...4 { peer.acknowledge(0, 1..<end) }
        peer.expectSent([0])
        for end in 5...10 { peer.acknowledge(0, 1..<end) }
        // Nothing was there to send. Now there is: the pipe fills to the threshold, and not past it.
        peer.writeSegments(40)
        #expect(peer.takeSent().count <= 5 - 1)
        #expect(peer.phase == .fast)
    }

    @Test(
        "RFC 9937 §6.2: where half of each window is dropped, no more is sent than is delivered, and a segment an ACK [9937-3]",
        arguments: Family.allCases)
    func policer(family: Family) {
        let peer = ScriptedPeer.sender(family)
        peer.writeSegments(80)
        var flight = peer.takeSent()
        var held: Set<Int> = []
        var next = 0
        for _ in 0..<8 where !flight.isEmpty {
            peer.wait(100)
            var sent: [Int] = []
            for (place, segment) in flight.enumerated() where place % 2 == 1 {
                held.insert(segment)
                while held.remove(next) != nil { next += 1 }
                let wasFast = peer.phase == .fast
                if segment >= next {
                    var (low, high) = (segment, segment + 1)
                    while held.contains(low - 1) { low -= 1 }
                    while held.contains(high) { high += 1 }
                    peer.acknowledge(next, low..<high)
                } else if let low = held.min() {
                    var high = low
                    while held.contains(high) { high += 1 }
                    peer.acknowledge(next, low..<high)
                } else {
                    peer.acknowledge(next)
                }
                let now = peer.takeSent()
                if wasFast, peer.phase == .fast { #expect(now.count <= 2) }
                sent += now
            }
            flight = sent
        }
        #expect(next > 0)
    }
}
