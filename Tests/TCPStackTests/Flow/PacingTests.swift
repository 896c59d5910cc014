import TCPEngine
import TCPStack
import TCPWire
import Testing

/// What a window allows leaves over the round trip, at times the device is told of by `nextDeadline`.
@Suite("Pacing")
struct PacingTests {
    /// A sender of segments and its receiver, 100 ms apart, which acknowledges each segment by itself.
    private final class Path {
        let peer: ScriptedPeer
        private var arriving: [(at: Instant, number: Int)] = []
        private var held: Set<Int> = []
        private var next = 0
        private var lost: Set<Int>

        init(_ family: Family, losing lost: Set<Int> = [], paced: Bool = true) {
            peer = ScriptedPeer(
                family, .steadySegments, offer: ScriptedPeer.Offer(mss: 1000, windowScale: 7, sack: true),
                control: .newReno, paced: paced)
            peer.establish(rtt: ScriptedPeer.roundTrip)
            self.lost = lost
        }

        /// Lets so many milliseconds pass; says how many segments left in each.
        @discardableResult
        func run(_ milliseconds: Int) -> [Int] {
            var left: [Int] = []
            for _ in 0..<milliseconds {
                let sent = peer.takeSent()
                for number in sent where lost.remove(number) == nil {
                    arriving.append((peer.host.now + .milliseconds(100), number))
                }
                left.append(sent.count)
                while let first = arriving.first, first.at <= peer.host.now {
                    arriving.removeFirst()
                    take(first.number)
                }
                peer.wait(1)
            }
            return left
        }

        private func take(_ number: Int) {
            held.insert(number)
            while held.remove(next) != nil { next += 1 }
            guard number >= next else { return peer.acknowledge(next) }
            var range = number..<number + 1
            while held.contains(range.lowerBound - 1) { range = range.lowerBound - 1..<range.upperBound }
            while held.contains(range.upperBound) { range = range.lowerBound..<range.upperBound + 1 }
            peer.acknowledge(next, range)
        }

        /// The first `count` segments in flight are acknowledged by one acknowledgment.
        func acknowledge(together count: Int) {
            next += count
            peer.acknowledge(next)
        }

        /// Carries so many segments, and waits until all is acknowledged.
        func carry(_ count: Int) {
            peer.writeSegments(count)
            for _ in 0..<40 where next < count { run(50) }
            #expect(next == count && peer.phase == .open)
        }

        var window: Int { peer.windowSegments }
    }

    /// Sums of ten milliseconds each.
    private func tens(_ left: [Int]) -> [Int] {
        stride(from: 0, to: left.count, by: 10).map { left[$0..<min($0 + 10, left.count)].reduce(0, +) }
    }

    @Test(
        "After a silence an initial window leaves at once, and the rest at twice the window in a round trip [RFC 9002 §7.7, RFC 6928 §2]",
        arguments: Family.allCases)
    func afterSilence(family: Family) {
        let path = Path(family)
        path.carry(70)
        let window = path.window
        #expect(window >= 30)
        path.peer.writeSegments(window)
        #expect(path.peer.pending.count == 10)
        let left = tens(path.run(60))
        #expect(left.reduce(0, +) == window && left[5] == 0, "\(left)")
        for span in left[1...2] { #expect(abs(span - window / 5) <= 1, "\(left) of \(window)") }
    }

    @Test(
        "The device is told when the next may leave, and before that there is nothing to send",
        arguments: Family.allCases)
    func deadline(family: Family) throws {
        let path = Path(family)
        path.carry(70)
        let peer = path.peer
        peer.writeSegments(path.window)
        peer.discard()
        let wants = peer.host.stack.wantsToTransmit
        #expect(!wants)
        // The timing wheel ticks eight times in a millisecond.
        let deadline = peer.host.stack.nextDeadline
        let next = try #require(deadline) - peer.host.now
        let each = Duration.milliseconds(100) / (2 * path.window)
        #expect(next > .zero && next <= each + .microseconds(263), "\(next)")
        peer.host.advance(to: peer.host.now + each + .milliseconds(1)) { !peer.pending.isEmpty }
        #expect(!peer.pending.isEmpty)
    }

    @Test(
        "In slow start acknowledgments that come together let an initial window leave at once, and no more [RFC 9002 §7.7]",
        arguments: Family.allCases)
    func slowStart(family: Family) {
        let path = Path(family)
        path.carry(70)
        path.peer.writeSegments(300)
        path.run(99)
        path.peer.discard()
        path.acknowledge(together: 20)
        #expect(path.peer.pending.count == 10)
    }

    @Test(
        "In congestion avoidance a few segments leave together, and the window and a fifth in a round trip",
        arguments: Family.allCases)
    func avoidance(family: Family) {
        let path = Path(family, losing: [60])
        path.carry(120)
        let window = path.window
        #expect(window >= 20 && path.peer.thresholdSegments <= window)
        path.peer.writeSegments(300)
        #expect(path.peer.pending.count == 10)
        let left = tens(path.run(99))
        for span in left[1...4] { #expect(abs(span * 100 - window * 12) <= 120, "\(left) of \(window)") }
        path.acknowledge(together: 10)
        // Four, and the one that is due.
        #expect(path.peer.pending.count == 5)
    }

    @Test("Without it the whole window leaves at once", arguments: Family.allCases)
    func off(family: Family) {
        let path = Path(family, paced: false)
        path.carry(70)
        path.peer.writeSegments(path.window)
        #expect(path.peer.pending.count == path.window)
    }
}
