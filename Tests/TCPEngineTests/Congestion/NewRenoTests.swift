import TCPEngine
import TCPWire
import Testing

/// RFC 5681 with RFC 3465, 6928, 2861 and 8511: NewReno's window, and what CUBIC's has from there.
@Suite("NewReno's window")
struct NewRenoTests {
    @Test(
        "The window begins with ten segments, 14600 octets or two segments [RFC 6928 §2, 5681-1]",
        arguments: [(500, 5_000), (1460, 14_600), (4000, 14_600), (8900, 17_800)])
    func initialWindow(size: Int, window: UInt32) {
        #expect(NewReno(segmentSize: size, synWasLost: false).window == window)
        #expect(Cubic(segmentSize: size, synWasLost: false).window == window)
        #expect(NewReno(segmentSize: size, synWasLost: false).isSlowStart)
    }

    @Test("It begins with one segment after a lost SYN, and as many as were asked for [RFC 5681 §3.1, 5681-1]")
    func otherInitialWindows() {
        #expect(NewReno(segmentSize: 1460, synWasLost: true).window == 1460)
        #expect(Cubic(segmentSize: 1460, synWasLost: true, initialSegments: 20).window == 1460)
        #expect(NewReno(segmentSize: 1460, synWasLost: false, initialSegments: 3).window == 4380)
        #expect(Cubic(segmentSize: 1460, synWasLost: false, initialSegments: 100).window == 146_000)
    }

    @Test("Slow start counts octets, not acknowledgments [RFC 3465 §2.2, RFC 5681 §3.1, 5681-2]")
    func slowStartByOctets() {
        var control = NewReno(segmentSize: 1000, synWasLost: false)
        for _ in 0..<1000 { control.receive(1, limit: 2) }
        #expect(control.window == 11_000)
        control.receive(5000, limit: 2)
        #expect(control.window == 13_000)
        control.receive(5000, limit: 1)
        #expect(control.window == 14_000)
    }

    @Test("Slow start ends at the threshold, and what is left of the acknowledgment counts beyond [RFC 5681 §3.1]")
    func crossing() {
        var control = NewReno(segmentSize: 1000, synWasLost: false)
        control.threshold = 13_000
        control.receive(8000)
        #expect(control.window == 13_000)
        #expect(!control.isSlowStart)
        #expect(control.acknowledged == 5000)
    }

    @Test("Congestion avoidance grows by one segment a window, by octets [RFC 3465 §2.1, RFC 5681 §3.1, 5681-2]")
    func avoidance() {
        var control = NewReno.afterLoss(at: 20_000)
        for _ in 0..<9 { control.receive(1000) }
        control.receive(999)
        #expect(control.window == 10_000)
        control.receive(1)
        #expect(control.window == 11_000)
        for _ in 0..<11 { control.receive(1000) }
        #expect(control.window == 12_000)
        for _ in 0..<3 { control.receive(5000) }
        #expect(control.window == 13_000)
        #expect(control.acknowledged == 3000, "what is beyond a window counts for the next")
    }

    @Test("No acknowledgment grows it by more than one segment in congestion avoidance [RFC 5681 §3.1, 5681-2]")
    func avoidanceLimit() {
        var control = NewReno.afterLoss(at: 20_000)
        control.receive(1_000_000)
        #expect(control.window == 11_000)
        control.receive(1)
        #expect(control.window == 11_000)
    }

    @Test("A window that is not used does not grow [RFC 7661 §4.1, 5482-5]")
    func unused() {
        var control = NewReno(segmentSize: 1000, synWasLost: false)
        control.receive(10_000, isLimited: false)
        #expect(control.window == 10_000)
        control = .afterLoss(at: 20_000)
        for _ in 0..<100 { control.receive(1000, isLimited: false) }
        #expect(control.window == 10_000)
        #expect(control.acknowledged == 0)
    }

    @Test("Loss halves what was in flight, not the window, to two segments at least [RFC 5681 §3.1 (4), 5681-3]")
    func loss() {
        var control = NewReno(segmentSize: 1000, synWasLost: false)
        control.window = 40_000
        control.reduce(inFlight: 30_000, segmentSize: 1000, isECN: false, now: .zero)
        #expect(control.threshold == 15_000)
        #expect(control.window == 40_000, "recovery leads the window to the threshold")
        control.reduce(inFlight: 3_000, segmentSize: 1000, isECN: false, now: .zero)
        #expect(control.threshold == 2_000)
    }

    @Test("A mark takes a fifth in congestion avoidance, half in slow start [RFC 8511 §3, 5681-12]")
    func mark() {
        var control = NewReno.afterLoss(at: 80_000)
        control.reduce(inFlight: 40_000, segmentSize: 1000, isECN: true, now: .zero)
        #expect(control.threshold == 32_000)
        control = NewReno(segmentSize: 1000, synWasLost: false)
        control.reduce(inFlight: 10_000, segmentSize: 1000, isECN: true, now: .zero)
        #expect(control.threshold == 5_000)
    }

    @Test("Marks take the window down to one segment, losses to two [RFC 3168 §6.1.2, RFC 5681 §3.1]")
    func persistentMarks() {
        var control = NewReno.afterLoss(at: 20_000)
        for _ in 0..<20 { control.lose(isECN: true) }
        #expect(control.window == 1_000)
        #expect(control.threshold == 2_000)
        control = .afterLoss(at: 20_000)
        for _ in 0..<20 { control.lose() }
        #expect(control.window == 2_000)
    }

