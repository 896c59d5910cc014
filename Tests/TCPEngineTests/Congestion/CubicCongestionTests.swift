import TCPEngine
import TCPWire
import Testing

/// RFC 9438 §4.6 to §4.10: losses, marks, timeouts, what was none of them, and slow start.
@Suite("CUBIC's answer to congestion")
struct CubicCongestionTests {
    @Test("A loss leaves 0.7 of what was in flight, two segments at least [RFC 9438 §4.6, 9438-1, 9438-6]")
    func loss() {
        var control = Cubic.afterLoss(at: 100_000)
        control.window = 40_000
        control.reduce(inFlight: 30_000, segmentSize: 1000, isECN: false, now: .zero)
        #expect(control.threshold == 21_000)
        #expect(control.window == 40_000, "recovery leads the window to the threshold")
        #expect(control.prior == 40_000)
        control.reduce(inFlight: 0, segmentSize: 1000, isECN: false, now: .zero)
        #expect(control.threshold == 2_000)
    }

    @Test("A window too full for another segment counts whole; more than it never counts [RFC 9438 §4.6, 9438-6]")
    func lossOfFullWindow() {
        var control = Cubic.afterLoss(at: 100_000)
        control.window = 40_000
        control.reduce(inFlight: 39_000, segmentSize: 1000, isECN: false, now: .zero)
        #expect(control.threshold == 27_300)
        control.reduce(inFlight: 39_001, segmentSize: 1000, isECN: false, now: .zero)
        #expect(control.threshold == 28_000)
        control.reduce(inFlight: 90_000, segmentSize: 1000, isECN: false, now: .zero)
        #expect(control.threshold == 28_000)
    }

    @Test("A mark leaves 0.85 in congestion avoidance, 0.7 in slow start [RFC 8511 §3, 5681-12]")
    func mark() {
        var control = Cubic.afterLoss(at: 100_000)
        control.reduce(inFlight: 70_000, segmentSize: 1000, isECN: true, now: .zero)
        #expect(control.threshold == 59_500)
        control = Cubic(segmentSize: 1000, synWasLost: false)
        control.reduce(inFlight: 10_000, segmentSize: 1000, isECN: true, now: .zero)
        #expect(control.threshold == 7_000)
    }

    @Test("Marks take the window down to one segment, losses to two [RFC 9438 §4.6, 9438-7]")
    func persistentMarks() {
        var control = Cubic.afterLoss(at: 20_000)
        for _ in 0..<40 { control.lose(isECN: true) }
        #expect(control.window == 1_000)
        #expect(control.threshold == 2_000)
        control = .afterLoss(at: 20_000)
        for _ in 0..<40 { control.lose() }
        #expect(control.window == 2_000)
        // A mark that meets a large window in little use leaves two segments.
        control = .afterLoss(at: 100_000)
        control.reduce(inFlight: 0, segmentSize: 1000, isECN: true, now: .zero)
        control.window = control.threshold
        control.endRecovery(segmentSize: 1000)
        #expect(control.window == 2_000)
    }

    @Test("From the least window it grows again [RFC 9438 §4.6, B-11]", arguments: [false, true])
    func leavesMinimum(isECN: Bool) {
        var control = Cubic.afterLoss(at: 20_000)
        for _ in 0..<40 { control.lose(isECN: isECN) }
        var now: Int64 = 0
        for _ in 0..<30 { now = control.receiveWindow(from: now) }
        #expect(control.window > 5_000)
    }

    @Test("A window that ends lower than the one before lowers W_max by 0.85 more [RFC 9438 §4.7, 9438-5]")
    func fastConvergence() {
        var control = Cubic.afterLoss(at: 100_000)
        #expect(control.maximum == 100_000)
        control.lose()
        #expect(control.maximum == 59_500)
        #expect(control.prior == 70_000)
        control.window = 59_500
        control.lose()
        #expect(control.maximum == 59_500, "no lower than before: it is remembered as it was")
        control.window = 120_000
        control.lose()
        #expect(control.maximum == 120_000)
    }

    @Test(
        "After a timeout the window is one segment, and where slow start ends W_max is cwnd, K zero [RFC 9438 §4.8, 9438-13]"
    )
    func timeout() {
        var control = Cubic.afterLoss(at: 100_000)
        var now = control.receiveWindow()
        let window = control.window
        control.timeout(inFlight: Int(window), segmentSize: 1000, isFirst: true, now: .zero)
        #expect(control.window == 1_000)
        #expect(control.threshold == UInt32(UInt64(window) * 7 / 10))
        #expect(control.prior == window)
        let threshold = control.threshold
        control.timeout(inFlight: 1_000, segmentSize: 1000, isFirst: false, now: .zero)
        #expect(control.threshold == threshold)
        for _ in 0..<1000 where control.isSlowStart {
            now += 10 * millisecond
            control.receive(1000, at: now)
        }
        control.receive(0, at: now)
        #expect(control.maximum == threshold)
        #expect(control.estimate >= threshold && control.estimate < threshold + 500)
        #expect(control.period == 0)
        // 0.4 t³ above it: after 10 s the function has risen by 400 segments.
        #expect(control.curve(at: 10 * second, 1000) == threshold + 400_000)
    }

