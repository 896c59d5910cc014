import TCPEngine
import TCPWire
import Testing

/// RFC 9438 §5: time that does not count, bounds, and the windows that come of it all.
@Suite("CUBIC's time and bounds")
struct CubicBoundsTests {
    @Test(
        "Time the program limits does not count: the window makes no jump after a pause [RFC 9438 §4.2, §5.8, 9438-3, B-10]",
        arguments: [10, 100, 3600, 50 * 86_400] as [Int64], [false, true])
    func pause(seconds: Int64, isAcknowledged: Bool) {
        var control = Cubic.afterLoss(at: 1_000_000)
        var now: Int64 = 0
        for _ in 0..<20 { now = control.receiveWindow(from: now) }
        var busy = control
        var later = now + seconds * second
        if isAcknowledged {
            // A program that sends little: acknowledgments come all the while.
            for step in 1...100 {
                control.receive(100, at: now + (later - now) * Int64(step) / 100, isLimited: false)
            }
        }
        #expect(control.window == busy.window)
        #expect(control.elapsed == busy.elapsed)
        for _ in 0..<20 {
            later = control.receiveWindow(from: later)
            now = busy.receiveWindow(from: now)
        }
        // One round trip at most was counted of the pause.
        #expect(control.elapsed - busy.elapsed <= 100 * millisecond)
        #expect(Double(control.window) / Double(busy.window) < 1.01)
    }

    @Test("A window that is not used does not grow [RFC 9438 §5.8, 9438-10, 5482-5]")
    func unused() {
        var control = Cubic.afterLoss(at: 100_000)
        for step in 0..<1000 { control.receive(1000, at: Int64(step) * 10 * millisecond, isLimited: false) }
        #expect(control.window == 70_000)
        #expect(control.estimate == 70_000)
        #expect(control.elapsed == 0)
    }

    @Test("A window cut because it was not used is not back in one leap [RFC 2861 §3, RFC 9438 §5.8, 5681-11]")
    func validation() {
        var control = Cubic.afterLoss(at: 1_000_000)
        var now: Int64 = 0
        for _ in 0..<60 { now = control.receiveWindow(from: now) }
        control.threshold = 100_000
        let before = control.window
        control.validate(used: Int(before) / 2 + Int(before) / 4, segmentSize: 1000)
        let cut = control.window
        #expect(cut < before && !control.isSlowStart)
        now = control.receiveWindow(from: now)
        #expect(control.window - cut < (before - cut) / 4)
    }

    @Test("Of extreme signals none takes a window out of its bounds", arguments: [1, 536, 1460, 65_535])
    func extremes(size: Int) {
        func run<C: Control>(_: C.Type, seed: UInt64) {
            var dice = Dice(seed: seed)
            let numbers = [Int.min, -1, 0, 1, size, 100_000, 1 << 30, 1 << 32, .max]
            let times = [Int64.min, -1, 0, 1, millisecond, second, 86_400 * second, .max]
            var control = C(segmentSize: size, synWasLost: false, initialSegments: 0)
            var kept = control
            for _ in 0..<4000 {
                let number = numbers.randomElement(using: &dice) ?? 0
                let time = times.randomElement(using: &dice) ?? 0
                let now = Instant(nanoseconds: times.randomElement(using: &dice) ?? 0)
                switch Int.random(in: 0..<14, using: &dice) {
                case 0:
                    kept = control
                    control.reduce(inFlight: number, segmentSize: size, isECN: Bool.random(using: &dice), now: now)
                    control.window = control.threshold
                    control.endRecovery(segmentSize: size)
                case 1:
                    control.timeout(inFlight: number, segmentSize: size, isFirst: Bool.random(using: &dice), now: now)
                case 2: control.restartAfterIdle(segmentSize: size, initialSegments: 0, idle: time, rto: time / 2)
                case 3: control.validate(used: number, segmentSize: size)
                case 4: control.restore(kept)
                default:
                    var signal = CongestionSignal(now: now, segmentSize: size)
                    signal.delivered = number
                    signal.roundTrip = time
                    signal.smoothedRoundTrip = times.randomElement(using: &dice) ?? 0
                    signal.isWindowLimited = Int.random(in: 0..<8, using: &dice) > 0
                    signal.segmentLimit = [-1, 0, 2, 8, .max].randomElement(using: &dice) ?? 0
                    signal.unacknowledged = SequenceNumber(UInt32.random(in: 0 ... .max, using: &dice))
                    signal.next = SequenceNumber(UInt32.random(in: 0 ... .max, using: &dice))
                    control.acknowledge(signal)
                }
                #expect(control.window >= UInt32(size) && control.window <= 1 << 30)
                #expect(control.threshold >= min(UInt32(2 * size), 1 << 30))
            }
        }
        run(Cubic.self, seed: 11)
        run(NewReno.self, seed: 12)
    }

    @Test("A segment size that makes no sense does no harm", arguments: [Int.min, -1, 0, 1 << 20, .max])
    func senselessSizes(size: Int) {
        var control = Cubic(segmentSize: size, synWasLost: false, initialSegments: .max)
        control.receive(1000, size: size)
        control.lose(size: size)
        for step in 0..<10 { control.receive(.max, at: Int64(step) * second, size: size, limit: .max) }
        #expect(control.window >= 1 && control.window <= 1 << 30)
    }

    @Test("A window set to nothing, or to more than there is, traps nowhere", arguments: [0, 1, .max] as [UInt32])
    func senselessWindows(window: UInt32) {
        var control = Cubic.afterLoss(at: 20_000)
        control.receive(1000)
        control.threshold = 0
        control.window = window
        for step in 1...5 { control.receive(1000, at: Int64(step) * second) }
        control.lose()
        for step in 6...9 { control.receive(1000, at: Int64(step) * second) }
        #expect(control.window <= 1 << 30)
    }

    @Test("Epochs of hours end at the largest window, and stay there [RFC 7323 §2.3]")
    func longEpoch() {
        var control = Cubic.afterLoss(at: 100_000)
        for step in 0..<4000 {
            control.receive(Int(control.window), at: Int64(step) * 10 * second, roundTrip: 10 * second)
        }
        #expect(control.window == 1 << 30)
    }

    // MARK: What comes of it

    @Test(
        "With a loss every 1/p segments the average window is that of figure 6, or Reno's [RFC 9438 §5.1, 9438-1, 9438-4]",
        arguments: [(1e-2, 100), (1e-3, 100), (1e-4, 100), (1e-3, 10), (1e-4, 10), (1e-4, 300)] as [(Double, Int64)])
    func response(rate: Double, milliseconds: Int64) {
        let average = averageWindow(Cubic.self, rate: rate, roundTrip: milliseconds * millisecond)
        let ratio = Double(milliseconds) / 1000 / rate
        // 1.054 (RTT / p)^¾ and √(3 / 2p).
        let expected = max(1.054 * ratio.squareRoot() * ratio.squareRoot().squareRoot(), (1.5 / rate).squareRoot())
        #expect(abs(average / expected - 1) < 0.1, "\(average) for \(expected)")
    }
}