    @Test("A timeout leaves one segment; the threshold falls once for a window of data [RFC 5681 §3.1, 5681-4]")
    func timeout() {
        var control = NewReno(segmentSize: 1000, synWasLost: false)
        control.window = 40_000
        control.timeout(inFlight: 40_000, segmentSize: 1000, isFirst: true, now: .zero)
        #expect(control.window == 1_000)
        #expect(control.threshold == 20_000)
        control.timeout(inFlight: 10_000, segmentSize: 1000, isFirst: false, now: .zero)
        #expect(control.window == 1_000)
        #expect(control.threshold == 20_000)
    }

    @Test("After a timeout slow start leads back to the threshold [RFC 5681 §3.1, RFC 3465 §2.3, B-11]")
    func afterTimeout() {
        var control = NewReno(segmentSize: 1000, synWasLost: false)
        control.timeout(inFlight: 20_000, segmentSize: 1000, isFirst: true, now: .zero)
        for _ in 0..<9 { control.receive(2000, limit: 1) }
        #expect(control.window == 10_000)
        #expect(!control.isSlowStart)
        for _ in 0..<10 { control.receive(1000, limit: 1) }
        #expect(control.window == 11_000)
    }

    @Test(
        "An idle time halves the window for each timeout in it, down to the restart window [RFC 2861 §3, 5681-7, 5681-11]",
        arguments: [
            (999, 80_000, false), (1000, 40_000, true), (1999, 40_000, true), (2000, 20_000, true),
            (3000, 10_000, true), (4000, 10_000, true), (4_320_000_000, 10_000, true),
        ] as [(Int64, UInt32, Bool)])
    func idle(milliseconds: Int64, window: UInt32, remembers: Bool) {
        func check<C: Control>(_: C.Type) {
            var control = C.afterLoss(at: 20_000)
            control.window = 80_000
            let before = control.threshold
            control.restartAfterIdle(
                segmentSize: 1000, initialSegments: 10, idle: milliseconds * millisecond, rto: second)
            #expect(control.window == window)
            #expect(control.threshold == (remembers ? 60_000 : before))
        }
        check(NewReno.self)
        check(Cubic.self)
    }

    @Test("An idle time makes no window larger, nor forgets a higher threshold [RFC 5681 §4.1, RFC 2861 §3, 5681-11]")
    func idleSmallWindow() {
        var control = NewReno.afterLoss(at: 8_000)
        control.threshold = 50_000
        control.restartAfterIdle(segmentSize: 1000, initialSegments: 10, idle: 60 * second, rto: second)
        #expect(control.window == 4_000)
        #expect(control.threshold == 50_000)
        var first = NewReno(segmentSize: 1000, synWasLost: false)
        let threshold = first.threshold
        first.restartAfterIdle(segmentSize: 1000, initialSegments: 10, idle: 60 * second, rto: second)
        #expect(first.threshold == threshold, "the first slow start goes on")
    }

    @Test("Of a window in use in part, half of the rest is given up [RFC 2861 §3, 5681-11]")
    func validation() {
        var control = NewReno.afterLoss(at: 20_000)
        control.window = 80_000
        control.validate(used: 30_000, segmentSize: 1000)
        #expect(control.window == 55_000)
        #expect(control.threshold == 60_000)
        control.validate(used: 55_000, segmentSize: 1000)
        #expect(control.window == 55_000)
        for _ in 0..<20 { control.validate(used: 1000, segmentSize: 1000) }
        #expect(control.window == 10_000, "no less than a restart would leave")
        for _ in 0..<20 { control.validate(used: 1000, segmentSize: 1000, initialSegments: 4) }
        #expect(control.window == 4_000)
    }

    @Test("What was no congestion is taken back, and growth since then is kept [RFC 4015 §3]")
    func undo() {
        var control = NewReno.afterLoss(at: 80_000)
        control.receive(1000)
        let before = control
        control.lose()
        control.restore(before)
        #expect(control.window == before.window)
        #expect(control.threshold == before.threshold)
        #expect(control.acknowledged == 1000)
        control.timeout(inFlight: 40_000, segmentSize: 1000, isFirst: true, now: .zero)
        control.window = 90_000
        control.restore(before)
        #expect(control.window == 90_000)
        #expect(control.threshold == before.threshold)
    }

    @Test("An undone loss in the first slow start is as if it had not been [RFC 4015 §3]")
    func undoInSlowStart() {
        var rounds = Rounds<NewReno>()
        rounds.flight(50 * millisecond)
        let before = rounds.control
        rounds.control.lose()
        rounds.control.restore(before)
        #expect(rounds.control.isSlowStart)
        rounds.flight(50 * millisecond)
        #expect(rounds.control.window == 40_000)
        #expect(rounds.control.hyStart.phase == .slowStart)
    }

    @Test(
        "With a loss every 1/p segments the window is √(3/2p) on average [RFC 5681, RFC 9438 §4.3 figure 3]",
        arguments: [1e-2, 1e-3, 1e-4])
    func response(rate: Double) {
        let average = averageWindow(NewReno.self, rate: rate, roundTrip: 100 * millisecond)
        let expected = (1.5 / rate).squareRoot()
        #expect(abs(average / expected - 1) < 0.1, "\(average) for \(expected)")
    }
}