    @Test("A loss in the slow start after a timeout remembers its window whole [RFC 9438 §4.7, §4.8]")
    func lossAfterTimeout() {
        var control = Cubic.afterLoss(at: 100_000)
        control.timeout(inFlight: 70_000, segmentSize: 1000, isFirst: true, now: .zero)
        control.window = 20_000
        control.lose()
        #expect(control.maximum == 20_000)
    }

    // MARK: Events that were none

    @Test("After a spurious loss or timeout all is as it was [RFC 9438 §4.9, 9438-8]", arguments: [false, true])
    func undo(isTimeout: Bool) {
        var control = Cubic.afterLoss(at: 100_000)
        var now: Int64 = 0
        for _ in 0..<10 { now = control.receiveWindow(from: now) }
        let before = control
        var untouched = control
        if isTimeout {
            control.timeout(inFlight: 70_000, segmentSize: 1000, isFirst: true, now: .zero)
            control.receive(1000, at: now)
        } else {
            control.lose()
            control.receive(1000, at: now)
        }
        #expect(control.window < before.window)
        control.restore(before)
        #expect(control.window == before.window)
        #expect(control.threshold == before.threshold)
        #expect(control.maximum == 100_000)
        #expect(control.prior == before.prior)
        #expect(control.period == before.period)
        #expect(control.estimate == before.estimate)
        for _ in 0..<20 {
            _ = control.receiveWindow(from: now)
            now = untouched.receiveWindow(from: now)
        }
        #expect(control.window == untouched.window)
    }

    @Test("A window that has outgrown the one before goes on with what it has [RFC 9438 §4.9.2, 9438-14]")
    func undoTooLate() {
        var control = Cubic.afterLoss(at: 40_000)
        _ = control.receiveWindow()
        let before = control
        control.lose()
        var now: Int64 = 0
        for _ in 0..<1000 where control.window <= before.window { now = control.receiveWindow(from: now) }
        #expect(control.window > before.window)
        let grown = control
        control.restore(before)
        #expect(control.window == grown.window)
        #expect(control.threshold == grown.threshold)
        #expect(control.maximum == grown.maximum)
        #expect(control.elapsed == grown.elapsed)
    }

    // MARK: Slow start

    @Test("Below the threshold the window doubles a round trip [RFC 9438 §4.10, 9438-15]")
    func slowStart() {
        var control = Cubic(segmentSize: 1000, synWasLost: false)
        let now = control.receiveWindow()
        #expect(control.window == 20_000)
        _ = control.receiveWindow(from: now)
        #expect(control.window == 40_000)
    }

    @Test("Where HyStart++ ends slow start, W_max and cwnd_prior are cwnd, K is zero [RFC 9438 §4.10, 9438-9]")
    func hyStart() {
        var rounds = Rounds<Cubic>()
        rounds.round(50 * millisecond)
        rounds.round(50 * millisecond)
        for _ in 0..<1000 where rounds.control.isSlowStart { rounds.acknowledge(70 * millisecond) }
        #expect(!rounds.control.isSlowStart)
        let window = rounds.control.window
        #expect(rounds.control.threshold == window)
        rounds.acknowledge(70 * millisecond)
        #expect(rounds.control.maximum == window)
        #expect(rounds.control.prior == window)
        #expect(rounds.control.period == 0)
        #expect(rounds.control.estimate >= window)
    }

    @Test(
        "After a slow start within it a stage begins anew, from the window there is [RFC 9438 §4.2]",
        arguments: [false, true])
    func newStage(wasIdle: Bool) {
        var control = Cubic.afterLoss(at: 100_000)
        var now: Int64 = 0
        for _ in 0..<30 { now = control.receiveWindow(from: now) }
        #expect(control.elapsed > 2 * second)
        if wasIdle {
            control.restartAfterIdle(segmentSize: 1000, initialSegments: 10, idle: 60 * second, rto: second)
            now += 60 * second
        } else {
            // As a path with a smaller MTU makes it.
            control.window = 10_000
        }
        #expect(control.isSlowStart)
        for _ in 0..<20 where control.isSlowStart { now = control.receiveWindow(from: now) }
        #expect(!control.isSlowStart)
        #expect(control.elapsed < second)
        #expect(control.maximum == 100_000)
        #expect(control.estimate >= control.threshold)
    }
}
